//! One prediction: posted, watched, read, downloaded.

use crate::start;
use journeys::inputs::demo_bytes;
use serde_json::{Value, json};

#[tokio::test]
async fn one_prediction_completes_and_its_files_can_be_downloaded() {
    let hub = start(&[]).await;
    let client = &hub.client;
    let body: Value = serde_json::from_slice(&demo_bytes("single.json")).unwrap();
    let answer = client.post("/api/v1/predict", &body).await;
    let accepted = answer.json(202);
    let id = accepted["job_id"].as_str().unwrap();
    assert_eq!(answer.header("location"), format!("/api/v1/jobs/{id}"));
    assert_eq!((&accepted["status"], &accepted["job_type"]), (&json!("queued"), &json!("individual")));
    assert!(accepted["cost"]["estimated_usd"].as_f64().unwrap() > 0.0);

    let job = client.job_ends(id).await;
    assert_eq!((&job["status"], &job["simulated"]), (&json!("completed"), &json!(true)), "{job}");
    let row = &job["results"];
    assert!((0.0..=1.0).contains(&row["affinity_prob"].as_f64().unwrap()));
    assert!(row["affinity"].is_number() && row["has_structure"] == true, "{row}");
    assert!(job["cost"]["gpu_seconds"].as_f64().unwrap() > 0.0 && job["cost"]["actual_usd"].is_number());

    let file = async |kind: &str| client.download(job["download_links"][kind].as_str().unwrap()).await;
    let (cif, pdb, json) = (file("cif").await, file("pdb").await, file("json").await);
    assert!(cif.text().starts_with("data_") && cif.text().contains("_atom_site."));
    assert!(cif.header("content-disposition").contains(&format!("{id}.cif")));
    let atoms = |text: &str| text.lines().filter(|line| line.starts_with("ATOM") || line.starts_with("HETATM")).count();
    assert!(atoms(&pdb.text()) > 0 && atoms(&pdb.text()) == atoms(&cif.text()), "the same atoms in both formats");
    assert_eq!(json.json(200), *row);
}

#[tokio::test]
async fn a_link_opens_one_file_and_no_other() {
    let hub = start(&[]).await;
    let client = &hub.client;
    let body: Value = serde_json::from_slice(&demo_bytes("single.json")).unwrap();
    let job = client.post("/api/v1/predict", &body).await.json(202);
    let id = job["job_id"].as_str().unwrap();
    assert_eq!(client.get(&format!("/api/v1/jobs/{id}/files/cif")).await.problem(409)["retry_after"], 10, "too early");
    client.job_ends(id).await;
    let redirect = client.get(&format!("/api/v1/jobs/{id}/files/cif")).await;
    let link = redirect.header("location").replace("http://127.0.0.1:9", "");
    assert_eq!(client.anonymous().get(&link).await.status, 200);
    for forged in
        [link.replace(".cif?", ".json?"), link.replace("expires=", "expires=9"), link.replace("/local/", "/x/")]
    {
        assert_ne!(forged, link);
        assert_eq!(client.get(&forged).await.status, 403, "{forged}");
    }
    let written = json!({"upload_url": format!("http://h{link}"), "headers": {"x-goog-content-length-range": "0,9"}});
    assert_eq!(client.put(&written, b"x").await.status, 403, "a link for reading does not write");
}
