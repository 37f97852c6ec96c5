mod independent;
mod receiver;
mod refusing;

use super::*;
use axum::{body::Body, http::Response, response::IntoResponse};
use bytes::Bytes;
use domain::DeliveryState;
use receiver::{Receiver, bench, due, stands};
use serde_json::json;
use service::testing::{Bench, push, user};
use std::time::Duration;

async fn send(bench: &Bench, id: &str) {
    let message = push(&json!({"uid": "u1", "delivery": id}));
    assert_eq!(bench.tell(FUNCTION, message).await, StatusCode::NO_CONTENT);
}

async fn endpoint(bench: &Bench, id: &domain::WebhookId) -> Webhook {
    webhooks::find(&bench.world.docs, &bench.caller("u1").uid, id).await.unwrap()
}

/// Hands over a test of the endpoint.
async fn test(bench: &Bench, webhook: &Webhook) -> DocPath {
    let (uid, now) = (user("u1"), bench.now());
    let test = Delivery::new("msg_1".into(), uid, webhook.id.clone(), "webhook.test", None, "{}".into(), now);
    webhooks::hand_over(&bench.world, &test).await.unwrap();
    places::delivery(&user("u1"), "msg_1")
}

#[tokio::test]
async fn a_message_arrives_as_it_was_written_and_the_answer_is_kept() {
    let (bench, receiver) = (bench().await, Receiver::start().await);
    receiver.answers(|| (StatusCode::ACCEPTED, "x".repeat(5000)).into_response());
    let delivery = due(&bench, &bench.webhook("u1", &receiver.url()).await, "msg_1").await;
    send(&bench, "msg_1").await;
    let seen = receiver.seen();
    assert_eq!((seen.len(), seen[0].path.as_str(), &seen[0].body), (1, "/hook", &Bytes::from(delivery.payload)));
    for (name, value) in
        [("webhook-id", "msg_1"), ("webhook-timestamp", "1700000000"), ("content-type", "application/json")]
    {
        assert_eq!(seen[0].headers[name], value, "{name}");
    }
    let kept = stands(&bench, "msg_1").await;
    assert_eq!((kept.state, kept.next_attempt_at), (DeliveryState::Delivered, None));
    assert_eq!((kept.attempts[0].outcome.status, &kept.attempts[0].outcome.body), (Some(202), &Some("x".repeat(1024))));
}

#[tokio::test]
async fn a_message_told_of_again_and_again_at_once_is_sent_once() {
    let (bench, receiver) = (bench().await, Receiver::start().await);
    due(&bench, &bench.webhook("u1", &receiver.url()).await, "msg_1").await;
    tokio::join!(send(&bench, "msg_1"), send(&bench, "msg_1"), send(&bench, "msg_1"), send(&bench, "msg_1"));
    send(&bench, "msg_1").await;
    assert_eq!(receiver.seen().len(), 1);
}

#[tokio::test]
async fn what_failed_is_sent_again_when_it_is_due_under_the_same_id_and_a_new_time() {
    let (bench, receiver) = (bench().await, Receiver::start().await);
    receiver.answers_status(500);
    due(&bench, &bench.webhook("u1", &receiver.url()).await, "msg_1").await;
    send(&bench, "msg_1").await;
    send(&bench, "msg_1").await;
    assert_eq!(receiver.seen().len(), 1, "not before its time");
    receiver.answers_status(204);
    bench.wait(6);
    send(&bench, "msg_1").await;
    let (seen, kept) = (receiver.seen(), stands(&bench, "msg_1").await);
    assert_eq!((seen.len(), kept.state, kept.attempts.len()), (2, DeliveryState::Delivered, 2));
    let header = |n: usize, name: &str| seen[n].headers[name].to_str().unwrap().to_owned();
    assert_eq!((header(1, "webhook-id"), header(1, "webhook-timestamp")), ("msg_1".into(), "1700000006".into()));
    assert_ne!(header(0, "webhook-signature"), header(1, "webhook-signature"));
}

#[tokio::test]
async fn an_attempt_lost_with_its_worker_is_made_again_after_its_lease() {
    let (bench, receiver) = (bench().await, Receiver::start().await);
    due(&bench, &bench.webhook("u1", &receiver.url()).await, "msg_1").await;
    assert!(claim(&bench.world, &places::delivery(&bench.caller("u1").uid, "msg_1")).await.unwrap().is_some());
    bench.wait(59);
    send(&bench, "msg_1").await;
    assert!(receiver.seen().is_empty());
    bench.wait(1);
    send(&bench, "msg_1").await;
    assert_eq!((receiver.seen().len(), stands(&bench, "msg_1").await.state), (1, DeliveryState::Delivered));
}

#[tokio::test]
async fn a_worker_that_took_longer_than_its_lease_changes_nothing() {
    let (bench, receiver) = (bench().await, Receiver::start().await);
    due(&bench, &bench.webhook("u1", &receiver.url()).await, "msg_1").await;
    let path = places::delivery(&bench.caller("u1").uid, "msg_1");
    claim(&bench.world, &path).await.unwrap();
    bench.wait(60);
    send(&bench, "msg_1").await;
    let before = stands(&bench, "msg_1").await;
    let late = DeliveryOutcome { status: Some(410), ..DeliveryOutcome::default() };
    record(&bench.world, &path, 1, late).await.unwrap();
    assert_eq!(stands(&bench, "msg_1").await, before);
}

#[tokio::test]
async fn an_endpoint_that_is_gone_hears_nothing_more() {
    let (bench, receiver) = (bench().await, Receiver::start().await);
    receiver.answers_status(410);
    let webhook = bench.webhook("u1", &receiver.url()).await;
    due(&bench, &webhook, "msg_1").await;
    due(&bench, &webhook, "msg_2").await;
    send(&bench, "msg_1").await;
    let disabled = endpoint(&bench, &webhook.id).await.disabled.unwrap();
    assert_eq!((disabled.reason, disabled.since), (DisabledReason::Gone, bench.now()));
    let notice = DisabledNotice::new(webhook.id.clone(), DisabledReason::Gone, bench.now());
    let told = bench.world.docs.get::<DisabledNotice>(&places::notice(&user("u1"), &notice.id())).await.unwrap();
    assert_eq!(told.value, notice, "its owner is told");
    send(&bench, "msg_2").await;
    assert_eq!((receiver.seen().len(), stands(&bench, "msg_2").await.state), (1, DeliveryState::Dropped));
}

#[tokio::test]
async fn an_endpoint_that_failed_for_a_day_is_disabled_after_the_last_try() {
    let (bench, receiver) = (bench().await, Receiver::start().await);
    receiver.answers_status(503);
    let webhook = bench.webhook("u1", &receiver.url()).await;
    due(&bench, &webhook, "msg_1").await;
    while let Some(at) = stands(&bench, "msg_1").await.next_attempt_at {
        assert!(endpoint(&bench, &webhook.id).await.disabled.is_none());
        bench.wait(at.seconds_since(bench.now()) as u64);
        send(&bench, "msg_1").await;
    }
    assert_eq!((receiver.seen().len(), stands(&bench, "msg_1").await.state), (8, DeliveryState::Failed));
    assert!(bench.now().seconds_since(service::testing::start()) > 24.0 * 3600.0);
    assert_eq!(endpoint(&bench, &webhook.id).await.disabled.unwrap().reason, DisabledReason::Failing);
}

#[tokio::test]
async fn a_test_that_fails_says_nothing_about_the_endpoints_days() {
    let (bench, receiver) = (bench().await, Receiver::start().await);
    receiver.answers_status(500);
    let webhook = bench.webhook("u1", &receiver.url()).await;
    test(&bench, &webhook).await;
    send(&bench, "msg_1").await;
    assert_eq!(stands(&bench, "msg_1").await.state, DeliveryState::Failed);
    assert!(endpoint(&bench, &webhook.id).await.disabled.is_none());
}

#[tokio::test]
async fn a_test_lost_with_its_worker_disables_nothing() {
    let (bench, receiver) = (bench().await, Receiver::start().await);
    let webhook = bench.webhook("u1", &receiver.url()).await;
    let path = test(&bench, &webhook).await;
    assert!(claim(&bench.world, &path).await.unwrap().is_some());
    bench.wait(60);
    send(&bench, "msg_1").await;
    assert_eq!((receiver.seen().len(), stands(&bench, "msg_1").await.state), (0, DeliveryState::Failed));
    assert!(endpoint(&bench, &webhook.id).await.disabled.is_none());
}

#[tokio::test]
async fn a_deleted_endpoint_is_not_called() {
    let (bench, receiver) = (bench().await, Receiver::start().await);
    let webhook = bench.webhook("u1", &receiver.url()).await;
    due(&bench, &webhook, "msg_1").await;
    let remove = |webhooks: &mut Webhooks| Ok(webhooks.remove(&webhook.id));
    webhooks::update(&bench.world.docs, &bench.caller("u1").uid, remove).await.unwrap();
    send(&bench, "msg_1").await;
    assert_eq!((receiver.seen().len(), stands(&bench, "msg_1").await.state), (0, DeliveryState::Dropped));
}

#[tokio::test]
async fn an_endpoint_that_asks_for_time_gets_it() {
    let (bench, receiver) = (bench().await, Receiver::start().await);
    let webhook = bench.webhook("u1", &receiver.url()).await;
    // The clock stands at Tue, 14 Nov 2023 22:13:20.
    let asked = [
        ("120", 120.0),
        ("Tue, 14 Nov 2023 23:13:20 GMT", 3600.0),
        ("Tue, 14 Nov 2023 22:00:00 GMT", 5.0),
        ("soon", 5.0),
        ("-7", 5.0),
        ("99999999999999999999", 5.0),
    ];
    for (n, (text, seconds)) in asked.into_iter().enumerate() {
        receiver.answers_headers(503, "retry-after", text.to_owned());
        let id = format!("msg_{n}");
        due(&bench, &webhook, &id).await;
        send(&bench, &id).await;
        let next = stands(&bench, &id).await.next_attempt_at.unwrap();
        assert_eq!(next.seconds_since(bench.now()), seconds, "{text}");
    }
}

#[tokio::test]
async fn a_body_without_end_is_read_as_far_as_it_is_kept() {
    let (bench, receiver) = (bench().await, Receiver::start().await);
    let endless = || futures::stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from("é?")));
    receiver.answers(move || Response::new(Body::from_stream(endless())));
    due(&bench, &bench.webhook("u1", &receiver.url()).await, "msg_1").await;
    send(&bench, "msg_1").await;
    let kept = stands(&bench, "msg_1").await;
    let body = kept.attempts[0].outcome.body.clone().unwrap();
    assert_eq!((kept.state, body.starts_with("é?é?")), (DeliveryState::Delivered, true));
    assert!(body.chars().count() <= 1024);
}

#[tokio::test]
async fn an_endpoint_that_never_answers_is_not_waited_for() {
    let (bench, listener) = (bench().await, tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap());
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let webhook = bench.webhook("u1", &url).await;
    let delivery = due(&bench, &webhook, "msg_1").await;
    let outcome = http::post(&bench.world, &webhook, &delivery, Duration::from_millis(100)).await;
    assert_eq!((outcome.status, outcome.error.as_deref()), (None, Some("there was no answer in time")));
}

#[tokio::test]
async fn what_is_no_message_is_refused_and_what_is_gone_is_no_error() {
    let bench = bench().await;
    assert_eq!(bench.tell(FUNCTION, push(&json!({"uid": "u1"}))).await, StatusCode::BAD_REQUEST);
    send(&bench, "msg_unknown").await;
}
