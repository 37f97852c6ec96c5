//! What Eventarc does with a bucket: for every object written, one `google.cloud.storage.object.v1.finalized` event to
//! the bucket's subscriber, again and again until it is taken.

use crate::{Stored, http_plane::resource};
use chrono::SecondsFormat;
use reqwest::Client;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{sync::mpsc::UnboundedReceiver, task::JoinSet};
use url::Url;

/// Waits between attempts: the first, and the longest. Eventarc's are 10 s and 10 min.
const PAUSE: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));
const TIMEOUT: Duration = Duration::from_secs(600);

/// Who is told of a bucket's objects.
#[derive(Clone, Debug)]
pub struct Subscriber {
    pub bucket: String,
    /// Where events are posted.
    pub url: Url,
}

/// Delivers until the server ends. `outstanding` counts what has not been taken.
pub(crate) async fn run(
    mut news: UnboundedReceiver<Stored>,
    subscribers: Vec<Subscriber>,
    outstanding: Arc<AtomicUsize>,
) {
    let client = Client::new();
    let mut deliveries = JoinSet::new();
    while let Some(stored) = news.recv().await {
        for subscriber in subscribers.iter().filter(|subscriber| subscriber.bucket == stored.bucket) {
            outstanding.fetch_add(1, Ordering::SeqCst);
            let (client, url, stored) = (client.clone(), subscriber.url.clone(), stored.clone());
            let outstanding = outstanding.clone();
            deliveries.spawn(async move {
                deliver(&client, &url, &stored).await;
                outstanding.fetch_sub(1, Ordering::SeqCst);
            });
        }
        while deliveries.try_join_next().is_some() {}
    }
}

async fn deliver(client: &Client, url: &Url, stored: &Stored) {
    let mut pause = PAUSE.0;
    loop {
        match event(client, url, stored).send().await {
            Ok(response) if response.status().is_success() => return,
            Ok(response) => {
                let (status, name) = (response.status().as_u16(), &stored.name);
                tracing::warn!(%url, status, object = name, "an event was not taken");
            }
            Err(error) => tracing::debug!(%url, %error, "a subscriber is not there"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE.1);
    }
}

fn event(client: &Client, url: &Url, stored: &Stored) -> reqwest::RequestBuilder {
    let request = client
        .post(url.clone())
        .timeout(TIMEOUT)
        .header("ce-specversion", "1.0")
        .header("ce-id", format!("{}-{}", stored.bucket, stored.generation))
        .header("ce-type", "google.cloud.storage.object.v1.finalized")
        .header("ce-source", format!("//storage.googleapis.com/projects/_/buckets/{}", stored.bucket))
        .header("ce-subject", format!("objects/{}", stored.name))
        .header("ce-time", stored.created_at.to_rfc3339_opts(SecondsFormat::Millis, true))
        .header("ce-bucket", &stored.bucket)
        .header("content-type", "application/json");
    // An object's trace travels in its metadata.
    let request = match stored.metadata.get("traceparent") {
        Some(trace) => request.header("traceparent", trace),
        None => request,
    };
    request.body(resource(stored).to_string())
}

#[cfg(test)]
mod tests {
    use crate::{Draft, Options, Server, Subscriber};
    use axum::{Json, Router, http::HeaderMap, http::StatusCode, routing::post};
    use serde_json::Value;
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };
    use tokio::{net::TcpListener, sync::mpsc};

    #[tokio::test]
    async fn every_object_of_a_watched_bucket_is_told_until_it_is_taken() {
        let (tell, mut told) = mpsc::unbounded_channel();
        let calls = Arc::new(AtomicUsize::new(0));
        let take = move |headers: HeaderMap, Json(object): Json<Value>| {
            let first = calls.fetch_add(1, Ordering::SeqCst) == 0;
            if !first {
                tell.send((headers, object)).unwrap();
            }
            std::future::ready(if first { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::NO_CONTENT })
        };
        let app = Router::new().route("/", post(take));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
        let server = Server::start(Options {
            address: ([127, 0, 0, 1], 0).into(),
            buckets: vec!["p-reports".into(), "p-artifacts".into()],
            subscribers: vec![Subscriber { bucket: "p-reports".into(), url }],
        });
        let server = server.await.unwrap();
        let metadata = [("traceparent".to_owned(), "00-a-b-01".to_owned())].into();
        let draft = |bucket: &str| Draft { bucket: bucket.into(), name: "u1/r 1.json".into(), ..Draft::default() };
        server.objects.put(draft("p-artifacts"), "unwatched".into()).unwrap();
        let written = server.objects.put(Draft { metadata, ..draft("p-reports") }, "{}".into()).unwrap();
        let (headers, object) = told.recv().await.unwrap();
        assert_eq!(headers["ce-type"], "google.cloud.storage.object.v1.finalized");
        assert_eq!(headers["ce-source"], "//storage.googleapis.com/projects/_/buckets/p-reports");
        assert_eq!(headers["ce-subject"], "objects/u1/r 1.json");
        assert_eq!(headers["traceparent"], "00-a-b-01");
        assert_eq!(object["generation"], written.generation.to_string());
        assert_eq!((&object["bucket"], &object["size"]), (&"p-reports".into(), &"2".into()));
        while server.outstanding() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(told.try_recv().is_err(), "once");
    }
}
