//! Somebody else's data: not there for another user, out of reach for nobody, and untouched after every attempt.

use crate::{id, start};
use axum::http::Method;
use chrono::TimeDelta;
use journeys::{
    Hub, Things,
    inputs::{batch, library, target},
};
use local::Access;
use serde_json::{Value, json};

/// Every operation of the contract: method and path with its gaps.
fn operations() -> Vec<(Method, String)> {
    let contract = serde_json::to_value(hub::openapi()).unwrap();
    let paths = contract["paths"].as_object().unwrap().clone();
    let methods = |(path, item): (String, Value)| {
        let methods: Vec<_> = item.as_object().unwrap().keys().map(|name| name.to_uppercase()).collect();
        methods.into_iter().map(move |name| (name.parse().unwrap(), path.clone()))
    };
    paths.into_iter().flat_map(methods).collect()
}

/// The path with the ids of a batch or job, of an item of the batch, or of a webhook put in.
fn named(path: &str, (batch, job, webhook): (&str, &str, &str)) -> Vec<String> {
    let path = &path.replace("{webhook_id}", webhook);
    let query = if path.ends_with("/export") { "?format=csv" } else { "" };
    let child = format!("{batch}_0001");
    let fill = |id: &str| path.replace("{batch_id}", id).replace("{job_id}", id).replace("{kind}", "json") + query;
    if path.contains("{job_id}") { vec![fill(job), fill(batch), fill(&child)] } else { vec![fill(batch)] }
}

/// Maria's finished batch, single prediction and webhook, which hears of neither.
async fn marias(hub: &Hub) -> (String, String, String) {
    let maria = hub.user("maria");
    let batch = id(&maria.run_batch(&batch(2)).await);
    let body = json!({"model": "boltz2", "protein_sequence": target(), "ligand_smiles": "CCO"});
    let job = maria.post("/api/v1/predict", &body).await.json(202)["job_id"].as_str().unwrap().to_owned();
    maria.job_ends(&job).await;
    hub.settled().await;
    let body = json!({"url": "https://8.8.8.8/", "events": ["job.failed"]});
    let webhook = maria.post("/api/v1/webhooks", &body).await.json(201)["webhook_id"].as_str().unwrap().to_owned();
    (batch, job, webhook)
}

#[tokio::test]
async fn another_users_runs_are_not_there_and_stay_untouched() {
    let hub = start(&[]).await;
    let (batch, job, webhook) = marias(&hub).await;
    let nils = hub.user("nils");
    let before = Things::of(&hub).await;
    let mut asked = 0;
    for (method, path) in operations().into_iter().filter(|(_, path)| path.contains('{')) {
        for path in named(&path, (&batch, &job, &webhook)) {
            for path in [path.clone(), format!("{path}{}purge=true", if path.contains('?') { '&' } else { '?' })] {
                if path.contains("purge") && method != Method::DELETE {
                    continue;
                }
                nils.call(method.clone(), &path).await.problem(404);
                asked += 1;
            }
        }
    }
    assert!(asked >= 20, "{asked}");
    for list in ["/api/v1/jobs", "/api/v1/batches", "/api/v1/webhooks"] {
        let shown = nils.get(list).await.json(200).to_string();
        assert!(!shown.contains(&batch) && !shown.contains(&webhook) && !shown.contains("next_cursor\":\""), "{shown}");
    }
    assert_eq!(Things::of(&hub).await, before);
    assert_eq!(hub.user("maria").rows(&batch).await.len(), 2);
}

#[tokio::test]
async fn another_users_library_cannot_be_run() {
    let hub = start(&[]).await;
    let object =
        hub.user("maria").upload(&json!({"file_name": "secret.csv", "protein_sequence": target()}), &library(2)).await;
    hub.user("maria").batch_of(&object).await;
    for address in [format!("gs://uploads/{object}"), format!("gs://uploads/nils/../{object}")] {
        let body = json!({"model": "boltz2", "protein_sequence": target(), "library": address});
        let answer = hub.user("nils").post("/api/v1/predict/batch", &body).await;
        assert_eq!(answer.pointers(422), ["/library"]);
    }
}

#[tokio::test]
async fn nobody_gets_in_without_a_good_key_or_token() {
    let hub = start(&[]).await;
    let (batch, job, webhook) = marias(&hub).await;
    let now = hub.cloud.world.clock.now();
    let good = hub.cloud.access.token("maria", now).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let foreign = Access::open(elsewhere.path()).unwrap().token("maria", now).unwrap();
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let (head, _) = signed.split_once('.').unwrap();
    let payload = hub.cloud.access.token("nils", now).unwrap().split('.').nth(1).unwrap().to_owned();
    let anonymous = hub.client.anonymous();
    let unwelcome = [
        anonymous.clone(),
        anonymous.with_key("omtx_guessed"),
        anonymous.with_key(""),
        anonymous.with_token("nonsense"),
        anonymous.with_token(&hub.cloud.access.token("maria", now - TimeDelta::hours(2)).unwrap()),
        anonymous.with_token(&foreign),
        anonymous.with_token(&format!("{signed}.")),
        anonymous.with_token(&format!("{head}.{payload}.{signature}")),
        // {"alg":"none"}
        anonymous.with_token(&format!("eyJhbGciOiJub25lIn0.{payload}.")),
    ];
    let before = Things::of(&hub).await;
    for client in &unwelcome {
        for (method, path) in operations() {
            for path in named(&path, (&batch, &job, &webhook)) {
                let answer = client.call(method.clone(), &path).await;
                if path.ends_with("openapi.json") {
                    assert_eq!(answer.status, 200, "the contract is for everybody");
                } else {
                    answer.problem(401);
                    assert_eq!(answer.header("www-authenticate"), "Bearer");
                }
            }
        }
    }
    assert_eq!(Things::of(&hub).await, before);
    assert_eq!(anonymous.with_token(&good).get(&format!("/api/v1/batches/{batch}")).await.status, 200);
}
