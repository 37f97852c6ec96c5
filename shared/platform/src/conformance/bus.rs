use crate::{Bus, Message};
use std::{collections::BTreeMap, future::Future};

/// Publishes to `topic` and asks `received` for what arrived there: every message at least once, byte for byte.
pub async fn bus<F, R>(bus: &Bus, topic: &str, received: F)
where
    F: Fn() -> R,
    R: Future<Output = Vec<Message>>,
{
    let attributes = BTreeMap::from([("traceparent".to_owned(), "00-0af7-b7ad-01".to_owned())]);
    let sent = [
        Message { data: br#"{"run":"r1"}"#.to_vec(), attributes },
        Message { data: vec![0, 159, 146, 150], attributes: BTreeMap::new() },
    ];
    for message in &sent {
        bus.publish(topic, message.clone()).await.unwrap();
    }
    let arrived = received().await;
    assert!(sent.iter().all(|message| arrived.contains(message)), "{arrived:?}");
}
