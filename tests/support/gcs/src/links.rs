//! Signed links: a plain GET or PUT of `/BUCKET/NAME`. The signature is taken on trust; its time is not, so that a test
//! sees a link run out.

use crate::{
    Draft, Refused, State,
    http_plane::{content, error},
};
use axum::{
    body::Bytes,
    extract::{self, Path, Query},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use platform::{Clock, blobs::LENGTH_RANGE};
use serde::Deserialize;

#[derive(Deserialize)]
pub(crate) struct Signed {
    #[serde(rename = "X-Goog-Date")]
    date: String,
    /// In seconds.
    #[serde(rename = "X-Goog-Expires")]
    expires: i64,
    /// Names with semicolons between them.
    #[serde(rename = "X-Goog-SignedHeaders", default)]
    headers: String,
    #[serde(rename = "X-Goog-Signature")]
    signature: String,
    #[serde(rename = "response-content-disposition")]
    disposition: Option<String>,
}

pub(crate) async fn get(
    extract::State(state): extract::State<State>,
    Path((bucket, object)): Path<(String, String)>,
    Query(signed): Query<Signed>,
    headers: HeaderMap,
) -> Response {
    if !signed.is_good(Clock::system().now()) {
        return error(StatusCode::BAD_REQUEST, "The link has expired.");
    }
    let Some(stored) = state.objects.get(&bucket, &object) else {
        return error(StatusCode::NOT_FOUND, "The specified key does not exist.");
    };
    let mut response = content(&stored, &headers);
    if let Some(disposition) = signed.disposition.and_then(|text| text.parse().ok()) {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, disposition);
    }
    response
}

pub(crate) async fn put(
    extract::State(state): extract::State<State>,
    Path((bucket, name)): Path<(String, String)>,
    Query(signed): Query<Signed>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if !signed.is_good(Clock::system().now()) {
        return error(StatusCode::BAD_REQUEST, "The link has expired.");
    }
    if !signed.is_sent_with(&headers) {
        return error(StatusCode::BAD_REQUEST, "A signed header is missing.");
    }
    if most(&headers).is_some_and(|most| body.len() as u64 > most) {
        return error(StatusCode::BAD_REQUEST, "Your proposed upload exceeds the maximum allowed object size.");
    }
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let content_type = content_type.unwrap_or("application/octet-stream").to_owned();
    match state.objects.put(Draft { bucket, name, content_type, ..Draft::default() }, body) {
        Ok(_) => StatusCode::OK.into_response(),
        Err(Refused::NoBucket) => error(StatusCode::NOT_FOUND, "The specified bucket does not exist."),
        Err(_) => error(StatusCode::PRECONDITION_FAILED, "A precondition did not hold."),
    }
}

impl Signed {
    fn is_good(&self, now: DateTime<Utc>) -> bool {
        let begun = NaiveDateTime::parse_from_str(&self.date, "%Y%m%dT%H%M%SZ").map(|time| time.and_utc());
        let ends = begun.map(|begun| begun + TimeDelta::seconds(self.expires));
        !self.signature.is_empty() && ends.is_ok_and(|end| now <= end)
    }

    fn is_sent_with(&self, headers: &HeaderMap) -> bool {
        let mut names = self.headers.split(';').filter(|name| !matches!(*name, "" | "host"));
        names.all(|name| headers.contains_key(name))
    }
}

/// The most bytes that `x-goog-content-length-range` allows.
fn most(headers: &HeaderMap) -> Option<u64> {
    headers.get(LENGTH_RANGE)?.to_str().ok()?.split_once(',')?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_runs_out() {
        let date = "20261123T120000Z".into();
        let signed = Signed { date, expires: 60, headers: "host".into(), signature: "ab".into(), disposition: None };
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        assert!(signed.is_good(at("2026-11-23T12:01:00Z")));
        assert!(!signed.is_good(at("2026-11-23T12:01:01Z")));
        assert!(!Signed { date: "yesterday".into(), ..signed }.is_good(at("2026-11-23T12:00:00Z")));
    }

    #[test]
    fn a_header_that_was_signed_must_be_sent_and_says_how_much_may_be() {
        let headers = "host;x-goog-content-length-range".into();
        let signed = Signed { date: String::new(), expires: 60, headers, signature: "ab".into(), disposition: None };
        let mut sent = HeaderMap::new();
        assert!(!signed.is_sent_with(&sent));
        sent.insert(LENGTH_RANGE, header::HeaderValue::from_static("0,5"));
        assert_eq!((signed.is_sent_with(&sent), most(&sent)), (true, Some(5)));
    }
}
