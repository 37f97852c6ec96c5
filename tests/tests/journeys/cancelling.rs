//! A user who changes his mind: the run stops, what is done stays readable, and a purge leaves nothing.

use crate::{id, start};
use domain::Shard;
use journeys::{Hub, Things, inputs::batch};
use platform::{ExecutionState, Query};
use serde_json::Value;
use std::time::Duration;

/// Slow enough to be caught in the middle: structures take 1.2 s, then an affinity comes every 0.1 s.
const SLOW: [(&str, &str); 1] = [("STAND_IN_ITEM_SECONDS", "0.1")];

/// A batch of twelve, caught when it has results and is not done.
async fn half_done(hub: &Hub) -> Value {
    let batch = hub.client.post("/api/v1/predict/batch", &batch(12)).await.json(202);
    let results = format!("/api/v1/batches/{}/results", id(&batch));
    let page = hub.client.until(&results, |page| page["total"] != 0).await;
    assert_eq!(page["complete"], false);
    batch
}

/// The executions that its shards were handed to.
async fn executions(hub: &Hub) -> Vec<String> {
    let shards = hub.cloud.world.docs.query::<Shard>(&Query::group("shards")).await.unwrap();
    let names: Vec<_> = shards.into_iter().filter_map(|shard| shard.value.execution).collect();
    assert!(!names.is_empty());
    names
}

async fn stopped(hub: &Hub, executions: &[String]) {
    for name in executions {
        let begin = std::time::Instant::now();
        loop {
            let execution = hub.cloud.world.executions.describe(name).await.unwrap().unwrap();
            if execution.completed_at.is_some() {
                assert_eq!(execution.state, ExecutionState::Cancelled);
                break;
            }
            assert!(begin.elapsed() < Duration::from_secs(20), "{name} runs on");
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }
}

/// What is stored of a batch. That its user was told of it stays a week and names no molecule.
async fn left_of(hub: &Hub, batch: &str) -> Vec<String> {
    let things = Things::of(hub).await;
    let left = things.naming(batch).into_iter().filter(|name| !name.contains("/notices/"));
    left.map(str::to_owned).collect()
}

#[tokio::test]
async fn a_cancelled_batch_stops_keeps_its_results_and_can_be_purged() {
    let hub = start(&SLOW).await;
    let client = &hub.client;
    let batch = id(&half_done(&hub).await);
    let address = format!("/api/v1/batches/{batch}");
    client.delete(&format!("{address}?purge=true")).await.problem(409);
    let running = executions(&hub).await;
    let cancelled = client.delete(&address).await.json(200);
    assert_eq!(cancelled["status"], "cancelled", "{cancelled}");
    assert_eq!(client.delete(&address).await.json(200)["status"], "cancelled", "twice is no error");
    stopped(&hub, &running).await;
    hub.settled().await;

    let page = client.get(&format!("{address}/results")).await.json(200);
    let rows = page["results"].as_array().unwrap();
    assert!((1..12).contains(&rows.len()) && page["complete"] == true, "{page}");
    assert!(rows.iter().all(|row| row["status"] == "completed" && row["affinity"].is_number()));
    assert_eq!(client.get(&address).await.json(200)["running_jobs"], 0);
    let csv = client.download(&format!("{address}/export?format=csv")).await.text();
    assert_eq!(csv.lines().count(), rows.len() + 1);

    assert_eq!(client.delete(&format!("{address}?purge=true")).await.status, 204);
    hub.settled().await;
    assert_eq!(left_of(&hub, &batch).await, Vec::<String>::new());
    client.get(&address).await.problem(404);
    client.delete(&address).await.problem(404);
}

#[tokio::test]
async fn a_purge_right_after_the_cancellation_leaves_nothing_either() {
    let hub = start(&SLOW).await;
    let batch = id(&half_done(&hub).await);
    let address = format!("/api/v1/batches/{batch}");
    let running = executions(&hub).await;
    hub.client.delete(&address).await.json(200);
    assert_eq!(hub.client.delete(&format!("{address}?purge=true")).await.status, 204);
    stopped(&hub, &running).await;
    hub.settled().await;
    assert_eq!(left_of(&hub, &batch).await, Vec::<String>::new(), "not even the worker's last words");
}

#[tokio::test]
async fn a_batch_that_ended_cannot_be_cancelled_but_purged() {
    let hub = start(&[]).await;
    let batch = id(&hub.client.run_batch(&batch(2)).await);
    let address = format!("/api/v1/batches/{batch}");
    hub.client.delete(&address).await.problem(409);
    hub.client.delete(&format!("/api/v1/jobs/{batch}_0001")).await.problem(409);
    assert_eq!(hub.client.delete(&format!("{address}?purge=true")).await.status, 204);
    hub.settled().await;
    assert_eq!(left_of(&hub, &batch).await, Vec::<String>::new());
}

#[tokio::test]
async fn the_slots_of_a_cancelled_batch_go_to_the_next_one() {
    let hub = start(&[("STAND_IN_ITEM_SECONDS", "0.1"), ("GPU_CAPACITY", "1")]).await;
    let first = id(&half_done(&hub).await);
    let second = hub.client.post("/api/v1/predict/batch", &batch(1)).await.json(202);
    let address = format!("/api/v1/batches/{}", id(&second));
    let waiting = hub.client.until(&address, |batch| batch["queue"]["position"].is_number()).await;
    assert_eq!(waiting["queue"]["lane"], "bulk");
    hub.client.delete(&format!("/api/v1/batches/{first}")).await.json(200);
    assert_eq!(hub.client.batch_ends(&id(&second)).await["status"], "completed");
}
