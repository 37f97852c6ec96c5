//! Messages through Pub/Sub.

use crate::{PROJECT, on};
use base64::{Engine, prelude::BASE64_STANDARD};
use emulators::{Emulator, PubSub};
use libtest_mimic::Trial;
use platform::{
    Clock, Message, conformance,
    google::{self, Endpoint},
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub fn trials(emulator: Option<&Emulator>) -> Vec<Trial> {
    vec![
        on(emulator, "pubsub_passes_the_suite_of_messages", suite),
        on(emulator, "publishing_to_a_topic_that_is_not_there_fails_at_once", no_topic),
    ]
}

async fn suite(address: String) {
    let pubsub = PubSub::new(address.parse().unwrap(), PROJECT);
    pubsub.topic("suite").await.unwrap();
    pubsub.subscription("reader", "suite", json!({})).await.unwrap();
    let bus = google::bus(PROJECT, Some(Endpoint::new(&address)), &Clock::system());
    let received = || async {
        let mut messages = vec![];
        // A pull may bring less than there is.
        while messages.len() < 2 {
            messages.extend(pubsub.pull("reader").await.unwrap().iter().map(message));
        }
        messages
    };
    conformance::bus(&bus, "suite", received).await;
}

fn message(pulled: &Value) -> Message {
    let attributes: Option<BTreeMap<String, String>> = serde_json::from_value(pulled["attributes"].clone()).ok();
    let data = BASE64_STANDARD.decode(pulled["data"].as_str().unwrap()).unwrap();
    Message { data, attributes: attributes.unwrap_or_default() }
}

async fn no_topic(address: String) {
    let bus = google::bus(PROJECT, Some(Endpoint::new(&address)), &Clock::system());
    let begun = std::time::Instant::now();
    let message = Message { data: b"x".to_vec(), ..Message::default() };
    assert!(bus.publish("nobody-made-it", message).await.is_err());
    assert!(begun.elapsed().as_secs() < 10, "trying again would not help");
}
