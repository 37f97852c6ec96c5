//! Eventarc and Pub/Sub: who is told of what, in which bytes, and what happens when they do not take it.

use axum::{
    Router,
    body::Body,
    http::{HeaderValue, Request},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use hub::ALL;
use platform::{
    Clock, Error, Message,
    embedded::{Change, Delivery, Event, Store},
};
use service::{
    Function, Trigger,
    events::{
        dead_letter::{ATTEMPTS, SUBSCRIPTION},
        encode_document_event, encode_object_event, encode_push,
    },
    places,
};
use std::{collections::HashMap, time::Duration};
use tower::ServiceExt;

/// Attempts before a delivery is set aside as dead.
pub const MAX_ATTEMPTS: u32 = 20;
/// The first wait after a failure, in milliseconds; it doubles up to [`LONGEST_WAIT`].
const FIRST_WAIT: i64 = 100;
const LONGEST_WAIT: i64 = 30_000;
/// A handler that takes longer has not acknowledged.
const ACKNOWLEDGE_WITHIN: Duration = Duration::from_secs(600);

/// The functions that are told of an event.
pub fn subscribers(event: &Event) -> Vec<String> {
    let wants = |function: &&Function| match (event, function.trigger) {
        (Event::Document { path, after: Some(_), .. }, Trigger::DocumentWritten { pattern }) => {
            fits(&path.segments(), pattern)
        }
        (Event::Object(meta), Trigger::ObjectFinalized { bucket }) => meta.path.bucket() == bucket,
        (Event::Message { topic, .. }, Trigger::Message { topic: wanted }) => topic == wanted,
        _ => false,
    };
    ALL.iter().filter(wants).map(|function| function.name.to_owned()).collect()
}

/// The topic whose messages a function is told of.
fn subscribed_to(function: &str) -> Option<&'static str> {
    ALL.iter().find(|one| one.name == function).and_then(|function| match function.trigger {
        Trigger::Message { topic } => Some(topic),
        _ => None,
    })
}

fn fits(segments: &[&str], pattern: &str) -> bool {
    let pattern: Vec<_> = pattern.split('/').collect();
    pattern.len() == segments.len() && pattern.iter().zip(segments).all(|(p, s)| *p == "*" || p == s)
}

/// The request Google would make.
pub fn request(delivery: &Delivery) -> Request<Body> {
    let Change { at, event } = &delivery.change;
    let id = format!("local-{}", delivery.id);
    match event {
        Event::Document { path, before, after } => {
            encode_document_event(&id, path, before.as_ref(), after.as_ref(), *at)
        }
        Event::Object(meta) => encode_object_event(&id, meta, ""),
        Event::Message { data, attributes, .. } => encode_push(&id, data, attributes, delivery.attempts + 1, *at),
    }
}

/// The message Pub/Sub makes of what is given up: the message itself, or the event with its context attributes.
pub async fn dead_letter(delivery: &Delivery) -> platform::Result<Message> {
    let mut message = match &delivery.change.event {
        Event::Message { data, attributes, .. } => {
            let data = BASE64_STANDARD.decode(data).map_err(|error| Error::internal("reading a message", error))?;
            Message { data, attributes: attributes.clone() }
        }
        Event::Document { .. } | Event::Object(_) => {
            let (parts, body) = request(delivery).into_parts();
            let data = axum::body::to_bytes(body, usize::MAX).await;
            let data = data.map_err(|error| Error::internal("reading an event", error))?;
            let text = |value: &HeaderValue| value.to_str().map(str::to_owned).ok();
            let of_event = parts.headers.iter().filter(|(name, _)| name.as_str().starts_with("ce-"));
            let attributes = of_event.filter_map(|(name, value)| Some((name.to_string(), text(value)?)));
            Message { data: data.into(), attributes: attributes.collect() }
        }
    };
    message.attributes.insert(SUBSCRIPTION.to_owned(), delivery.subscriber.clone());
    message.attributes.insert(ATTEMPTS.to_owned(), (delivery.attempts + 1).to_string());
    Ok(message)
}

/// Makes one attempt and writes down how it went. What is given up becomes a dead letter.
pub async fn attempt(
    store: &Store,
    clock: &Clock,
    routers: &HashMap<&'static str, Router>,
    delivery: Delivery,
) -> platform::Result<()> {
    let Some(router) = routers.get(delivery.subscriber.as_str()) else {
        return store.refuse(delivery.id, clock.now(), true, "there is no such function".into()).await;
    };
    let answer = tokio::time::timeout(ACKNOWLEDGE_WITHIN, router.clone().oneshot(request(&delivery))).await;
    let error = match answer {
        Ok(Ok(response)) if response.status().is_success() => return store.acknowledge(delivery.id).await,
        Ok(Ok(response)) => {
            let body = axum::body::to_bytes(response.into_body(), 64 * 1024).await.unwrap_or_default();
            String::from_utf8_lossy(&body).into_owned()
        }
        Ok(Err(never)) => match never {},
        Err(_) => "no answer in time".to_owned(),
    };
    let attempts = delivery.attempts + 1;
    let dead = attempts >= MAX_ATTEMPTS;
    let wait = FIRST_WAIT.saturating_mul(1 << attempts.min(16)).min(LONGEST_WAIT);
    tracing::warn!(function = delivery.subscriber, attempts, dead, error, "a delivery was refused");
    if dead && subscribed_to(&delivery.subscriber) != Some(places::DEAD_LETTER) {
        store.bus().publish(places::DEAD_LETTER, dead_letter(&delivery).await?).await?;
    }
    let again = clock.now() + chrono::TimeDelta::milliseconds(wait);
    store.refuse(delivery.id, again, dead, error).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use platform::{BlobPath, DocPath, ObjectMeta};

    #[test]
    fn an_event_reaches_the_functions_whose_trigger_fits() {
        let document = |path: &str| Event::Document {
            path: DocPath::parse(path).unwrap(),
            before: None,
            after: Some(serde_json::Map::new()),
        };
        assert_eq!(subscribers(&document("users/u1/jobs/j1")), ["aggregate-run", "plan-run"]);
        assert_eq!(subscribers(&document("users/u1/notices/j1.job.failed")), ["on-notice"]);
        assert!(subscribers(&document("users/u1/jobs/j1/shards/00000")).is_empty());
        let object = |bucket: &str| {
            Event::Object(ObjectMeta {
                path: BlobPath::new(bucket, "n").unwrap(),
                generation: 1,
                size: 0,
                content_type: String::new(),
                metadata: Default::default(),
                crc32c: 0,
                created_at: Default::default(),
            })
        };
        assert_eq!(subscribers(&object("reports")), ["on-shard-report"]);
        assert_eq!(subscribers(&object("uploads")), ["on-library-uploaded"]);
        assert!(subscribers(&object("artifacts")).is_empty());
    }
}
