//! What must be refused, how, and before anything was written.

use crate::{
    Outcome, Report,
    client::{As, Client, ensure},
};
use reqwest::Method;
use serde_json::{Value, json};

/// Twenty residues: too short for anything but a check.
pub const SEQUENCE: &str = "GSHMEAVKLLQEAGYTWRDN";

pub async fn checks(report: &mut Report, client: &Client) {
    report
        .check("refusal: an unknown path is a 404 problem", problem(client, Method::GET, "/api/v1/nothing", 404))
        .await;
    report.check("refusal: a wrong method is a 405 problem", problem(client, Method::PUT, "/api/v1/jobs", 405)).await;
    let elsewhere = "/api/v1/jobs/job_000000000000000000000000";
    report.check("refusal: somebody else's job is a 404", problem(client, Method::GET, elsewhere, 404)).await;
    report.check("refusal: and cannot be deleted", problem(client, Method::DELETE, elsewhere, 404)).await;
    let page = "/api/v1/jobs?limit=0";
    report.check("refusal: a page of none is a 400", problem(client, Method::GET, page, 400)).await;
    let missing = json!({"model": "boltz2"});
    report.check("refusal: a missing field is named", field(client, "/api/v1/predict", missing)).await;
    let unknown = json!({"model": "boltz2", "protein_sequence": SEQUENCE, "ligand_smiles": "CCO", "colour": "red"});
    report.check("refusal: an unknown field is named", field(client, "/api/v1/predict", unknown)).await;
    report.check("refusal: bad ligands are listed, nothing is created", ligands(client)).await;
}

async fn problem(client: &Client, method: Method, path: &str, status: u16) -> Outcome {
    let answer = client.send(method, path, As::User, &[], None).await?.expect_problem(status)?;
    answer.text_at("/detail")
}

async fn field(client: &Client, path: &str, body: Value) -> Outcome {
    client.post(path, body).await?.expect_problem(422)?.text_at("/errors/0/pointer")
}

async fn ligands(client: &Client) -> Outcome {
    let newest = async || client.get("/api/v1/batches?limit=1").await?.expect(200)?.text_at("/batches/0/batch_id");
    let before = newest().await.ok();
    let ligands = json!([{"name": "good", "smiles": "CCO"}, {"name": "bad", "smiles": "C1CC"}]);
    let body = json!({"model": "boltz2", "protein_sequence": SEQUENCE, "ligands": ligands});
    let answer = client.post("/api/v1/predict/batch", body).await?.expect_problem(422)?;
    let reason = answer.text_at("/errors/0/reason")?;
    ensure(newest().await.ok() == before && answer.json["errors"][0]["pointer"] == "/ligands/1", reason)
}
