//! Ligands that fail: the batch goes on without them and says which and why.

use crate::{id, start};
use journeys::inputs::{batch, ligands};
use serde_json::{Value, json};

/// The rows by ligand, in the order of the library.
fn sorted(mut rows: Vec<Value>) -> Vec<Value> {
    rows.sort_by_key(|row| row["row"].as_u64());
    rows
}

#[tokio::test]
async fn some_ligands_fail_and_the_batch_says_which_and_why() {
    let faults = "skip=i0000002;oom-structure=i0000005;crash=i0000007";
    let hub = start(&[("STAND_IN_FAULTS", faults)]).await;
    let batch = hub.client.run_batch(&batch(10)).await;
    assert_eq!(batch["status"], "completed", "{batch}");
    assert_eq!((&batch["completed_jobs"], &batch["failed_jobs"]), (&json!(7), &json!(3)));
    assert_eq!((&batch["progress"]["percent"], &batch["progress"]["milestone"]), (&json!(100.0), &json!(100)));
    assert_eq!((&batch["summary"]["success_rate"], &batch["simulated"]), (&json!(0.7), &json!(true)));

    let names = ligands(10);
    for (row, (name, _)) in sorted(hub.client.rows(&id(&batch)).await).iter().zip(&names) {
        assert_eq!(row["ligand_name"], *name);
        let code = match row["row"].as_u64().unwrap() {
            2 => "model_refused",
            5 => "out_of_memory",
            7 => "model_failed",
            _ => {
                assert_eq!((&row["status"], &row["error"]), (&json!("completed"), &json!(null)), "{row}");
                assert!(row["affinity"].is_number() && row["rank"].is_number());
                continue;
            }
        };
        assert_eq!((&row["status"], &row["error"]["code"]), (&json!("failed"), &json!(code)), "{row}");
        assert!(row["error"]["message"].as_str().unwrap().len() > 10, "{row}");
        assert!(row["rank"].is_null() && row["affinity"].is_null() && row["has_structure"] == false, "{row}");
    }
    let child = hub.client.get(&format!("/api/v1/jobs/{}_0005", id(&batch))).await.json(200);
    assert_eq!((&child["status"], &child["error"]["code"]), (&json!("failed"), &json!("out_of_memory")));
    assert!(child["download_links"].is_null());
    hub.client.get(&format!("/api/v1/jobs/{}_0005/files/cif", id(&batch))).await.problem(404);
    let only = hub.client.get(&format!("/api/v1/batches/{}/results?status=failed", id(&batch))).await.json(200);
    assert_eq!(only["total"], 3);
}

#[tokio::test]
async fn a_batch_without_a_single_result_has_failed() {
    let hub = start(&[("STAND_IN_FAULTS", "skip=i0000001,i0000002,i0000003")]).await;
    let batch = hub.client.run_batch(&batch(3)).await;
    assert_eq!((&batch["status"], &batch["error"]["code"]), (&json!("failed"), &json!("no_results")), "{batch}");
    let rows = hub.client.rows(&id(&batch)).await;
    assert_eq!(rows.len(), 3);
    assert!(rows.iter().all(|row| row["error"]["code"] == "model_refused"), "each says why: {rows:?}");
}

#[tokio::test]
async fn a_single_prediction_that_fails_says_why() {
    let hub = start(&[("STAND_IN_FAULTS", "oom-structure=i0000001")]).await;
    let mut body = batch(1);
    let ligand = body["ligands"][0]["smiles"].take();
    body.as_object_mut().unwrap().remove("ligands");
    body["ligand_smiles"] = ligand;
    let job = hub.client.post("/api/v1/predict", &body).await.json(202);
    let job = hub.client.job_ends(job["job_id"].as_str().unwrap()).await;
    assert_eq!(job["status"], "failed");
    assert_eq!(job["results"]["error"]["code"], "out_of_memory", "{job}");
    assert!(job["error"]["message"].is_string() && job["download_links"].is_null());
}

#[tokio::test]
async fn a_worker_that_cannot_start_its_tool_ends_in_a_failed_batch_and_not_in_silence() {
    let hub = start(&[("BOLTZ_COMMAND", "/nowhere/boltz")]).await;
    let batch = hub.client.run_batch(&batch(2)).await;
    assert_eq!(batch["status"], "failed", "{batch}");
    let rows = hub.client.rows(&id(&batch)).await;
    assert!(rows.iter().all(|row| row["error"]["code"] == "worker_lost"), "{rows:?}");
}
