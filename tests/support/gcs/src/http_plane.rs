//! The JSON interface, as far as contents go: uploads in one request or in pieces, and reads of a whole object or a
//! range.

use crate::{
    Draft, Refused, State, Stored, multipart,
    uploads::{Piece, Progress},
};
use axum::{
    Json,
    body::Bytes,
    extract::{self, Path, Query},
    http::{HeaderMap, HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::SecondsFormat;
use serde::Deserialize;
use serde_json::json;
use std::{collections::BTreeMap, ops::Range};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UploadQuery {
    upload_type: Option<String>,
    name: Option<String>,
    if_generation_match: Option<i64>,
    #[serde(rename = "upload_id")]
    upload_id: Option<String>,
}

/// What a sender says of an object.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Resource {
    name: Option<String>,
    content_type: String,
    metadata: BTreeMap<String, String>,
    crc32c: Option<String>,
}

/// `POST /upload/…`: a whole object, or the beginning of one in pieces.
pub(crate) async fn begin(
    extract::State(state): extract::State<State>,
    Path(bucket): Path<String>,
    Query(query): Query<UploadQuery>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let malformed = || error(StatusCode::BAD_REQUEST, "the upload is malformed");
    match query.upload_type.as_deref() {
        Some("multipart") => {
            let Some(parts) = multipart::parts(text(&headers, header::CONTENT_TYPE), &body) else { return malformed() };
            let [resource, content, rest @ ..] = parts.as_slice() else { return malformed() };
            let Ok(mut resource) = serde_json::from_slice::<Resource>(resource) else { return malformed() };
            // The checksum may follow the content.
            if let Some(trailer) = rest.first().and_then(|part| serde_json::from_slice::<Resource>(part).ok()) {
                resource.crc32c = resource.crc32c.or(trailer.crc32c);
            }
            written(state.objects.put(draft(bucket, query, resource), content.clone()))
        }
        Some("resumable") => {
            let Ok(resource) = serde_json::from_slice::<Resource>(&body) else { return malformed() };
            let draft = draft(bucket, query, resource);
            if let Err(refused) = state.objects.may_write(&draft) {
                return written(Err(refused));
            }
            let place = format!("{}/upload/storage/v1/b/{}/o", state.url, draft.bucket);
            let id = state.uploads.begin(draft);
            [(header::LOCATION, format!("{place}?uploadType=resumable&upload_id={id}"))].into_response()
        }
        _ => malformed(),
    }
}

/// `PUT /upload/…`: one piece, or the question how far it got.
pub(crate) async fn go_on(
    extract::State(state): extract::State<State>,
    Query(query): Query<UploadQuery>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let piece = Piece::parse(text(&headers, header::CONTENT_RANGE));
    let (Some(id), Some(piece)) = (query.upload_id, piece) else {
        return error(StatusCode::BAD_REQUEST, "the piece names no upload or no place in it");
    };
    match state.uploads.take(&id, piece, &body, hash_of(&headers)) {
        Progress::Unknown => error(StatusCode::NOT_FOUND, "no such upload"),
        Progress::Done(stored) => Json(resource(&stored)).into_response(),
        Progress::Waiting(0) => StatusCode::PERMANENT_REDIRECT.into_response(),
        Progress::Waiting(arrived) => {
            (StatusCode::PERMANENT_REDIRECT, [(header::RANGE, format!("bytes=0-{}", arrived - 1))]).into_response()
        }
        Progress::Complete(draft, content) => {
            let outcome = state.objects.put(*draft, content);
            if let Ok(stored) = &outcome {
                state.uploads.done(&id, stored.clone());
            }
            written(outcome)
        }
    }
}

/// `GET /storage/v1/…`: the content, or a range of it.
pub(crate) async fn read(
    extract::State(state): extract::State<State>,
    Path((bucket, object)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    match state.objects.get(&bucket, &object) {
        Some(stored) => content(&stored, &headers),
        None => error(StatusCode::NOT_FOUND, "No such object"),
    }
}

/// The content of an object as both kinds of reads get it.
pub(crate) fn content(stored: &Stored, headers: &HeaderMap) -> Response {
    let size = stored.content.len();
    let named = |name| HeaderName::from_static(name);
    let facts = [
        (header::CONTENT_TYPE, stored.content_type.clone()),
        (header::ETAG, format!("\"{}\"", stored.generation)),
        (named("x-goog-generation"), stored.generation.to_string()),
        (named("x-goog-metageneration"), "1".to_owned()),
        (named("x-goog-stored-content-length"), size.to_string()),
        (named("x-goog-storage-class"), "STANDARD".to_owned()),
        (named("x-goog-hash"), format!("crc32c={}", base64_of(stored.crc32c))),
    ];
    let Some(asked) = text(headers, header::RANGE).strip_prefix("bytes=") else {
        return (facts, stored.content.clone()).into_response();
    };
    match range(asked, size) {
        Some(range) => {
            let place = format!("bytes {}-{}/{size}", range.start, range.end - 1);
            let cut = stored.content.slice(range);
            (StatusCode::PARTIAL_CONTENT, facts, [(header::CONTENT_RANGE, place)], cut).into_response()
        }
        None => error(StatusCode::RANGE_NOT_SATISFIABLE, "The requested range cannot be satisfied."),
    }
}

/// The bytes of `0-9`, `10-` or `-5` that are there; `None` if that is none.
fn range(asked: &str, size: usize) -> Option<Range<usize>> {
    let range = match asked.split_once('-')? {
        ("", last) => size.saturating_sub(last.parse().ok()?)..size,
        (begin, "") => begin.parse().ok()?..size,
        (begin, end) => begin.parse().ok()?..end.parse::<usize>().ok()?.saturating_add(1).min(size),
    };
    (!range.is_empty()).then_some(range)
}

fn draft(bucket: String, query: UploadQuery, resource: Resource) -> Draft {
    Draft {
        bucket,
        name: query.name.or(resource.name).unwrap_or_default(),
        content_type: resource.content_type,
        metadata: resource.metadata,
        crc32c: resource.crc32c.as_deref().and_then(crc_of),
        if_generation: query.if_generation_match,
    }
}

fn written(outcome: Result<Stored, Refused>) -> Response {
    match outcome {
        Ok(stored) => Json(resource(&stored)).into_response(),
        Err(Refused::NoBucket) => error(StatusCode::NOT_FOUND, "The specified bucket does not exist."),
        Err(Refused::Precondition) => {
            error(StatusCode::PRECONDITION_FAILED, "A precondition that you specified did not hold.")
        }
        Err(Refused::Checksum) => error(StatusCode::BAD_REQUEST, "The checksum does not fit the content."),
    }
}

/// An object as the JSON interface and the finalize event describe it: 64-bit numbers are text.
pub(crate) fn resource(stored: &Stored) -> serde_json::Value {
    let time = stored.created_at.to_rfc3339_opts(SecondsFormat::Millis, true);
    json!({
        "kind": "storage#object", "id": format!("{}/{}/{}", stored.bucket, stored.name, stored.generation),
        "bucket": stored.bucket, "name": stored.name, "generation": stored.generation.to_string(),
        "metageneration": "1", "contentType": stored.content_type, "metadata": stored.metadata,
        "size": stored.content.len().to_string(), "crc32c": base64_of(stored.crc32c), "storageClass": "STANDARD",
        "etag": stored.generation.to_string(), "timeCreated": time, "updated": time,
    })
}

/// A refusal as the JSON interface words it.
pub(crate) fn error(status: StatusCode, message: &str) -> Response {
    let reason = match status {
        StatusCode::NOT_FOUND => "notFound",
        StatusCode::PRECONDITION_FAILED => "conditionNotMet",
        _ => "invalid",
    };
    let errors = [json!({"message": message, "domain": "global", "reason": reason})];
    (status, Json(json!({"error": {"code": status.as_u16(), "message": message, "errors": errors}}))).into_response()
}

fn text(headers: &HeaderMap, name: HeaderName) -> &str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn hash_of(headers: &HeaderMap) -> Option<u32> {
    let hashes = text(headers, HeaderName::from_static("x-goog-hash"));
    crc_of(hashes.split(',').find_map(|hash| hash.trim().strip_prefix("crc32c="))?)
}

fn crc_of(text: &str) -> Option<u32> {
    Some(u32::from_be_bytes(BASE64_STANDARD.decode(text).ok()?.try_into().ok()?))
}

fn base64_of(crc32c: u32) -> String {
    BASE64_STANDARD.encode(crc32c.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_cut_at_the_end_and_one_past_it_is_refused() {
        assert_eq!(range("0-3", 10), Some(0..4));
        assert_eq!(range("8-99", 10), Some(8..10));
        assert_eq!(range("8-", 10), Some(8..10));
        assert_eq!(range("-3", 10), Some(7..10));
        assert_eq!(range("10-12", 10), None);
        assert_eq!(range("words", 10), None);
    }
}
