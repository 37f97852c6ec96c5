//! The load balancer and the storage's front door: one router over every HTTP function, and signed links.

use crate::Cloud;
use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Path, Query, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use futures::StreamExt;
use platform::{BlobPath, Method, PutOptions, blobs::LENGTH_RANGE};
use serde::Deserialize;
use service::{Trigger, World, start::stopped};
use std::{error::Error, io};
use tokio::net::TcpListener;

/// Everything that is reached over HTTP.
pub fn http(cloud: &Cloud) -> Router {
    let http = hub::ALL.iter().filter(|function| function.trigger == Trigger::Http);
    let routes = http.filter_map(service::Function::routes).fold(Router::<World>::new(), Router::merge);
    let storage = Router::new().route("/storage/{bucket}/{*name}", get(download).put(upload)).with_state(cloud.clone());
    service::serve(routes, cloud.world.clone()).merge(storage)
}

/// Serves until the process is told to stop; requests under way are finished.
pub async fn listen(cloud: &Cloud, listener: TcpListener) -> io::Result<()> {
    axum::serve(listener, http(cloud)).with_graceful_shutdown(stopped()).await
}

/// What a signed link carries.
#[derive(Deserialize)]
struct Signature {
    expires: i64,
    filename: String,
    signature: String,
}

/// The object of a link, if the link allows this.
fn allowed(cloud: &Cloud, bucket: String, name: String, method: Method, link: &Signature) -> Option<BlobPath> {
    let path = BlobPath::new(bucket, name).ok()?;
    let clock = &cloud.world.clock;
    cloud.links.allows(&path, method, link.expires, &link.filename, &link.signature, clock).then_some(path)
}

const FORBIDDEN: (StatusCode, &str) = (StatusCode::FORBIDDEN, "the link is not valid, or not any more\n");
/// As Cloud Storage answers.
const UNBOUNDED: (StatusCode, &str) =
    (StatusCode::BAD_REQUEST, "MalformedSecurityHeader: send x-goog-content-length-range as it came with the link\n");
const TOO_LARGE: (StatusCode, &str) =
    (StatusCode::BAD_REQUEST, "EntityTooLarge: the file is larger than x-goog-content-length-range allows\n");

async fn download(
    State(cloud): State<Cloud>,
    Path((bucket, name)): Path<(String, String)>,
    Query(link): Query<Signature>,
) -> Response {
    let Some(path) = allowed(&cloud, bucket, name, Method::Get, &link) else { return FORBIDDEN.into_response() };
    match cloud.world.blobs.read(&path, None).await {
        Ok((meta, chunks)) => {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_LENGTH, meta.size.into());
            let kind = HeaderValue::from_str(&meta.content_type);
            headers.insert(header::CONTENT_TYPE, kind.unwrap_or(HeaderValue::from_static("application/octet-stream")));
            let name = HeaderValue::from_str(&format!("attachment; filename=\"{}\"", link.filename.replace('"', "_")));
            if let Some(name) = name.ok().filter(|_| !link.filename.is_empty()) {
                headers.insert(header::CONTENT_DISPOSITION, name);
            }
            (headers, Body::from_stream(chunks)).into_response()
        }
        Err(platform::Error::NotFound(_)) => (StatusCode::NOT_FOUND, "there is no such object\n").into_response(),
        Err(error) => failed(&error),
    }
}

async fn upload(
    State(cloud): State<Cloud>,
    Path((bucket, name)): Path<(String, String)>,
    Query(link): Query<Signature>,
    request: Request,
) -> Response {
    let Some(most) = most(request.headers()) else { return UNBOUNDED.into_response() };
    let method = Method::Put { most };
    let Some(path) = allowed(&cloud, bucket, name, method, &link) else { return FORBIDDEN.into_response() };
    let mut left = most;
    let bounded = move |chunk: Result<Bytes, axum::Error>| {
        let chunk = chunk.map_err(io::Error::other)?;
        left = left.checked_sub(chunk.len() as u64).ok_or(io::ErrorKind::FileTooLarge)?;
        Ok(chunk)
    };
    let chunks = request.into_body().into_data_stream().map(bounded).boxed();
    match cloud.world.blobs.put(&path, chunks, PutOptions::default()).await {
        Ok(_) => StatusCode::OK.into_response(),
        Err(error) if is_too_large(&error) => TOO_LARGE.into_response(),
        Err(error) => failed(&error),
    }
}

/// The most bytes that a request says its link allows; whether that is so, the signature tells.
fn most(headers: &HeaderMap) -> Option<u64> {
    headers.get(LENGTH_RANGE)?.to_str().ok()?.strip_prefix("0,")?.parse().ok()
}

fn is_too_large(error: &platform::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.downcast_ref::<io::Error>().is_some_and(|io| io.kind() == io::ErrorKind::FileTooLarge) {
            return true;
        }
        cause = error.source();
    }
    false
}

fn failed(error: &platform::Error) -> Response {
    tracing::error!(error = %service::chain(error), "the storage failed");
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}
