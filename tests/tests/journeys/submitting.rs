//! A batch over HTTP: bad rows refuse it, or are left out, as the user wants; estimates and limits.

use crate::{id, start};
use journeys::{Things, inputs::target};
use serde_json::{Value, json};

/// Three good ligands, three bad ones, and aspirin twice.
fn mixed(on_invalid: &str) -> Value {
    json!({"model": "boltz2", "protein_sequence": target(), "on_invalid": on_invalid, "batch_name": "mixed",
    "ligands": [
        {"name": "aspirin", "smiles": "CC(=O)Oc1ccccc1C(=O)O"},
        {"name": "cut off", "smiles": "c1ccccc"},
        {"name": "caffeine", "smiles": "Cn1cnc2c1c(=O)n(C)c(=O)n2C"},
        {"name": "cisplatin", "smiles": "N[Pt](N)(Cl)Cl"},
        {"name": "again", "smiles": "OC(=O)c1ccccc1OC(C)=O"},
        {"name": "water", "smiles": "O"},
        {"smiles": "CC(C)Cc1ccc(cc1)C(C)C(=O)O"},
    ]})
}

#[tokio::test]
async fn bad_rows_refuse_a_batch_and_all_of_them_are_named() {
    let hub = start(&[]).await;
    hub.settled().await;
    let before = Things::of(&hub).await;
    for body in [mixed("reject"), {
        let mut body = mixed("reject");
        body.as_object_mut().unwrap().remove("on_invalid");
        body
    }] {
        let answer = hub.client.post("/api/v1/predict/batch", &body).await;
        assert_eq!(answer.pointers(422), ["/ligands/1", "/ligands/3", "/ligands/5"]);
        let problem = answer.problem(422);
        let reasons = problem["errors"].to_string();
        for named in ["cut off", "cisplatin", "water", "row 2", "row 4", "row 6"] {
            assert!(reasons.contains(named), "{named} in {reasons}");
        }
    }
    assert_eq!(Things::of(&hub).await, before, "nothing was written");
}

#[tokio::test]
async fn more_than_a_hundred_bad_rows_are_counted_and_the_first_hundred_listed() {
    let hub = start(&[]).await;
    let ligands: Vec<_> = (0..250).map(|i| json!({"name": format!("m{i}"), "smiles": "[Fe]"})).collect();
    let body = json!({"model": "boltz2", "protein_sequence": target(), "ligands": ligands});
    let problem = hub.client.post("/api/v1/predict/batch", &body).await.problem(422);
    assert_eq!((problem["errors"].as_array().unwrap().len(), &problem["error_count"]), (100, &json!(250)));
}

#[tokio::test]
async fn bad_rows_may_be_skipped_and_are_then_listed() {
    let hub = start(&[]).await;
    let answer = hub.client.post("/api/v1/predict/batch", &mixed("skip")).await;
    let accepted = answer.json(202);
    assert_eq!(answer.header("location"), format!("/api/v1/batches/{}", id(&accepted)));
    assert!(accepted["cost"]["estimated_usd"].as_f64().unwrap() > 0.0, "{accepted}");
    let batch = hub.client.batch_ends(&id(&accepted)).await;
    assert_eq!((&batch["status"], &batch["completed_jobs"]), (&json!("completed"), &json!(3)), "{batch}");
    assert_eq!(batch["rejected"]["invalid_count"], 4);
    let file = hub.client.download(batch["rejected"]["link"].as_str().unwrap()).await.text();
    for code in ["metal", "duplicate", "water"] {
        assert!(file.contains(code), "{code} in {file}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_said_of_each_field() {
    let hub = start(&[]).await;
    let wrong = [
        (json!({"model": "alphafold"}), "/model"),
        (json!({"protein_sequence": "MKT"}), "/protein_sequence"),
        (json!({"protein_sequence": "MKTB".repeat(10)}), "/protein_sequence"),
        (json!({"ligands": []}), "/ligands"),
        (json!({"max_cost_usd": 0.0001}), "/max_cost_usd"),
        (json!({"max_concurrent": 0}), "/max_concurrent"),
        (json!({"parameters": {"sampling_stepz": 1}}), "/parameters/sampling_stepz"),
        (json!({"library": "gs://uploads/local/x/l.csv"}), "/library"),
        (json!({"batch_name": "a\u{7}"}), "/batch_name"),
    ];
    for (change, pointer) in wrong {
        let mut body = mixed("skip");
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let answer = hub.client.post("/api/v1/predict/batch", &body).await;
        assert!(answer.pointers(422).iter().any(|named| named == pointer), "{pointer}: {}", answer.text());
    }
}
