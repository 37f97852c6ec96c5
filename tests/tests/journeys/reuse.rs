//! A library that is sent again: what the user has already costs nothing, and is whole.

use crate::{id, start};
use domain::Shard;
use journeys::{
    Hub,
    inputs::{batch, target},
};
use platform::{Collection, Query};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const QUICK: [(&str, &str); 2] = [("STAND_IN_ITEM_SECONDS", "0"), ("STAND_IN_LOAD_SECONDS", "0")];

/// The shards of a batch of the folder's user.
async fn shards(hub: &Hub, batch: &Value) -> Vec<Shard> {
    let job = Collection::root("users").doc(local::LOCAL_USER).collection("jobs").doc(&id(batch));
    let shards = Query::collection(job.collection("shards"));
    let found = hub.cloud.world.docs.query::<Shard>(&shards).await.unwrap();
    found.into_iter().map(|shard| shard.value).collect()
}

/// Items of the shards that a worker was started for.
fn run_on_gpus(shards: &[Shard]) -> u32 {
    shards.iter().filter(|shard| shard.launch > 0).map(|shard| shard.items).sum()
}

/// Every row of a batch by its ligand.
async fn rows(hub: &Hub, batch: &str) -> BTreeMap<String, Value> {
    let mut rows = BTreeMap::new();
    let mut path = format!("/api/v1/batches/{batch}/results?limit=500");
    loop {
        let page = hub.client.get(&path).await.json(200);
        for row in page["results"].as_array().unwrap() {
            rows.insert(row["ligand_smiles"].as_str().unwrap().to_owned(), row.clone());
        }
        let Some(cursor) = page["next_cursor"].as_str() else { return rows };
        path = format!("/api/v1/batches/{batch}/results?limit=500&cursor={cursor}");
    }
}

/// A row without what tells two batches apart.
fn values(row: &Value) -> Value {
    let mut row = row.clone();
    for name in ["job_id", "rank", "row", "ligand_name", "cached", "provenance"] {
        row.as_object_mut().unwrap().remove(name);
    }
    row
}

#[tokio::test]
async fn a_library_with_a_few_new_ligands_uses_gpus_for_these_alone() {
    let hub = start(&QUICK).await;
    let first = hub.client.run_batch(&batch(6)).await;
    assert_eq!((&first["status"], &first["cached"]), (&json!("completed"), &json!(0)));
    let estimate = hub.client.post("/api/v1/estimate", &batch(8)).await.json(200);
    assert_eq!((&estimate["accepted_rows"], &estimate["cached_rows"]), (&json!(8), &json!(6)));
    let second = hub.client.run_batch(&batch(8)).await;
    assert_eq!((&second["status"], &second["cached"]), (&json!("completed"), &json!(6)));
    assert_eq!((&second["total_jobs"], &second["completed_jobs"]), (&json!(8), &json!(8)));
    assert_eq!(run_on_gpus(&shards(&hub, &second).await), 2);
    assert_eq!(second["cost"]["estimated_usd"], estimate["strategies"][1]["usd"]);

    let (before, after) = (rows(&hub, &id(&first)).await, rows(&hub, &id(&second)).await);
    let cached = after.values().filter(|row| row["cached"] == true).count();
    assert_eq!((after.len(), cached), (8, 6));
    for (ligand, row) in &before {
        assert_eq!((values(row), &row["cached"]), (values(&after[ligand]), &json!(false)));
        assert_eq!(after[ligand]["provenance"]["computed_by"], row["job_id"]);
    }
    let purged = hub.client.delete(&format!("/api/v1/batches/{}?purge=true", id(&first))).await;
    assert_eq!(purged.status, 204, "{}", purged.text());
    for row in after.values() {
        let job = row["job_id"].as_str().unwrap();
        let structure = hub.client.download(&format!("/api/v1/jobs/{job}/files/cif")).await;
        assert!(structure.text().starts_with("data_"), "{}", structure.text());
    }
}

#[tokio::test]
async fn a_library_that_is_known_ends_without_a_gpu_and_only_for_who_had_it_run() {
    let hub = start(&QUICK).await;
    hub.client.run_batch(&batch(4)).await;
    let again = hub.client.run_batch(&batch(4)).await;
    assert_eq!((&again["status"], &again["cached"]), (&json!("completed"), &json!(4)));
    assert_eq!((&again["cost"]["gpu_seconds"], &again["cost"]["estimated_usd"]), (&json!(0.0), &json!(0.0)));
    assert_eq!((&again["progress"]["percent"], &again["summary"]["completed_jobs"]), (&json!(100.0), &json!(4)));
    assert_eq!(run_on_gpus(&shards(&hub, &again).await), 0);
    let one = &batch(4)["ligands"][2];
    let prediction = json!({"model": "boltz2", "protein_sequence": target(), "ligand_smiles": one["smiles"]});
    let job = hub.client.post("/api/v1/predict", &prediction).await.json(202);
    let job = hub.client.job_ends(job["job_id"].as_str().unwrap()).await;
    assert_eq!(
        (&job["status"], &job["cached"], &job["results"]["cached"]),
        (&json!("completed"), &json!(true), &json!(true))
    );
    let stranger = hub.user("somebody-else").run_batch(&batch(4)).await;
    assert_eq!((&stranger["status"], &stranger["cached"]), (&json!("completed"), &json!(0)));
    let mut anew = batch(4);
    anew["parameters"] = json!({"seed": 7});
    assert_eq!(hub.client.run_batch(&anew).await["cached"], 0);
}
