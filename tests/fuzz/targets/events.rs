//! The three extractors of events, from any headers and any body. The first byte says which, and whether the headers
//! are Google's or the input's own; whatever is taken names a document or an object that can be named.
#![no_main]

use axum::{
    body::Body,
    extract::{FromRequest, Request},
    http::{HeaderName, HeaderValue},
};
use futures::executor::block_on;
use libfuzzer_sys::fuzz_target;
use platform::{BlobPath, DocPath};
use serde_json::Value;
use service::{
    World,
    events::{DocumentChange, Finalized, Push},
    testing::Bench,
};
use std::sync::OnceLock;

const DOCUMENT: &str = "google.cloud.firestore.document.v1.written";
const OBJECT: &str = "google.cloud.storage.object.v1.finalized";

static WORLD: OnceLock<World> = OnceLock::new();

/// Opening a store wants a runtime; the extractors do not.
fn world() -> World {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(Bench::new()).world
}

fn request(own_headers: bool, kind: &str, content_type: &str, data: &[u8]) -> Request {
    let end = data.windows(2).position(|pair| pair == b"\n\n").filter(|_| own_headers);
    let (lines, body) = end.map_or((&[][..], data), |end| (&data[..end], &data[end + 2..]));
    let mut request = Request::new(Body::from(body.to_vec()));
    let headers = request.headers_mut();
    if !own_headers {
        for (name, value) in [("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "//source"), ("ce-type", kind)] {
            headers.insert(name, HeaderValue::from_str(value).expect("a header"));
        }
        headers.insert("content-type", HeaderValue::from_str(content_type).expect("a header"));
    }
    for line in lines.split(|byte| *byte == b'\n') {
        let Some(at) = line.iter().position(|byte| *byte == b':') else { continue };
        let name = HeaderName::from_bytes(&line[..at]);
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(&line[at + 1..])) {
            headers.append(name, value);
        }
    }
    request
}

fuzz_target!(|data: &[u8]| {
    let Some((first, data)) = data.split_first() else { return };
    let own = first & 4 == 4;
    match first & 3 {
        0 => {
            let request = request(own, DOCUMENT, "application/protobuf", data);
            if let Ok(change) = block_on(DocumentChange::from_request(request, &())) {
                assert_eq!(DocPath::parse(change.path.as_str()).expect("a path"), change.path);
            }
        }
        1 => {
            let request = request(own, OBJECT, "application/json", data);
            if let Ok(object) = block_on(Finalized::from_request(request, WORLD.get_or_init(world))) {
                BlobPath::new(object.path.bucket(), object.path.name()).expect("a path");
            }
        }
        _ => {
            let request = request(own, "", "application/json", data);
            let _ = block_on(Push::<Value>::from_request(request, &()));
        }
    }
});
