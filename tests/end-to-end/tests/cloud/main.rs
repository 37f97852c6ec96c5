//! The hub on real parts: every function is a process on its own port, documents are in the Firestore emulator (which
//! sends the events), messages in the Pub/Sub emulator (which pushes them), objects in a Cloud Storage server, and
//! workers are started by what `google-cloud-run-v2` sends. Every event crosses a socket. Without the Google Cloud SDK
//! the tests are reported as ignored.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod chaos;
mod cloud;
mod eventarc;
mod functions;

use cloud::{Cloud, TRACE};
use emulators::Sdk;
use libtest_mimic::{Arguments, Trial};
use serde_json::{Value, json};
use std::{collections::BTreeSet, process::ExitCode, sync::Arc};
use tokio::runtime::Runtime;

const LIGANDS: usize = 200;
const SEQUENCE: &str = "GSHMEAVKLLQEAGYTWRDN";

fn main() -> ExitCode {
    let arguments = Arguments { test_threads: Some(1), ..Arguments::from_args() };
    let runtime = Arc::new(Runtime::new().unwrap());
    let sdk = Sdk::find().filter(|_| !arguments.list);
    let cloud = sdk.map(|sdk| Arc::new(runtime.block_on(Cloud::start(&sdk))));
    let trial = |name: &str, journey: fn(Arc<Cloud>) -> Journey| {
        let (runtime, cloud, missing) = (runtime.clone(), cloud.clone(), cloud.is_none());
        let run = move || {
            if let Some(cloud) = cloud {
                runtime.block_on(journey(cloud));
            }
            Ok(())
        };
        Trial::test(name, run).with_ignored_flag(missing)
    };
    let trials = vec![
        trial("a_batch_of_200_ligands_goes_from_post_to_batch_results", |cloud| Box::pin(batch(cloud))),
        trial("a_library_sent_to_a_signed_link_is_screened", |cloud| Box::pin(upload(cloud))),
        trial("a_cancelled_batch_stops_its_execution", |cloud| Box::pin(cancel(cloud))),
        trial("a_batch_survives_kills_of_functions_and_workers", |cloud| Box::pin(chaos::chaos(cloud))),
        trial("a_poison_message_ends_as_a_dead_letter_and_hinders_nobody", |cloud| Box::pin(poison(cloud))),
    ];
    let conclusion = libtest_mimic::run(&arguments, trials);
    drop(cloud);
    conclusion.exit_code()
}

type Journey = std::pin::Pin<Box<dyn Future<Output = ()>>>;

/// Different molecules: chains of carbon that end in oxygen or nitrogen.
fn ligands(count: usize) -> Vec<(String, String)> {
    let smiles = |n: usize| format!("{}{}", "C".repeat(n / 4 + 3), ["O", "N", "F", "Cl"][n % 4]);
    (0..count).map(|n| (format!("ligand {n}"), smiles(n))).collect()
}

async fn batch(cloud: Arc<Cloud>) {
    let rows: Vec<_> = ligands(LIGANDS).iter().map(|(name, smiles)| json!({"name": name, "smiles": smiles})).collect();
    let body = json!({"model": "boltz2", "protein_sequence": SEQUENCE, "ligands": rows, "strategy": "parallel"});
    let accepted = cloud.post("submit-batch", "/api/v1/predict/batch", &body).await;
    let batch = accepted["batch_id"].as_str().unwrap().to_owned();
    let ended = cloud.ended(&batch).await;
    for (bucket, folder) in [("reports", ""), ("artifacts", "items/"), ("artifacts", "results/")] {
        let traces = cloud.traces(bucket, &format!("maria/{batch}/{folder}"));
        assert!(
            !traces.is_empty() && traces.iter().all(|trace| trace.contains(TRACE)),
            "{bucket} {folder}: {traces:?}"
        );
    }
    assert_eq!((&ended["status"], &ended["completed_jobs"]), (&json!("completed"), &json!(LIGANDS)), "{ended}");
    let text = cloud.download("export-batch", &format!("/api/v1/batches/{batch}/export?format=json")).await;
    let results: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&results["version"], &results["job_count"]), (&json!("1.0"), &json!(LIGANDS)));
    let rows = results["jobs"].as_array().unwrap();
    let names: BTreeSet<_> = rows.iter().map(|row| row["ligand_name"].as_str().unwrap()).collect();
    assert_eq!(names.len(), LIGANDS, "every ligand once");
    let chances: Vec<_> = rows.iter().map(|row| row["affinity_prob"].as_f64().unwrap()).collect();
    assert!(chances.is_sorted_by(|a, b| a >= b));
    let structure = cloud.download("get-job-file", &format!("/api/v1/jobs/{batch}_0001/files/cif")).await;
    assert!(structure.contains("_atom_site."));
    let page = cloud.get("get-results", &format!("/api/v1/batches/{batch}/results?limit=3&cursor=100")).await;
    assert_eq!((&page["total"], page["results"][0]["rank"].as_u64()), (&json!(LIGANDS), Some(101)));
}

async fn upload(cloud: Arc<Cloud>) {
    let wanted = json!({"file_name": "library.csv", "protein_sequence": SEQUENCE});
    let upload = cloud.post("create-upload", "/api/v1/uploads", &wanted).await;
    let lines: String = ligands(12).iter().map(|(name, smiles)| format!("{smiles},{name}\n")).collect();
    cloud.put(&upload, format!("smiles,name\nbroken(,x\n{lines}")).await;
    let object = &upload["object"];
    let batch = cloud.until("list-batches", "/api/v1/batches", |list| {
        let batches = list["batches"].as_array().unwrap().iter();
        batches
            .filter(|batch| batch["source"]["upload"] == *object)
            .find_map(|batch| batch["batch_id"].as_str().map(str::to_owned))
    });
    let ended = cloud.ended(&batch.await).await;
    let counts = (&ended["status"], &ended["completed_jobs"], &ended["rejected"]["invalid_count"]);
    assert_eq!(counts, (&json!("completed"), &json!(12), &json!(1)), "{ended}");
}

async fn cancel(cloud: Arc<Cloud>) {
    let rows: Vec<_> = ligands(60).iter().map(|(name, smiles)| json!({"name": name, "smiles": smiles})).collect();
    let body = json!({"model": "boltz2", "protein_sequence": SEQUENCE, "ligands": rows, "strategy": "sequential",
        "batch_name": "slow"});
    let batch =
        cloud.post("submit-batch", "/api/v1/predict/batch", &body).await["batch_id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/batches/{batch}");
    cloud.until("get-batch", &path, |batch| (batch["status"] == "running").then_some(())).await;
    let cancelled = cloud.delete("delete-batch", &path).await;
    assert_eq!(cancelled["status"], "cancelled");
    cloud.until("get-batch", &path, |_| (cloud.running() == 0).then_some(())).await;
    assert_eq!(cloud.get("get-batch", &path).await["status"], "cancelled");
}

async fn poison(cloud: Arc<Cloud>) {
    cloud.publish("dispatch", "this is no JSON").await;
    let body = json!({"model": "boltz2", "protein_sequence": SEQUENCE, "ligand_smiles": "CCO"});
    let job = cloud.post("submit-prediction", "/api/v1/predict", &body).await["job_id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/jobs/{job}");
    cloud.until("get-job", &path, |job| (job["status"] == "completed").then_some(())).await;
    assert_eq!(cloud.dead_letter().await, "this is no JSON");
}
