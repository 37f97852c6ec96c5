//! Where a message does not go.

use super::*;
use service::webhooks::Resolver;
use std::{net::IpAddr, sync::Mutex};

/// The name leads to these addresses, one after the other; the last one stays.
fn leads_to(addresses: &[&str]) -> Resolver {
    let left: Mutex<Vec<IpAddr>> = Mutex::new(addresses.iter().rev().map(|address| address.parse().unwrap()).collect());
    Resolver::new(move |_| {
        let mut left = left.lock().unwrap();
        let address = if left.len() > 1 { left.pop().unwrap() } else { left[0] };
        Box::pin(async move { Ok(vec![address]) })
    })
}

#[tokio::test]
async fn a_message_goes_to_the_address_that_was_judged() {
    let (mut bench, receiver) = (bench().await, Receiver::start().await);
    // No name server knows this name: only the judged address can lead to the receiver.
    bench.world.resolver = leads_to(&["127.0.0.1", "10.0.0.1"]);
    let url = format!("http://hooks.invalid:{}/hook", receiver.port);
    due(&bench, &bench.webhook("u1", &url).await, "msg_1").await;
    send(&bench, "msg_1").await;
    let seen = receiver.seen();
    assert_eq!((seen.len(), stands(&bench, "msg_1").await.state), (1, DeliveryState::Delivered));
    assert_eq!(seen[0].headers["host"], format!("hooks.invalid:{}", receiver.port));
}

#[tokio::test]
async fn a_name_that_leads_inside_by_the_time_of_the_delivery_is_not_called() {
    let mut bench = Bench::new().await;
    bench.world.resolver = leads_to(&["169.254.169.254"]);
    due(&bench, &bench.webhook("u1", "https://rebinding.example.org/").await, "msg_1").await;
    send(&bench, "msg_1").await;
    let kept = stands(&bench, "msg_1").await;
    assert_eq!((kept.state, kept.attempts.len()), (DeliveryState::Waiting, 1), "it may be right again later");
    let error = kept.attempts[0].outcome.error.clone().unwrap();
    assert!(error.contains("not on the public internet") && !error.contains("169.254"), "{error}");
}

#[tokio::test]
async fn this_machine_is_not_called_unless_the_operator_says_so() {
    let (mut bench, receiver) = (bench().await, Receiver::start().await);
    bench.set(|settings| settings.webhooks_to_loopback = false);
    due(&bench, &bench.webhook("u1", &receiver.url()).await, "msg_1").await;
    bench.world.resolver = leads_to(&["127.0.0.1"]);
    let url = format!("https://hooks.example.org:{}/", receiver.port);
    due(&bench, &bench.webhook("u1", &url).await, "msg_2").await;
    for id in ["msg_1", "msg_2"] {
        send(&bench, id).await;
        assert!(stands(&bench, id).await.attempts[0].outcome.error.is_some());
    }
    assert!(receiver.seen().is_empty());
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_not_followed() {
    let (bench, receiver) = (bench().await, Receiver::start().await);
    for status in [301, 302, 303, 307, 308] {
        receiver.answers_headers(status, "location", format!("{}/elsewhere", receiver.url()));
        let id = format!("msg_{status}");
        due(&bench, &bench.webhook("u1", &receiver.url()).await, &id).await;
        send(&bench, &id).await;
        let kept = stands(&bench, &id).await;
        assert_eq!((kept.state, kept.attempts[0].outcome.status), (DeliveryState::Waiting, Some(status)));
    }
    assert!(receiver.seen().iter().all(|seen| seen.path == "/hook"));
}
