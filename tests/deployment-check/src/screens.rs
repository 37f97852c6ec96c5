//! The work itself: a tiny batch to its end, its files, an upload, a cancellation; and everything removed again.

use crate::{
    Arguments, Outcome, Report,
    client::{Answer, As, Client, ensure},
    refusals::SEQUENCE,
};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const LIBRARY: &str =
    "smiles,name\nCC(=O)Oc1ccccc1C(=O)O,aspirin\nnonsense,broken\nCn1c(=O)c2c(ncn2C)n(C)c1=O,caffeine\n";
/// Between two looks at a batch.
const LOOK: Duration = Duration::from_millis(500);

pub async fn checks(report: &mut Report, client: &Client, arguments: &Arguments) {
    let patience = Duration::from_secs(arguments.batch_seconds);
    let key = format!("deployment-check-{:?}", Instant::now());
    let mut batch = String::new();
    report.check("batch: accepted with its address", submitted(client, &key, &mut batch)).await;
    report.check("batch: sent again, it is the same batch", repeated(client, &key, &batch)).await;
    report.check("batch: another body under its key is refused", other_body(client, &key)).await;
    report.check("batch: completes, every ligand accounted for", completes(client, &batch, patience)).await;
    report.check("results: ranked, and nothing missing is 0.0", results(client, &batch)).await;
    report.check("results: csv has a row per ligand", csv(client, &batch)).await;
    report.check("results: batch_results.json is version 1.0", version(client, &batch)).await;
    report.check("files: a structure can be fetched", structure(client, &batch)).await;
    report.check("older clients: status and results", older(client, &batch)).await;
    let mut uploaded = String::new();
    report.check("upload: a library starts its own screen", upload(client, patience, &mut uploaded)).await;
    let mut cancelled = String::new();
    report.check("cancel: a batch stops when asked", cancel(client, &mut cancelled)).await;
    for (name, id) in [
        ("purge: the batch leaves nothing", &batch),
        ("purge: the screen leaves nothing", &uploaded),
        ("purge: the cancelled batch leaves nothing", &cancelled),
    ] {
        report.check(name, purge(client, id)).await;
    }
}

fn request() -> Value {
    let ligands = json!([{"name": "aspirin", "smiles": "CC(=O)Oc1ccccc1C(=O)O"}, {"name": "ethanol", "smiles": "CCO"},
        {"name": "caffeine", "smiles": "Cn1c(=O)c2c(ncn2C)n(C)c1=O"}]);
    json!({"model": "boltz2", "protein_sequence": SEQUENCE, "ligands": ligands, "batch_name": "deployment check"})
}

async fn submit(client: &Client, key: &str, body: Value) -> Result<Answer, String> {
    client.send(Method::POST, "/api/v1/predict/batch", As::User, &[("idempotency-key", key)], Some(body)).await
}

async fn submitted(client: &Client, key: &str, batch: &mut String) -> Outcome {
    let answer = submit(client, key, request()).await?.expect(202)?;
    *batch = answer.text_at("/batch_id")?;
    let location = answer.headers.get("location").and_then(|value| value.to_str().ok()).unwrap_or_default();
    ensure(location == format!("/api/v1/batches/{batch}"), location)
}

async fn repeated(client: &Client, key: &str, batch: &str) -> Outcome {
    let again = submit(client, key, request()).await?.expect(202)?.text_at("/batch_id")?;
    ensure(again == batch, again)
}

async fn other_body(client: &Client, key: &str) -> Outcome {
    let mut other = request();
    other["batch_name"] = json!("another");
    submit(client, key, other).await?.expect_problem(422)?.text_at("/detail")
}

async fn ended(client: &Client, batch: &str, patience: Duration) -> Result<Answer, String> {
    let began = Instant::now();
    loop {
        let answer = client.get(&format!("/api/v1/batches/{batch}")).await?.expect(200)?;
        let status = answer.text_at("/status")?;
        if ["completed", "failed", "cancelled"].contains(&status.as_str()) {
            return Ok(answer);
        }
        if began.elapsed() > patience {
            return Err(format!("still {status} after {} s: {}", patience.as_secs(), answer.json["progress"]));
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn completes(client: &Client, batch: &str, patience: Duration) -> Outcome {
    let answer = ended(client, batch, patience).await?;
    let count = |field: &str| answer.json[field].as_u64().unwrap_or(0);
    let accounted = count("completed_jobs") + count("failed_jobs") == 3 && answer.json["progress"]["milestone"] == 100;
    let seen = format!(
        "{}, {} completed, simulated: {}",
        answer.json["status"],
        count("completed_jobs"),
        answer.json["simulated"]
    );
    ensure(accounted && answer.json["status"] == "completed", seen)
}

async fn results(client: &Client, batch: &str) -> Outcome {
    let answer = client.get(&format!("/api/v1/batches/{batch}/results")).await?.expect(200)?;
    let rows = answer.json["results"].as_array().cloned().unwrap_or_default();
    let chances: Vec<_> = rows.iter().filter_map(|row| row["affinity_prob"].as_f64()).collect();
    let failed_has_none = rows.iter().all(|row| row["status"] == "completed" || row["affinity"].is_null());
    ensure(rows.len() == 3 && chances.is_sorted_by(|a, b| a >= b) && failed_has_none, format!("{chances:.3?}"))
}

async fn csv(client: &Client, batch: &str) -> Outcome {
    let table = client.download(&format!("/api/v1/batches/{batch}/export?format=csv")).await?;
    ensure(table.lines().count() == 4 && table.starts_with("rank,"), format!("{} lines", table.lines().count()))
}

async fn version(client: &Client, batch: &str) -> Outcome {
    let text = client.download(&format!("/api/v1/batches/{batch}/export?format=json")).await?;
    let results: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let seen = format!("version {}, {} jobs", results["version"], results["job_count"]);
    ensure(results["version"] == "1.0" && results["job_count"] == 3, seen)
}

async fn structure(client: &Client, batch: &str) -> Outcome {
    let structure = client.download(&format!("/api/v1/jobs/{batch}_0001/files/cif")).await?;
    ensure(structure.contains("_atom_site."), format!("{} bytes of mmCIF", structure.len()))
}

async fn older(client: &Client, batch: &str) -> Outcome {
    let status = client.get(&format!("/api/v1/jobs/{batch}/status")).await?.expect(200)?.text_at("/status")?;
    let row = client.get(&format!("/api/v1/jobs/{batch}_0001/results")).await?.expect(200)?;
    ensure(status == "completed" && row.json["ligand_name"] == "aspirin", status)
}

async fn upload(client: &Client, patience: Duration, batch: &mut String) -> Outcome {
    let body = json!({"file_name": "library.csv", "protein_sequence": SEQUENCE, "batch_name": "deployment check"});
    let answer = client.post("/api/v1/uploads", body).await?.expect(201)?;
    let object = answer.text_at("/object")?;
    client.upload(&answer, LIBRARY).await?;
    let began = Instant::now();
    while began.elapsed() < patience {
        let list = client.get("/api/v1/batches?limit=20").await?.expect(200)?;
        let batches = list.json["batches"].as_array().cloned().unwrap_or_default();
        if let Some(found) = batches.iter().find(|batch| batch["source"]["upload"] == object.as_str()) {
            *batch = found["batch_id"].as_str().unwrap_or_default().to_owned();
            let end = ended(client, batch, patience).await?;
            let right = end.json["status"] == "completed" && end.json["rejected"]["invalid_count"] == 1;
            return ensure(
                right,
                format!("{}, {} rejected", end.json["status"], end.json["rejected"]["invalid_count"]),
            );
        }
        tokio::time::sleep(LOOK).await;
    }
    Err("no screen started".into())
}

async fn cancel(client: &Client, batch: &mut String) -> Outcome {
    let mut body = request();
    body["strategy"] = json!("sequential");
    *batch = client.post("/api/v1/predict/batch", body).await?.expect(202)?.text_at("/batch_id")?;
    let path = format!("/api/v1/batches/{batch}");
    let answer = client.send(Method::DELETE, &path, As::User, &[], None).await?.expect(200)?;
    let status = answer.text_at("/status")?;
    ensure(status == "cancelled", status)
}

async fn purge(client: &Client, batch: &str) -> Outcome {
    let path = format!("/api/v1/batches/{batch}");
    client.send(Method::DELETE, &format!("{path}?purge=true"), As::User, &[], None).await?.expect(204)?;
    client.get(&path).await?.expect_problem(404).map(|_| "204, then 404".into())
}
