//! Being told: an endpoint hears of a batch while it runs and when it has ended, each thing once, and can trust it.

use crate::{id, start};
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use journeys::inputs::batch;
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};
use tokio::net::TcpListener;

type Heard = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

/// An endpoint that remembers what it heard.
async fn receiver() -> (String, Heard) {
    async fn take(State(heard): State<Heard>, headers: HeaderMap, body: Bytes) -> StatusCode {
        heard.lock().unwrap().push((headers, body));
        StatusCode::NO_CONTENT
    }
    let (listener, heard) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), Heard::default());
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let app = Router::new().fallback(take).with_state(heard.clone());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, heard)
}

#[tokio::test]
async fn an_endpoint_hears_of_a_batch_and_can_tell_that_it_is_true() {
    let hub = start(&[]).await;
    let (url, heard) = receiver().await;
    let events = ["batch.milestone", "batch.completed", "batch.failed"];
    let asked = json!({"url": url, "events": events});
    let webhook = hub.client.post("/api/v1/webhooks", &asked).await.json(201);
    let path = format!("/api/v1/webhooks/{}", webhook["webhook_id"].as_str().unwrap());

    let test = hub.client.post(&format!("{path}/test"), &json!({})).await.json(202);
    let delivered = |list: &Value| list["deliveries"].as_array().unwrap().iter().all(|d| d["state"] == "delivered");
    let log = hub.client.until(&format!("{path}/deliveries"), delivered).await;
    assert_eq!(log["deliveries"][0]["delivery_id"], test["delivery_id"]);
    assert_eq!(log["deliveries"][0]["attempts"][0]["status"], 204);

    let batch = hub.client.run_batch(&batch(4)).await;
    hub.settled().await;
    let log = hub.client.until(&format!("{path}/deliveries"), delivered).await;
    let heard = heard.lock().unwrap().clone();
    assert_eq!(heard.len(), log["deliveries"].as_array().unwrap().len(), "each once: {log}");
    let ids: BTreeSet<_> = heard.iter().map(|(headers, _)| headers["webhook-id"].to_str().unwrap()).collect();
    assert_eq!(ids.len(), heard.len());

    let receiver = standardwebhooks::Webhook::new(webhook["secret"].as_str().unwrap()).unwrap();
    let mut told = vec![];
    for (headers, body) in &heard {
        receiver.verify(body, headers).unwrap();
        let message: Value = serde_json::from_slice(body).unwrap();
        told.push((message["type"].as_str().unwrap().to_owned(), message["data"].clone()));
    }
    let ended: Vec<_> = told.iter().filter(|(event, _)| event == "batch.completed").collect();
    assert_eq!(ended.len(), 1, "{told:?}");
    assert_eq!((&ended[0].1["batch_id"], &ended[0].1["completed_jobs"]), (&json!(id(&batch)), &json!(4)));
    assert!(told.iter().any(|(event, _)| event == "batch.milestone"), "{told:?}");
    assert!(!hub.client.get("/api/v1/webhooks").await.text().contains("whsec_"));
}
