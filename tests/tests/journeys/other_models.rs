//! The models beside Boltz-2, through the same endpoints.

use crate::{id, start};
use journeys::{Client, inputs::target};
use serde_json::{Value, json};

async fn run(client: &Client, body: &Value) -> Value {
    let job = client.post("/api/v1/predict", body).await.json(202);
    let job = client.job_ends(job["job_id"].as_str().unwrap()).await;
    assert_eq!((&job["status"], &job["simulated"]), (&json!("completed"), &json!(true)), "{job}");
    job
}

#[tokio::test]
async fn chai_1_folds_a_complex_and_gives_no_affinity() {
    let hub = start(&[]).await;
    let body = json!({"model": "chai1", "protein_sequence": target(), "ligand_smiles": "CC(=O)Oc1ccccc1C(=O)O",
        "parameters": {"num_diffn_samples": 2}});
    let job = run(&hub.client, &body).await;
    let row = &job["results"];
    assert!(row["other_scores"]["aggregate_score"].is_number() && row["ptm_score"].is_number(), "{row}");
    assert!(row["affinity"].is_null() && row["affinity_prob"].is_null() && row["pic50"].is_null(), "{row}");
    for kind in ["cif", "pdb", "json"] {
        assert!(!hub.client.download(job["download_links"][kind].as_str().unwrap()).await.body.is_empty());
    }
}

#[tokio::test]
async fn chai_1_takes_several_chains() {
    let hub = start(&[]).await;
    let chains = json!([{"sequence": target()}, {"type": "protein", "sequence": target()}]);
    let body = json!({"model": "chai1", "ligand_smiles": "CCO", "inputs": {"chains": chains}});
    let job = run(&hub.client, &body).await;
    assert!(job["results"]["other_scores"]["chain_ptm_2"].is_number(), "{}", job["results"]);
}

fn atom(number: usize, residue: &str, chain: char, position: usize) -> String {
    let place = format!("{:8.3}{:8.3}{:8.3}", number as f64, 2.0, 3.0);
    format!("ATOM  {number:5}  CA  {residue} {chain}{position:4}    {place}  1.00  0.00           C\n")
}

fn designs(count: u32) -> Value {
    let target = atom(1, "TRP", 'B', 146) + &atom(2, "LYS", 'B', 170);
    let framework: String = (1..=12).map(|i| atom(i, "VAL", if i < 7 { 'H' } else { 'L' }, i)).collect();
    let labels = "REMARK PDBinfo-LABEL:    2 H1\nREMARK PDBinfo-LABEL:    3 H3\n";
    json!({"target_pdb": target, "framework_pdb": framework + labels, "hotspots": ["B146", "B170"],
        "loops": {"H1": 7, "H3": "5-13"}, "designs": count})
}

#[tokio::test]
async fn rfantibody_makes_one_design() {
    let hub = start(&[]).await;
    let job = run(&hub.client, &json!({"model": "rfantibody", "inputs": designs(1)})).await;
    let row = &job["results"];
    assert!(row["other_scores"]["interaction_pae"].is_number() && row["ligand_smiles"].is_null(), "{row}");
    let address = format!("/api/v1/jobs/{}/files", job["job_id"].as_str().unwrap());
    let pdb = hub.client.download(&format!("{address}/pdb")).await.text();
    assert!(pdb.contains("ATOM"), "{pdb}");
    hub.client.get(&format!("{address}/cif")).await.problem(404);
    let many = json!({"model": "rfantibody", "inputs": designs(2)});
    assert_eq!(hub.client.post("/api/v1/predict", &many).await.pointers(422), ["/inputs"], "two designs are a batch");
}

#[tokio::test]
async fn a_body_that_could_be_a_prediction_or_a_batch_is_one_of_them_under_one_key() {
    let hub = start(&[]).await;
    let body = json!({"model": "rfantibody", "inputs": designs(1)});
    hub.client.post_once("/api/v1/predict", "k", &body).await.json(202);
    let problem = hub.client.post_once("/api/v1/predict/batch", "k", &body).await.problem(422);
    assert!(problem["detail"].as_str().unwrap().contains("Idempotency-Key"), "{problem}");
    hub.client.post_once("/api/v1/predict/batch", "k2", &body).await.json(202);
}

#[tokio::test]
async fn rfantibody_makes_a_batch_of_designs_the_best_first() {
    let hub = start(&[]).await;
    let body = json!({"model": "rfantibody", "inputs": designs(4), "parameters": {"sequences_per_backbone": 2}});
    let batch = hub.client.run_batch(&body).await;
    assert_eq!((&batch["status"], &batch["completed_jobs"]), (&json!("completed"), &json!(4)), "{batch}");
    let rows = hub.client.rows(&id(&batch)).await;
    let errors: Vec<_> = rows.iter().map(|row| row["other_scores"]["interaction_pae"].as_f64().unwrap()).collect();
    assert!(errors.is_sorted(), "the lowest error ranks first: {errors:?}");
}

#[tokio::test]
async fn every_model_says_what_it_takes_and_gives() {
    let hub = start(&[]).await;
    let list = hub.client.get("/api/v1/models").await.json(200);
    let names: Vec<_> = list["models"].as_array().unwrap().iter().map(|model| model["name"].clone()).collect();
    assert_eq!(names, ["boltz2", "chai1", "rfantibody"]);
    for model in list["models"].as_array().unwrap() {
        assert!(model["inputs"]["properties"].is_object() && model["parameters"]["properties"].is_object());
        assert!(!model["scores"].as_array().unwrap().is_empty());
    }
}
