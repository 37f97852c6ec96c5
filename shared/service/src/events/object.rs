//! An object was written: `google.cloud.storage.object.v1.finalized`, JSON.

use super::{cloud_event, payload};
use crate::{Problem, World, telemetry};
use axum::{
    extract::{FromRequest, Request},
    http::{HeaderMap, HeaderName, HeaderValue, Method, Request as HttpRequest},
};
use platform::{BlobPath, ObjectMeta};
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;

const KIND: &str = "google.cloud.storage.object.v1.finalized";

/// Which object was written. The generation tells one writing of a name from the next.
#[derive(Clone, Debug, PartialEq)]
pub struct Finalized {
    pub path: BlobPath,
    pub generation: i64,
    /// In bytes.
    pub size: u64,
}

#[derive(Deserialize)]
pub(super) struct StorageObject {
    pub bucket: String,
    pub name: String,
    pub generation: String,
    size: String,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
}

impl FromRequest<World> for Finalized {
    type Rejection = Problem;

    async fn from_request(request: Request, world: &World) -> Result<Self, Problem> {
        let (event, _) = cloud_event(request, &[KIND]).await?;
        let refused = |what: String| Problem::bad_request(format!("the event's content is not an object: {what}"));
        let object: StorageObject =
            serde_json::from_slice(&payload(&event)?).map_err(|error| refused(error.to_string()))?;
        telemetry::adopt(object.metadata.get(telemetry::TRACEPARENT).map(String::as_str));
        let bucket = object.bucket.strip_prefix(&world.settings.bucket_prefix);
        let bucket = bucket.ok_or_else(|| refused(format!("the bucket {:?} is not ours", object.bucket)))?;
        let path = BlobPath::new(bucket, object.name).map_err(|error| refused(error.to_string()))?;
        let number = |text: &str| text.parse::<i64>().map_err(|_| refused(format!("{text:?} is not a number")));
        let size = u64::try_from(number(&object.size)?).map_err(|_| refused("a negative size".into()))?;
        Ok(Finalized { path, generation: number(&object.generation)?, size })
    }
}

/// The request Eventarc makes for a written object.
pub fn encode_object_event(id: &str, meta: &ObjectMeta, bucket_prefix: &str) -> HttpRequest<axum::body::Body> {
    let bucket = format!("{bucket_prefix}{}", meta.path.bucket());
    let time = meta.created_at.to_rfc3339();
    let object = json!({
        "kind": "storage#object", "bucket": bucket, "name": meta.path.name(),
        "generation": meta.generation.to_string(), "metageneration": "1", "contentType": meta.content_type,
        "size": meta.size.to_string(), "metadata": meta.metadata, "timeCreated": time, "updated": time,
    });
    let mut request = HttpRequest::new(axum::body::Body::from(object.to_string()));
    *request.method_mut() = Method::POST;
    set_headers(
        request.headers_mut(),
        &[
            ("ce-specversion", "1.0"),
            ("ce-type", KIND),
            ("ce-source", &format!("//storage.googleapis.com/projects/_/buckets/{bucket}")),
            ("ce-id", id),
            ("ce-subject", &format!("objects/{}", meta.path.name())),
            ("ce-time", &time),
            ("ce-bucket", &bucket),
            ("content-type", "application/json; charset=utf-8"),
        ],
    );
    request
}

/// Sets headers whose values were made here; one that is no header value (an object's name beyond ASCII) is left out,
/// as it is also in the content.
pub(super) fn set_headers(headers: &mut HeaderMap, pairs: &[(&'static str, &str)]) {
    for (name, value) in pairs {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Bench;
    use axum::body::Body;

    /// As Google's documents print it, for a file in our uploads bucket.
    const SAMPLE: &str = r#"{"kind":"storage#object","id":"hub-uploads/folder/x.csv/1587627537231057",
        "bucket":"hub-uploads","name":"u1/folder/x.csv","generation":"1587627537231057","metageneration":"1",
        "contentType":"text/csv","size":"352","md5Hash":"…","crc32c":"rTVTeQ==","timeCreated":"2020-04-23T07:38:57.230Z",
        "updated":"2020-04-23T07:38:57.230Z","storageClass":"MULTI_REGIONAL","etag":"CNHZkbuF/ugCEAE="}"#;

    fn sample(body: impl Into<Body>, kind: &str) -> Request {
        let mut request = Request::new(body.into());
        let headers = [
            ("ce-specversion", "1.0"),
            ("ce-type", kind),
            ("ce-source", "//storage.googleapis.com/projects/_/buckets/hub-uploads"),
            ("ce-subject", "objects/u1/folder/x.csv"),
            ("ce-id", "1096434104173400"),
            ("ce-time", "2020-04-23T07:38:57.772Z"),
            ("ce-bucket", "hub-uploads"),
            ("content-type", "application/json; charset=utf-8"),
        ];
        set_headers(request.headers_mut(), &headers);
        request
    }

    #[tokio::test]
    async fn googles_sample_of_a_written_object_is_read() {
        let bench = Bench::with(|settings| settings.bucket_prefix = "hub-".into()).await;
        let object = Finalized::from_request(sample(SAMPLE, KIND), &bench.world).await.unwrap();
        let path = BlobPath::new("uploads", "u1/folder/x.csv").unwrap();
        assert_eq!(object, Finalized { path, generation: 1_587_627_537_231_057, size: 352 });
    }

    #[tokio::test]
    async fn what_is_no_object_of_ours_is_refused() {
        let bench = Bench::with(|settings| settings.bucket_prefix = "hub-".into()).await;
        let foreign = SAMPLE.replace("hub-uploads", "their-uploads");
        let escaping = SAMPLE.replace("u1/folder/x.csv", "u1/../u2/x.csv");
        let deleted = "google.cloud.storage.object.v1.deleted";
        let numbers = SAMPLE.replace("\"352\"", "\"many\"");
        for request in [
            sample(foreign, KIND),
            sample(escaping, KIND),
            sample(numbers, KIND),
            sample(SAMPLE, deleted),
            sample("not JSON", KIND),
            sample(vec![b' '; 2 * 1024 * 1024], KIND),
        ] {
            assert_eq!(Finalized::from_request(request, &bench.world).await.unwrap_err().status(), 400);
        }
    }
}
