//! The embedded adapters against the suites of their ports, and what only they promise: durability in one folder.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use base64::{Engine, prelude::BASE64_STANDARD};
use platform::{
    BlobPath, Clock, Collection, Message, PutOptions, conformance,
    embedded::{Event, Links, Store},
    guard,
};
use serde_json::{Value, json};
use std::sync::Arc;

/// What was published and not yet delivered.
async fn messages(store: &Store) -> Vec<Message> {
    store.route(|_| vec!["subscriber".into()]).await.unwrap();
    let due = store.due(Clock::system().now(), vec![], 10_000).await.unwrap();
    let message = |event| match event {
        Event::Message { data, attributes, .. } => {
            Some(Message { data: BASE64_STANDARD.decode(data).unwrap(), attributes })
        }
        _ => None,
    };
    due.into_iter().filter_map(|delivery| message(delivery.change.event)).collect()
}

fn scratch() -> Store {
    Store::scratch(Clock::system()).unwrap()
}

#[tokio::test]
async fn embedded_documents_pass_the_suite() {
    conformance::docs(&scratch().docs(), "suite").await;
}

#[tokio::test]
async fn embedded_objects_pass_the_suite() {
    conformance::blobs(&scratch().blobs(), "suite").await;
}

#[tokio::test]
async fn embedded_messages_pass_the_suite() {
    let store = scratch();
    conformance::bus(&store.bus(), "topic", || messages(&store)).await;
}

#[tokio::test]
async fn embedded_executions_pass_the_suite() {
    conformance::executions(&scratch().executions(), "predict-worker").await;
}

#[tokio::test]
async fn every_port_passes_its_suite_through_a_guard() {
    let clock = Clock::system();
    let store = Arc::new(scratch());
    conformance::docs(&guard::docs("documents", store.clone(), &clock), "suite").await;
    conformance::blobs(&guard::blobs("objects", store.clone(), &clock), "suite").await;
    conformance::executions(&guard::executions("executions", store.clone(), &clock), "predict-worker").await;
    let bus = guard::bus("messages", store.clone(), &clock);
    conformance::bus(&bus, "topic", || messages(&store)).await;
}

#[test]
fn both_clocks_pass_the_suite_and_only_the_manual_one_is_moved_by_hand() {
    let (system, manual) = (Clock::system(), Clock::manual(chrono::DateTime::UNIX_EPOCH));
    conformance::clock(&system);
    conformance::clock(&manual);
    assert_eq!(manual.now().timestamp(), 3600, "it stands still but for the hour it was moved");
    assert!((system.now() - Clock::system().now()).num_seconds().abs() < 60);
}

#[tokio::test]
async fn what_was_written_and_not_yet_delivered_survives_a_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let links = || Links::signed("http://127.0.0.1:1/storage/".parse().unwrap(), b"key".to_vec());
    let open = || Store::open(folder.path(), Clock::system(), links()).unwrap();
    let (doc, blob) = (Collection::root("c").doc("d"), BlobPath::new("b", "n").unwrap());
    {
        let store = open();
        store.docs().create(&doc, &json!({"n": 1})).await.unwrap();
        store.blobs().put_bytes(&blob, "content", PutOptions::default()).await.unwrap();
        store.route(|_| vec!["one".into(), "two".into()]).await.unwrap();
        store.bus().publish("t", Message::default()).await.unwrap();
        let first = store.due(Clock::system().now(), vec![], 1).await.unwrap().remove(0);
        store.acknowledge(first.id).await.unwrap();
    }
    let store = open();
    assert_eq!(store.docs().get::<Value>(&doc).await.unwrap().value, json!({"n": 1}));
    assert_eq!(store.blobs().get(&blob, 100).await.unwrap(), "content");
    assert_eq!(store.outstanding().await.unwrap(), 4, "three deliveries and one change that was never routed");
}

#[tokio::test]
async fn a_refused_delivery_waits_and_a_dead_one_is_set_aside() {
    let store = scratch();
    let now = Clock::system().now();
    store.bus().publish("t", Message::default()).await.unwrap();
    store.route(|_| vec!["s".into()]).await.unwrap();
    assert_eq!(store.route(|_| vec!["s".into()]).await.unwrap(), 0, "a change is routed once");
    let delivery = store.due(now, vec![], 10).await.unwrap().remove(0);
    assert!(store.due(now, vec![delivery.id], 10).await.unwrap().is_empty(), "it is under way");
    let later = now + chrono::TimeDelta::seconds(10);
    store.refuse(delivery.id, later, false, "503".into()).await.unwrap();
    assert!(store.due(now, vec![], 10).await.unwrap().is_empty());
    let again = store.due(later, vec![], 10).await.unwrap().remove(0);
    assert_eq!((again.attempts, again.error.as_str()), (1, "503"));
    store.refuse(again.id, later, true, "500".into()).await.unwrap();
    assert!(store.due(later, vec![], 10).await.unwrap().is_empty());
    assert_eq!(store.dead(10).await.unwrap().len(), 1);
}
