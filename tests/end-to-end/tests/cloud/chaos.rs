//! `kill -9` of functions and of workers at random moments while a batch runs. What remains is whole, and every file a
//! user can take away is the same, byte for byte, as after a calm run.

use crate::{SEQUENCE, cloud::Cloud, ligands};
use hub::ALL;
use processes::{Dice, children, comparable, kill};
use serde_json::json;
use service::{Trigger, Work};
use std::{ops::Range, process::id, sync::Arc};

const LIGANDS: usize = 300;
const SEED: u64 = 20_260_802;
/// Between two kills, in milliseconds.
const BETWEEN: Range<u64> = 0..500;
/// So many at least while the batch runs, and at most.
const KILLS: Range<usize> = 10..30;
/// A shard is given up after six workers of it have died; whoever dies here, it is not given up.
const WORKERS: usize = 5;

pub async fn chaos(cloud: Arc<Cloud>) {
    let batch = submit(&cloud).await;
    let expected = files(&cloud, &batch).await;
    let batch = submit(&cloud).await;
    let mut dice = Dice::new(SEED);
    // The others have nothing to do while the batch runs.
    let functions = ALL.iter().filter(|f| matches!(f.work, Work::Service(_)) && f.trigger != Trigger::Http);
    let functions: Vec<_> = functions.map(|function| function.name).collect();
    let (mut of_functions, mut of_workers) = (0, 0);
    while of_functions + of_workers < KILLS.end {
        tokio::time::sleep(dice.wait(BETWEEN)).await;
        let status = cloud.get("get-batch", &format!("/api/v1/batches/{batch}")).await["status"].clone();
        if status != "queued" && status != "running" && status != "aggregating" {
            break;
        }
        let workers = if of_workers < WORKERS { children(id(), "predict-worker") } else { vec![] };
        match dice.pick(&workers).filter(|_| dice.pick(&[true, false, false]) == Some(true)) {
            Some(worker) => of_workers += usize::from(kill(worker)),
            None => {
                cloud.functions.kill(dice.pick(&functions).unwrap()).await;
                of_functions += 1;
            }
        }
    }
    let kills = of_functions + of_workers;
    assert!(kills >= KILLS.start, "it was too quick to be disturbed: {kills} kills");
    assert!(of_workers > 0, "no worker was hit");
    let found = files(&cloud, &batch).await;
    println!("{kills} of {kills} kills survived: {of_functions} functions, {of_workers} workers");
    for ((format, expected), (_, found)) in expected.iter().zip(&found) {
        assert!(expected.lines().count() > LIGANDS, "{format}: {expected}");
        let different = expected.lines().zip(found.lines()).find(|(expected, found)| expected != found);
        assert!(expected == found, "{format}: {different:?}");
    }
}

async fn submit(cloud: &Cloud) -> String {
    let rows: Vec<_> = ligands(LIGANDS).iter().map(|(name, smiles)| json!({"name": name, "smiles": smiles})).collect();
    let body = json!({"model": "boltz2", "protein_sequence": SEQUENCE, "ligands": rows, "strategy": "parallel"});
    let accepted = cloud.post("submit-batch", "/api/v1/predict/batch", &body).await;
    accepted["batch_id"].as_str().unwrap().to_owned()
}

/// The files of a batch that must have come to its end with every ligand, without what may differ between two runs.
async fn files(cloud: &Cloud, batch: &str) -> Vec<(&'static str, String)> {
    let ended = cloud.ended(batch).await;
    assert_eq!((&ended["status"], &ended["completed_jobs"]), (&json!("completed"), &json!(LIGANDS)), "{ended}");
    let mut files = vec![];
    for format in ["csv", "json", "sdf"] {
        let path = format!("/api/v1/batches/{batch}/export?format={format}");
        files.push((format, comparable(batch, &cloud.download("export-batch", &path).await)));
    }
    files
}
