//! The part of Eventarc that the Firestore emulator leaves out: it makes one attempt at one address. Here each event is
//! taken at once and brought to its function until the function takes it.

use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    routing::post,
};
use reqwest::Client;
use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};
use tokio::net::TcpListener;

/// Triggers by id, each with the address of its function.
pub type Triggers = Arc<BTreeMap<String, String>>;

/// Listens from when this returns.
pub async fn start(triggers: Triggers) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let state = (triggers, Client::new());
    let router = Router::new().route("/functions/projects/{project}/triggers/{trigger}", post(take)).with_state(state);
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

async fn take(
    State((triggers, client)): State<(Triggers, Client)>,
    Path((_, trigger)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let Some(url) = triggers.get(&trigger).cloned() else { return StatusCode::NOT_FOUND };
    let kept = headers.into_iter().filter_map(|(name, value)| Some((name?, value)));
    let headers: HeaderMap =
        kept.filter(|(name, _)| name.as_str().starts_with("ce-") || name == "content-type").collect();
    tokio::spawn(async move {
        for attempt in 0..40u32 {
            let sent = client.post(&url).headers(headers.clone()).body(body.clone()).send().await;
            if sent.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(200 << attempt.min(5))).await;
        }
        panic!("an event for {url} was never taken");
    });
    StatusCode::OK
}
