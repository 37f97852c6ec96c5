//! A document was written: `google.cloud.firestore.document.v1.*`, protobuf in binary mode.

use super::{cloud_event, payload, proto};
use crate::{Problem, telemetry::adopt};
use axum::{
    extract::{FromRequest, Request},
    http::{Method, Request as HttpRequest},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::{DateTime, Utc};
use platform::{DocPath, docs::Body};
use prost::Message;

const PREFIX: &str = "google.cloud.firestore.document.v1.";
const KINDS: [&str; 4] = [
    "google.cloud.firestore.document.v1.created",
    "google.cloud.firestore.document.v1.updated",
    "google.cloud.firestore.document.v1.written",
    "google.cloud.firestore.document.v1.deleted",
];

/// Which document, and what the event says it looked like. Old by the time it is read: decide on the document itself.
#[derive(Clone, Debug, PartialEq)]
pub struct DocumentChange {
    pub path: DocPath,
    /// Absent for a deletion.
    pub value: Option<Body>,
    /// What it looked like before; absent for a new document.
    pub before: Option<Body>,
}

impl DocumentChange {
    /// A text field of the document as the event has it.
    pub fn text(&self, field: &str) -> Option<&str> {
        self.value.as_ref()?.get(field)?.as_str()
    }

    /// True where the write gave a document that was there another value of the field.
    pub fn alters(&self, field: &str) -> bool {
        let value = |body: &Option<Body>| body.as_ref().map(|body| body.get(field).cloned().unwrap_or_default());
        value(&self.before).is_some_and(|before| value(&self.value) != Some(before))
    }
}

impl<S: Send + Sync> FromRequest<S> for DocumentChange {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (event, _) = cloud_event(request, &KINDS).await?;
        let data = decode(&payload(&event)?)?;
        let document = data.value.as_ref().or(data.old_value.as_ref());
        let path = document.and_then(|document| document.path());
        let path = path.ok_or_else(|| Problem::bad_request("the event names no document"))?;
        let path = DocPath::parse(path).map_err(|error| Problem::bad_request(error.to_string()))?;
        let [value, before] = [data.value, data.old_value].map(|document| document.map(|document| document.json()));
        let change = DocumentChange { path, value, before };
        adopt(change.text("traceparent"));
        Ok(change)
    }
}

/// Production sends raw protobuf, the Firestore emulator the same in base64.
fn decode(bytes: &[u8]) -> Result<proto::DocumentEventData, Problem> {
    let named = |data: &proto::DocumentEventData| {
        [&data.value, &data.old_value].into_iter().flatten().any(|document| document.path().is_some())
    };
    let raw = proto::DocumentEventData::decode(bytes).ok().filter(named);
    let decoded = raw.or_else(|| {
        let bytes = BASE64_STANDARD.decode(bytes.trim_ascii()).ok()?;
        proto::DocumentEventData::decode(bytes.as_slice()).ok().filter(named)
    });
    decoded.ok_or_else(|| Problem::bad_request("the event's content is not a document event"))
}

/// The request Eventarc makes for a document's change. `id` names the event.
pub fn encode_document_event(
    id: &str,
    path: &DocPath,
    before: Option<&Body>,
    after: Option<&Body>,
    at: DateTime<Utc>,
) -> HttpRequest<axum::body::Body> {
    let kind = match (before, after) {
        (None, _) => "created",
        (Some(_), Some(_)) => "updated",
        (Some(_), None) => "deleted",
    };
    let name = format!("projects/local/databases/(default)/documents/{path}");
    let document = |body: &Body| proto::Document::new(name.clone(), body, at);
    let data = proto::DocumentEventData { value: after.map(document), old_value: before.map(document) };
    let mut request = HttpRequest::new(axum::body::Body::from(data.encode_to_vec()));
    *request.method_mut() = Method::POST;
    super::object::set_headers(
        request.headers_mut(),
        &[
            ("ce-specversion", "1.0"),
            ("ce-type", &format!("{PREFIX}{kind}")),
            ("ce-source", "//firestore.googleapis.com/projects/local/databases/(default)"),
            ("ce-id", id),
            ("ce-subject", &format!("documents/{path}")),
            ("ce-time", &at.to_rfc3339()),
            ("ce-datacontenttype", "application/protobuf"),
            ("ce-database", "(default)"),
            ("ce-document", path.as_str()),
            ("content-type", "application/protobuf"),
        ],
    );
    request
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    async fn read(request: HttpRequest<axum::body::Body>) -> Result<DocumentChange, Problem> {
        DocumentChange::from_request(request, &()).await
    }

    fn sample() -> (DocPath, Body) {
        let body =
            json!({"status": "queued", "items": 3, "ratio": 0.5, "plan": null, "nested": {"list": [1, "two", true]}});
        (DocPath::parse("users/u1/jobs/j1").unwrap(), body.as_object().unwrap().clone())
    }

    #[tokio::test]
    async fn an_event_says_which_document_and_what_it_held() {
        let (path, body) = sample();
        let event = encode_document_event("e1", &path, None, Some(&body), DateTime::UNIX_EPOCH);
        assert_eq!(event.headers()["ce-type"], "google.cloud.firestore.document.v1.created");
        let change = read(event).await.unwrap();
        assert_eq!(change, DocumentChange { path: path.clone(), value: Some(body.clone()), before: None });
        assert_eq!(change.text("status"), Some("queued"));
        let gone = read(encode_document_event("e2", &path, Some(&body), None, DateTime::UNIX_EPOCH)).await.unwrap();
        assert_eq!(gone, DocumentChange { path, value: None, before: Some(body) });
    }

    #[tokio::test]
    async fn an_event_says_what_the_write_altered() {
        let (path, before) = sample();
        let mut after = before.clone();
        after.insert("plan".into(), json!({"shards": 3}));
        after.remove("ratio");
        let event =
            |before: Option<&Body>| encode_document_event("e1", &path, before, Some(&after), DateTime::UNIX_EPOCH);
        let change = read(event(Some(&before))).await.unwrap();
        let altered = ["status", "items", "ratio", "plan", "nested", "absent"].map(|field| change.alters(field));
        assert_eq!(altered, [false, false, true, true, false, false]);
        assert!(!read(event(None)).await.unwrap().alters("plan"), "a new document alters none");
    }

    #[tokio::test]
    async fn the_emulators_base64_reads_the_same() {
        let (path, body) = sample();
        let (parts, content) = encode_document_event("e1", &path, None, Some(&body), DateTime::UNIX_EPOCH).into_parts();
        let raw = axum::body::to_bytes(content, usize::MAX).await.unwrap();
        let request = HttpRequest::from_parts(parts, BASE64_STANDARD.encode(raw).into());
        assert_eq!(read(request).await.unwrap().value, Some(body));
    }

    #[tokio::test]
    async fn googles_headers_and_a_mask_of_what_changed_are_read() {
        let (path, body) = sample();
        let (mut parts, content) =
            encode_document_event("e1", &path, Some(&body), Some(&body), DateTime::UNIX_EPOCH).into_parts();
        for (name, value) in [
            (
                "ce-dataschema",
                "https://github.com/googleapis/google-cloudevents/blob/main/proto/google/events/cloud/firestore/v1/data.proto",
            ),
            ("ce-location", "us-central1"),
            ("ce-project", "P"),
            ("ce-namespace", "(default)"),
        ] {
            parts.headers.insert(name, value.parse().unwrap());
        }
        parts.headers.insert("ce-type", "google.cloud.firestore.document.v1.written".parse().unwrap());
        let mut raw = axum::body::to_bytes(content, usize::MAX).await.unwrap().to_vec();
        // DocumentMask { field_paths: ["status"] } as field 3.
        raw.extend([0x1a, 0x08, 0x0a, 0x06]);
        raw.extend(b"status");
        let change = read(HttpRequest::from_parts(parts, raw.into())).await.unwrap();
        assert_eq!((change.path, change.value), (path, Some(body)));
    }

    #[tokio::test]
    async fn what_is_no_document_event_is_refused() {
        let (path, body) = sample();
        let event = || encode_document_event("e1", &path, None, Some(&body), DateTime::UNIX_EPOCH);
        let mut foreign = event();
        foreign.headers_mut().insert("ce-type", "google.cloud.storage.object.v1.finalized".parse().unwrap());
        let mut no_event = event();
        no_event.headers_mut().remove("ce-specversion");
        let mut malformed = event();
        *malformed.body_mut() = "not protobuf".into();
        let mut oversized = event();
        *oversized.body_mut() = vec![0u8; 2 * 1024 * 1024].into();
        let mut empty = event();
        *empty.body_mut() = axum::body::Body::empty();
        for request in [foreign, no_event, malformed, oversized, empty] {
            assert_eq!(read(request).await.unwrap_err().status(), 400);
        }
    }
}
