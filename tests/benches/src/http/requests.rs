//! What the HTTP functions are asked: a request for each, and the runs and ids it needs.

use crate::{
    Outcome,
    place::Place,
    process::{Environment, Service, binary},
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// How long the batch may take that is asked for.
const PATIENCE: Duration = Duration::from_secs(120);
pub const SEQUENCE: &str =
    "MENFQKVEKIGEGTYGVVYKARNKLTGEVVALKKIRLDTETEGVPSTAIREISLLKELNHPNIVKLLDVIHTENKLYLVFEFLHQDLKKFMDASALTGIPL";

/// The ids that requests name.
pub type Known = BTreeMap<&'static str, String>;

/// Runs a batch and a prediction of `maria`'s through the whole local hub, and gives her a webhook that was tried.
pub async fn prepare(place: &Place) -> Outcome<Known> {
    let mut environment = Environment::from([("WEBHOOKS_TO_LOOPBACK".to_owned(), "1".to_owned())]);
    environment.insert("RUST_LOG".into(), "error".into());
    let data = place.path().display().to_string();
    let arguments = ["--port", "{port}", "--data-dir", &data];
    let service = Service::start(&binary("omtx-hub")?, &arguments, &environment, "/api/v1/openapi.json")?;
    let hub = Hub { service, http: reqwest::Client::new(), token: place.token("maria")? };
    let ligands: Vec<_> = (2..22).map(|n| json!({"smiles": format!("{}O", "C".repeat(n))})).collect();
    let batch = json!({"model": "boltz2", "protein_sequence": SEQUENCE, "ligands": ligands});
    let batch = hub.post("/api/v1/predict/batch", &batch, "batch_id").await?;
    let job = json!({"model": "boltz2", "protein_sequence": SEQUENCE, "ligand_smiles": "CCO"});
    let job = hub.post("/api/v1/predict", &job, "job_id").await?;
    let webhook = hub.post("/api/v1/webhooks", &webhook(), "webhook_id").await?;
    hub.post(&format!("/api/v1/webhooks/{webhook}/test"), &json!({}), "delivery_id").await?;
    hub.ended(&format!("/api/v1/batches/{batch}")).await?;
    hub.ended(&format!("/api/v1/jobs/{job}")).await?;
    // The file that an export's link leads to is made by the first who asks.
    hub.get(&format!("/api/v1/batches/{batch}/export?format=csv")).await?;
    Ok(Known::from([("batch", batch), ("job", job), ("webhook", webhook)]))
}

fn webhook() -> Value {
    json!({"url": "http://127.0.0.1:1999/hook", "events": ["batch.completed"]})
}

pub type Read = (&'static str, u16, &'static str, String, Option<Value>);

/// What only reads: function (and, after a comma, of what), status, request. The bare service comes first.
pub fn reads(known: &Known) -> Vec<Read> {
    let (batch, job, webhook) = (&known["batch"], &known["job"], &known["webhook"]);
    let get = |name, status, path: String| (name, status, "GET", path, None);
    let api = |rest: &str| format!("/api/v1/{rest}");
    let estimate = json!({"model": "boltz2", "protein_sequence": SEQUENCE, "ligands": ten_ligands(0)});
    vec![
        get("bare axum", 200, "/".into()),
        get("get-job, its health check", 200, "/healthz".into()),
        get("get-job, a finished prediction", 200, api(&format!("jobs/{job}"))),
        get("get-job, a batch", 200, api(&format!("jobs/{batch}"))),
        get("list-jobs", 200, api("jobs?limit=20")),
        get("get-batch", 200, api(&format!("batches/{batch}"))),
        get("list-batches", 200, api("batches?limit=20")),
        get("get-results", 200, api(&format!("batches/{batch}/results?limit=20"))),
        get("get-job-file", 303, api(&format!("jobs/{job}/files/cif"))),
        get("export-batch", 303, api(&format!("batches/{batch}/export?format=csv"))),
        get("stream-events", 200, api(&format!("batches/{batch}/events"))),
        get("list-models", 200, api("models")),
        get("get-usage", 200, api("usage")),
        get("system-status", 200, api("system/status")),
        get("get-openapi", 200, api("openapi.json")),
        get("list-webhooks", 200, api("webhooks")),
        get("list-deliveries", 200, api(&format!("webhooks/{webhook}/deliveries"))),
        get("list-api-keys", 200, api("api-keys")),
        ("estimate", 200, "POST", api("estimate"), Some(estimate)),
    ]
}

fn ten_ligands(user: usize) -> Vec<Value> {
    (0..10).map(|n| json!({"smiles": format!("{}N", "C".repeat(2 + (user + n) % 30))})).collect()
}

/// A function that writes. `needs` and `makes` name the member of an answer that holds an id.
pub struct Writing {
    pub name: &'static str,
    pub status: u16,
    pub method: &'static str,
    pub path: &'static str,
    pub body: fn(usize) -> Option<Value>,
    pub needs: &'static str,
    pub makes: &'static str,
}

/// In their order: what one makes, the next one works on.
pub fn writing() -> Vec<Writing> {
    let of =
        |name, status, method, path, body, needs, makes| Writing { name, status, method, path, body, needs, makes };
    let none: fn(usize) -> Option<Value> = |_| None;
    vec![
        of("submit-prediction", 202, "POST", "/api/v1/predict", |_| Some(prediction()), "", "job_id"),
        of("submit-batch", 202, "POST", "/api/v1/predict/batch", |user| Some(batch(user)), "", "batch_id"),
        of("create-upload", 201, "POST", "/api/v1/uploads", |_| Some(upload()), "", ""),
        of("create-api-key", 201, "POST", "/api/v1/api-keys", |_| Some(api_key()), "", "key_id"),
        of("create-webhook", 201, "POST", "/api/v1/webhooks", |_| Some(webhook()), "", "webhook_id"),
        of("rotate-webhook", 200, "POST", "/api/v1/webhooks/{id}/rotate", none, "webhook_id", ""),
        of("enable-webhook", 200, "POST", "/api/v1/webhooks/{id}/enable", none, "webhook_id", ""),
        of("test-webhook", 202, "POST", "/api/v1/webhooks/{id}/test", none, "webhook_id", ""),
        of("delete-webhook", 204, "DELETE", "/api/v1/webhooks/{id}", none, "webhook_id", ""),
        of("delete-api-key", 204, "DELETE", "/api/v1/api-keys/{id}", none, "key_id", ""),
        of("delete-job", 200, "DELETE", "/api/v1/jobs/{id}", none, "job_id", ""),
        of("delete-batch", 200, "DELETE", "/api/v1/batches/{id}", none, "batch_id", ""),
        of("retry-batch", 202, "POST", "/api/v1/batches/{id}/retry", none, "batch_id", ""),
        of("repair-runs", 200, "POST", "/api/v1/system/repair", |_| Some(json!({})), "", ""),
    ]
}

fn prediction() -> Value {
    json!({"model": "boltz2", "protein_sequence": SEQUENCE, "ligand_smiles": "CC(=O)Oc1ccccc1C(=O)O"})
}

fn batch(user: usize) -> Value {
    json!({"model": "boltz2", "protein_sequence": SEQUENCE, "ligands": ten_ligands(user)})
}

fn upload() -> Value {
    json!({"file_name": "library.csv", "protein_sequence": SEQUENCE})
}

fn api_key() -> Value {
    json!({"name": "pipeline", "scopes": ["read"]})
}

pub fn text(body: &Value, member: &str) -> String {
    body[member].as_str().unwrap_or_default().to_owned()
}

/// The local hub as a process, and a client of it.
struct Hub {
    service: Service,
    http: reqwest::Client,
    token: String,
}

impl Hub {
    async fn get(&self, path: &str) -> Outcome<Value> {
        let answer = self.http.get(self.service.url(path)).bearer_auth(&self.token).send().await?;
        Ok(serde_json::from_str(&answer.text().await?).unwrap_or_default())
    }

    async fn post(&self, path: &str, body: &Value, member: &str) -> Outcome<String> {
        let request = self.http.post(self.service.url(path)).bearer_auth(&self.token);
        let answer = request.header("content-type", "application/json").body(body.to_string()).send().await?;
        let body = answer.text().await?;
        let id = text(&serde_json::from_str(&body)?, member);
        if id.is_empty() { Err(format!("{path}: {body}").into()) } else { Ok(id) }
    }

    async fn ended(&self, path: &str) -> Outcome<()> {
        let begun = Instant::now();
        while self.get(path).await?["status"] != "completed" {
            if begun.elapsed() > PATIENCE {
                return Err(format!("{path} has not ended").into());
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Ok(())
    }
}
