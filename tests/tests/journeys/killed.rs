//! `kill -9` of the server in the middle of a run, at three moments. The next server on the same folder finishes it:
//! every ligand once, with the results of a run that nobody disturbed.

use crate::{PROGRAM, id};
use journeys::{
    Client, Server,
    inputs::{library, target},
};
use serde_json::{Value, json};
use std::{collections::BTreeSet, path::Path};

const LIGANDS: usize = 44;
const SLOW: [(&str, &str); 1] = [("STAND_IN_ITEM_SECONDS", "0.05")];

async fn submit(client: &Client) -> Value {
    let wanted = json!({"file_name": "library.csv", "protein_sequence": target(), "strategy": "parallel"});
    let object = client.upload(&wanted, &library(LIGANDS)).await;
    json!({"object": object})
}

/// Waits until so many ligands have a result. The batch.
async fn done(client: &Client, object: &str, ligands: u64) -> String {
    let batch = id(&client.batch_of(object).await);
    let there = |page: &Value| page["total"].as_u64().unwrap() >= ligands;
    let page = client.until(&format!("/api/v1/batches/{batch}/results?limit=1"), there).await;
    assert_eq!(page["complete"], false, "it was too quick to be disturbed");
    batch
}

/// Rows without what is allowed to differ: ids, and which try of which task found them.
fn comparable(mut rows: Vec<Value>) -> Vec<Value> {
    for row in &mut rows {
        let row = row.as_object_mut().unwrap();
        row.remove("job_id");
        row.remove("provenance");
    }
    rows
}

/// The results of the batch once it has ended, which must be whole.
async fn whole(client: &Client, object: &str) -> Vec<Value> {
    let batch = client.batch_ends(&id(&client.batch_of(object).await)).await;
    assert_eq!((&batch["status"], &batch["completed_jobs"]), (&json!("completed"), &json!(LIGANDS)), "{batch}");
    let list = client.get("/api/v1/batches").await.json(200);
    assert_eq!(list["batches"].as_array().unwrap().len(), 1);
    let rows = client.rows(&id(&batch)).await;
    let names: BTreeSet<_> = rows.iter().map(|row| row["ligand_name"].as_str().unwrap()).collect();
    assert_eq!((rows.len(), names.len()), (LIGANDS, LIGANDS), "every ligand exactly once");
    let file = client.download(&format!("/api/v1/batches/{}/export?format=json", id(&batch))).await.json(200);
    assert_eq!(file["jobs"], json!(rows), "the export says the same");
    comparable(rows)
}

async fn undisturbed(folder: &Path) -> Vec<Value> {
    let server = Server::start(PROGRAM, &folder.join("calm"), &[]).await;
    let submitted = submit(&server.client).await;
    whole(&server.client, submitted["object"].as_str().unwrap()).await
}

/// Kills the server once `ligands` have a result (or at once, for `None`), and lets another one finish.
async fn disturbed(folder: &Path, ligands: Option<u64>) -> Vec<Value> {
    let data = folder.join("rough");
    let server = Server::start(PROGRAM, &data, &SLOW).await;
    let submitted = submit(&server.client).await;
    let object = submitted["object"].as_str().unwrap();
    if let Some(ligands) = ligands {
        done(&server.client, object, ligands).await;
    }
    server.kill().await;
    let server = Server::start(PROGRAM, &data, &SLOW).await;
    whole(&server.client, object).await
}

async fn survives(ligands: Option<u64>) {
    let folder = tempfile::tempdir().unwrap();
    let (calm, rough) = tokio::join!(undisturbed(folder.path()), disturbed(folder.path(), ligands));
    assert_eq!(rough, calm);
}

#[tokio::test]
async fn a_server_killed_right_after_the_upload_loses_nothing() {
    survives(None).await;
}

#[tokio::test]
async fn a_server_killed_with_the_first_results_loses_nothing() {
    survives(Some(1)).await;
}

#[tokio::test]
async fn a_server_killed_shortly_before_the_end_loses_nothing() {
    survives(Some(LIGANDS as u64 * 3 / 4)).await;
}
