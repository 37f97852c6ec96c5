//! What every client relies on: transport, identity, the contract, latency.

use crate::{
    Arguments, Outcome, Report,
    client::{As, Client, ensure},
};
use reqwest::Method;
use serde_json::Value;
use std::time::Instant;

/// The eleven endpoints, and those beyond.
const ENDPOINTS: [(&str, &str); 15] = [
    ("/api/v1/predict", "post"),
    ("/api/v1/predict/batch", "post"),
    ("/api/v1/jobs/{job_id}", "get"),
    ("/api/v1/jobs", "get"),
    ("/api/v1/jobs/{job_id}", "delete"),
    ("/api/v1/batches/{batch_id}", "get"),
    ("/api/v1/batches", "get"),
    ("/api/v1/batches/{batch_id}", "delete"),
    ("/api/v1/jobs/{job_id}/files/{kind}", "get"),
    ("/api/v1/batches/{batch_id}/export", "get"),
    ("/api/v1/system/status", "get"),
    ("/api/v1/batches/{batch_id}/results", "get"),
    ("/api/v1/models", "get"),
    ("/api/v1/uploads", "post"),
    ("/api/v1/openapi.json", "get"),
];
/// Requests the latency is taken from.
const REQUESTS: usize = 40;

pub async fn checks(report: &mut Report, client: &Client, arguments: &Arguments) {
    report.check("tls: every byte is encrypted", tls(client)).await;
    report.check("contract: OpenAPI 3.1 names every endpoint", contract(client)).await;
    report.check("identity: the token is accepted", accepted(client)).await;
    report.check("identity: nobody is refused, with a problem", nobody(client)).await;
    report.check("identity: a token that is none is refused", forged(client, "not.a.token")).await;
    // {"alg":"none"}.{"sub":"admin"} without a signature.
    let unsigned = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJzdWIiOiJhZG1pbiJ9.";
    report.check("identity: an unsigned token is refused", forged(client, unsigned)).await;
    report.check("cors: a browser of the frontend may ask", cors(client, &arguments.origin)).await;
    report.check("models: each has schemas, scores and a ranking", models(client)).await;
    report.check("status: the system is healthy", status(client)).await;
    report.check("headers: answers are JSON and name no software", headers(client)).await;
    report.check("latency: reading a list", latency(client, arguments.latency_ms)).await;
}

async fn tls(client: &Client) -> Outcome {
    let base = client.base();
    if base.starts_with("https://") {
        return client.get("/api/v1/openapi.json").await?.expect(200).map(|_| "https, certificate verified".into());
    }
    let here = ["http://127.0.0.1", "http://localhost", "http://[::1]"].iter().any(|start| base.starts_with(start));
    ensure(here, if here { "loopback: nothing leaves this machine" } else { "plain http over a network" })
}

async fn contract(client: &Client) -> Outcome {
    let answer = client.send(Method::GET, "/api/v1/openapi.json", As::Nobody, &[], None).await?.expect(200)?;
    let version = answer.text_at("/openapi")?;
    let missing: Vec<_> =
        ENDPOINTS.iter().filter(|(path, method)| answer.json["paths"][path][method].is_null()).collect();
    ensure(version.starts_with("3.1") && missing.is_empty(), format!("{version}, missing {missing:?}"))
}

async fn accepted(client: &Client) -> Outcome {
    client.get("/api/v1/jobs?limit=1").await?.expect(200).map(|_| "200".into())
}

async fn nobody(client: &Client) -> Outcome {
    let answer = client.send(Method::GET, "/api/v1/jobs", As::Nobody, &[], None).await?.expect_problem(401)?;
    ensure(answer.headers.contains_key("www-authenticate"), "401 with WWW-Authenticate")
}

async fn forged(client: &Client, token: &str) -> Outcome {
    let answer = client.send(Method::GET, "/api/v1/jobs", As::Bearer(token), &[], None).await?;
    answer.expect_problem(401).map(|_| "401".into())
}

async fn cors(client: &Client, origin: &str) -> Outcome {
    let headers = [
        ("origin", origin),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization,content-type,idempotency-key"),
    ];
    let answer = client.send(Method::OPTIONS, "/api/v1/predict", As::Nobody, &headers, None).await?.expect(200)?;
    let allowed = answer.headers.get("access-control-allow-origin").and_then(|value| value.to_str().ok());
    let named = allowed.unwrap_or("none");
    ensure(named == "*" || named == origin, format!("allowed origin: {named}"))
}

async fn models(client: &Client) -> Outcome {
    let answer = client.get("/api/v1/models").await?.expect(200)?;
    let models = answer.json["models"].as_array().cloned().unwrap_or_default();
    let whole =
        |model: &Value| model["inputs"].is_object() && model["scores"].is_array() && !model["ranking"].is_null();
    let names: Vec<_> = models.iter().filter_map(|model| model["name"].as_str()).collect();
    ensure(names.contains(&"boltz2") && models.iter().all(whole), names.join(", "))
}

async fn status(client: &Client) -> Outcome {
    let answer = client.get("/api/v1/system/status").await?.expect(200)?;
    let status = answer.text_at("/status")?;
    ensure(status == "healthy", format!("{status}, {}", answer.json["completion_monitor"]))
}

async fn headers(client: &Client) -> Outcome {
    let answer = client.get("/api/v1/jobs?limit=1").await?.expect(200)?;
    let kind = answer.headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let telling = answer.headers.contains_key("x-powered-by");
    ensure(kind == "application/json" && !telling, kind)
}

async fn latency(client: &Client, limit_ms: u64) -> Outcome {
    let mut times = vec![];
    for _ in 0..REQUESTS {
        let began = Instant::now();
        client.get("/api/v1/batches?limit=1").await?.expect(200)?;
        times.push(began.elapsed().as_millis());
    }
    times.sort_unstable();
    let (middle, late) = (times[REQUESTS / 2], times[REQUESTS * 95 / 100]);
    ensure(late <= u128::from(limit_ms), format!("median {middle} ms, 95th percentile {late} ms"))
}
