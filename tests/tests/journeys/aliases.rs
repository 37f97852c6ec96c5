//! The four addresses that older clients know answer as the new ones.

use crate::{id, start};
use journeys::inputs::{batch, target};
use serde_json::json;

#[tokio::test]
async fn older_addresses_answer_as_the_new_ones_for_a_single_prediction() {
    let hub = start(&[]).await;
    let client = &hub.client;
    let body = json!({"model": "boltz2", "protein_sequence": target(), "ligand_smiles": "CCO", "job_name": "old"});
    let new = client.post_once("/api/v1/predict", "k", &body).await;
    let old = client.post_once("/api/v1/jobs/submit", "k", &body).await;
    assert_eq!(
        (old.json(202)["job_id"].clone(), old.header("location")),
        (new.json(202)["job_id"].clone(), new.header("location"))
    );
    let job = new.json(202)["job_id"].as_str().unwrap().to_owned();
    let early = client.get(&format!("/api/v1/jobs/{job}/results")).await;
    if early.status != 200 {
        assert!(early.problem(409)["retry_after"].is_number());
    }
    let view = client.job_ends(&job).await;
    assert_eq!(client.get(&format!("/api/v1/jobs/{job}/status")).await.json(200), view);
    assert_eq!(client.get(&format!("/api/v1/jobs/{job}/results")).await.json(200), view["results"]);
    let wrong = json!({"model": "boltz2", "protein_sequence": target(), "ligand_smiles": "CC("});
    let (new, old) = (client.post("/api/v1/predict", &wrong).await, client.post("/api/v1/jobs/submit", &wrong).await);
    assert_eq!(old.problem(422)["errors"], new.problem(422)["errors"]);
}

#[tokio::test]
async fn older_addresses_answer_as_the_new_ones_for_a_batch() {
    let hub = start(&[]).await;
    let client = &hub.client;
    let new = client.post_once("/api/v1/predict/batch", "k", &batch(3)).await;
    let old = client.post_once("/api/v1/jobs/submit-batch", "k", &batch(3)).await;
    assert_eq!((id(&old.json(202)), old.header("location")), (id(&new.json(202)), new.header("location")));
    let batch = id(&new.json(202));
    client.batch_ends(&batch).await;
    let same = async |old: &str, new: &str| {
        assert_eq!(client.get(old).await.json(200), client.get(new).await.json(200), "{old}");
    };
    same(&format!("/api/v1/jobs/{batch}/status"), &format!("/api/v1/jobs/{batch}")).await;
    same(&format!("/api/v1/jobs/{batch}/results"), &format!("/api/v1/batches/{batch}/results")).await;
    let row = client.get(&format!("/api/v1/jobs/{batch}_0002/results")).await.json(200);
    assert_eq!(row["row"], 2);
}
