//! A Pub/Sub push.

use crate::{Problem, telemetry};
use axum::{
    body::to_bytes,
    extract::{FromRequest, Request},
    http::{HeaderValue, Method, Request as HttpRequest, header},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::{DateTime, Utc};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;
use std::collections::BTreeMap;

/// The most a push may weigh; our own messages are ids.
const PUSH_LIMIT: usize = 1024 * 1024;

/// A message whose data is JSON of a `T`.
#[derive(Clone, Debug, PartialEq)]
pub struct Push<T> {
    pub data: T,
    pub attributes: BTreeMap<String, String>,
    pub message_id: String,
}

#[derive(Deserialize)]
struct Envelope {
    message: Inner,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Inner {
    #[serde(default)]
    data: String,
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
    pub message_id: String,
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Push<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (Inner { attributes, message_id, .. }, data) = read(request).await?;
        telemetry::adopt(attributes.get(telemetry::TRACEPARENT).map(String::as_str));
        let data = serde_json::from_slice(&data).map_err(|error| refused(error.to_string()))?;
        Ok(Push { data, attributes, message_id })
    }
}

/// The message of a push, and its data.
pub(super) async fn read(request: Request) -> Result<(Inner, Vec<u8>), Problem> {
    let body = to_bytes(request.into_body(), PUSH_LIMIT).await.map_err(|_| refused("it is too large".into()))?;
    let envelope: Envelope = serde_json::from_slice(&body).map_err(|error| refused(error.to_string()))?;
    let data = BASE64_STANDARD.decode(&envelope.message.data).map_err(|error| refused(error.to_string()))?;
    Ok((envelope.message, data))
}

fn refused(what: String) -> Problem {
    Problem::bad_request(format!("this is not a message for this function: {what}"))
}

/// The request Pub/Sub makes for a message; `data` is base64 already.
pub fn encode_push(
    id: &str,
    data: &str,
    attributes: &BTreeMap<String, String>,
    attempt: u32,
    at: DateTime<Utc>,
) -> HttpRequest<axum::body::Body> {
    let time = at.to_rfc3339();
    let body = json!({
        "deliveryAttempt": attempt,
        "message": {"attributes": attributes, "data": data, "messageId": id, "message_id": id,
                    "publishTime": time, "publish_time": time},
        "subscription": "projects/local/subscriptions/push",
    });
    let mut request = HttpRequest::new(axum::body::Body::from(body.to_string()));
    *request.method_mut() = Method::POST;
    request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    request
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[tokio::test]
    async fn a_push_is_read_and_rubbish_is_refused_for_good() {
        let attributes = BTreeMap::from([("k".to_owned(), "v".to_owned())]);
        let data = BASE64_STANDARD.encode(r#"{"run":"r"}"#);
        let push = encode_push("m1", &data, &attributes, 1, DateTime::UNIX_EPOCH);
        let push = Push::<Value>::from_request(push, &()).await.unwrap();
        assert_eq!((push.data, push.attributes, push.message_id.as_str()), (json!({"run": "r"}), attributes, "m1"));
        let wrong = [
            String::new(),
            "{}".into(),
            r#"{"message":{"data":"%%","messageId":"1"}}"#.into(),
            r#"{"message":{"data":"bm90IGpzb24=","messageId":"1"}}"#.into(),
            "x".repeat(2 * 1024 * 1024),
        ];
        for body in wrong {
            let refused = Push::<Value>::from_request(HttpRequest::new(body.into()), &()).await;
            assert_eq!(refused.unwrap_err().status(), 400);
        }
    }
}
