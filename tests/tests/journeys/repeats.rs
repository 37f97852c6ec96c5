//! Requests that are sent again, because a line was cut or a finger was quick.

use crate::{id, start};
use futures::future::join_all;
use journeys::inputs::batch;
use serde_json::json;
use std::collections::BTreeSet;

const BATCH: &str = "/api/v1/predict/batch";

#[tokio::test]
async fn the_same_request_under_the_same_key_is_one_run() {
    let hub = start(&[]).await;
    let first = hub.client.post_once(BATCH, "k1", &batch(2)).await.json(202);
    let again = hub.client.post_once(BATCH, "k1", &batch(2)).await;
    assert_eq!(id(&again.json(202)), id(&first));
    assert_eq!(again.header("location"), format!("/api/v1/batches/{}", id(&first)));
    hub.client.batch_ends(&id(&first)).await;
    let late = hub.client.post_once(BATCH, "k1", &batch(2)).await.json(202);
    assert_eq!(id(&late), id(&first), "also after its end");
    let other = hub.client.post_once(BATCH, "k2", &batch(2)).await.json(202);
    assert_ne!(id(&other), id(&first), "another key is another run");
}

#[tokio::test]
async fn another_request_under_the_same_key_is_refused() {
    let hub = start(&[]).await;
    hub.client.post_once(BATCH, "k1", &batch(2)).await.json(202);
    let problem = hub.client.post_once(BATCH, "k1", &batch(3)).await.problem(422);
    assert!(problem["detail"].as_str().unwrap().contains("Idempotency-Key"), "{problem}");
    let long = hub.client.post_once(BATCH, &"k".repeat(256), &batch(2)).await;
    long.problem(400);
    assert_eq!(hub.client.get("/api/v1/batches").await.json(200)["batches"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_key_is_its_users_own() {
    let hub = start(&[]).await;
    let mine = hub.user("maria").post_once(BATCH, "k1", &batch(2)).await.json(202);
    let yours = hub.user("nils").post_once(BATCH, "k1", &batch(3)).await.json(202);
    assert_ne!(id(&mine), id(&yours));
}

#[tokio::test]
async fn twenty_requests_at_once_under_one_key_are_one_run() {
    let hub = start(&[]).await;
    let body = batch(2);
    let post = || async {
        let client = hub.client.clone();
        let body = body.clone();
        tokio::spawn(async move { client.post_once(BATCH, "rush", &body).await }).await.unwrap()
    };
    let answers = join_all((0..20).map(|_| post())).await;
    let ids: BTreeSet<_> = answers.iter().map(|answer| id(&answer.json(202))).collect();
    assert_eq!(ids.len(), 1);
    let list = hub.client.get("/api/v1/batches").await.json(200);
    assert_eq!((list["batches"].as_array().unwrap().len(), &list["has_more"]), (1, &json!(false)));
    let ended = hub.client.batch_ends(ids.first().unwrap()).await;
    assert_eq!((&ended["completed_jobs"], &ended["total_jobs"]), (&json!(2), &json!(2)));
}
