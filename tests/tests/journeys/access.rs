//! Who may do what: every route of the contract against everybody who might ask, each with the status they are answered.
//! A route without a row here fails the test. What is somebody else's is not there for another user, whatever their tier
//! or role, and stays untouched after every attempt.

mod askers;
mod marias;

use crate::start;
use askers::askers;
use axum::http::Method;
use journeys::{
    Answer, Client, Things,
    inputs::{batch, library, target},
};
use marias::{Marias, key, runs};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// What a caller must have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Needs {
    Nothing,
    Scope(&'static str),
    Operator,
}

/// A route, and how it answers somebody who may ask: the owner of what it names, or an operator.
struct Route {
    method: Method,
    path: &'static str,
    needs: Needs,
    status: u16,
    body: Value,
}

/// Every route. Those that end what others need come last; runs that have ended cannot be cancelled (409), and a batch
/// without a failed ligand is not run again.
fn routes() -> Vec<Route> {
    const READ: Needs = Needs::Scope("read");
    const SUBMIT: Needs = Needs::Scope("submit");
    const MANAGE: Needs = Needs::Scope("manage");
    let single = json!({"model": "boltz2", "protein_sequence": target(), "ligand_smiles": "CCO"});
    let upload = json!({"file_name": "hits.csv", "protein_sequence": target()});
    let webhook = json!({"url": "https://8.8.8.8/", "events": ["job.failed"]});
    // A key makes none that may more than itself.
    let key = json!({"name": "pipeline", "scopes": ["manage"]});
    let none = || Value::Null;
    let rows = [
        ("GET", "/api/v1/openapi.json", Needs::Nothing, 200, none()),
        ("GET", "/api/v1/models", READ, 200, none()),
        ("GET", "/api/v1/system/status", READ, 200, none()),
        ("GET", "/api/v1/jobs", READ, 200, none()),
        ("GET", "/api/v1/jobs/{job_id}", READ, 200, none()),
        ("GET", "/api/v1/jobs/{job_id}/status", READ, 200, none()),
        ("GET", "/api/v1/jobs/{job_id}/results", READ, 200, none()),
        ("GET", "/api/v1/jobs/{job_id}/events", READ, 200, none()),
        ("GET", "/api/v1/jobs/{job_id}/files/{kind}", READ, 303, none()),
        ("GET", "/api/v1/batches", READ, 200, none()),
        ("GET", "/api/v1/batches/{batch_id}", READ, 200, none()),
        ("GET", "/api/v1/batches/{batch_id}/results", READ, 200, none()),
        ("GET", "/api/v1/batches/{batch_id}/events", READ, 200, none()),
        ("GET", "/api/v1/batches/{batch_id}/export", READ, 303, none()),
        ("POST", "/api/v1/predict", SUBMIT, 202, single.clone()),
        ("POST", "/api/v1/jobs/submit", SUBMIT, 202, single),
        ("POST", "/api/v1/predict/batch", SUBMIT, 202, batch(2)),
        ("POST", "/api/v1/jobs/submit-batch", SUBMIT, 202, batch(2)),
        ("POST", "/api/v1/estimate", SUBMIT, 200, batch(2)),
        ("POST", "/api/v1/uploads", SUBMIT, 201, upload),
        ("POST", "/api/v1/batches/{batch_id}/retry", SUBMIT, 409, none()),
        ("DELETE", "/api/v1/jobs/{job_id}", SUBMIT, 409, none()),
        ("DELETE", "/api/v1/batches/{batch_id}", SUBMIT, 409, none()),
        ("GET", "/api/v1/usage", READ, 200, none()),
        ("GET", "/api/v1/webhooks", MANAGE, 200, none()),
        ("POST", "/api/v1/webhooks", MANAGE, 201, webhook),
        ("GET", "/api/v1/webhooks/{webhook_id}/deliveries", MANAGE, 200, none()),
        ("POST", "/api/v1/webhooks/{webhook_id}/enable", MANAGE, 200, none()),
        ("POST", "/api/v1/webhooks/{webhook_id}/rotate", MANAGE, 200, none()),
        ("POST", "/api/v1/webhooks/{webhook_id}/test", MANAGE, 202, none()),
        ("DELETE", "/api/v1/webhooks/{webhook_id}", MANAGE, 204, none()),
        ("GET", "/api/v1/api-keys", MANAGE, 200, none()),
        ("POST", "/api/v1/api-keys", MANAGE, 201, key),
        ("DELETE", "/api/v1/api-keys/{key_id}", MANAGE, 204, none()),
        ("POST", "/api/v1/system/repair", Needs::Operator, 200, json!({})),
    ];
    let route = |(method, path, needs, status, body): (&str, _, _, _, _)| Route {
        method: method.parse().unwrap(),
        path,
        needs,
        status,
        body,
    };
    rows.map(route).into()
}

async fn ask(client: &Client, route: &Route, path: &str) -> Answer {
    match &route.body {
        Value::Null => client.call(route.method.clone(), path).await,
        body => client.post(path, body).await,
    }
}

/// Every operation of the contract.
fn promised() -> BTreeSet<(String, String)> {
    let contract = serde_json::to_value(hub::openapi()).unwrap();
    let paths = contract["paths"].as_object().unwrap().clone();
    let methods = |(path, item): (String, Value)| {
        let methods: Vec<_> = item.as_object().unwrap().keys().map(|name| name.to_uppercase()).collect();
        methods.into_iter().map(move |name| (name, path.clone()))
    };
    paths.into_iter().flat_map(methods).collect()
}

#[test]
fn every_route_has_its_row() {
    let rows: BTreeSet<_> = routes().iter().map(|row| (row.method.to_string(), row.path.to_owned())).collect();
    assert_eq!(promised(), rows, "the contract, and the rows of this file");
}

#[tokio::test]
async fn every_route_answers_everybody_as_they_are_to_be_answered() {
    let hub = start(&[("LIMITS", "off")]).await;
    let marias = Marias::make(&hub).await;
    hub.settled().await;
    let (askers, before) = (askers(&hub, &marias), Things::of(&hub).await);
    let (nobodys, mut refused) = (marias.nobodys(), 0);
    for asker in &askers {
        for route in routes() {
            let mut asked = if asker.is_refused(&route) { marias.addresses(&route) } else { vec![] };
            if route.path.contains('{') {
                asked.extend(nobodys.addresses(&route));
            }
            for path in asked {
                let answer = ask(&asker.client, &route, &path).await;
                let status = if asker.is_refused(&route) { asker.expected(&route) } else { 404 };
                assert_eq!(answer.status, status, "{}: {} {}", asker.name, answer.asked, answer.text());
                answer.problem(status);
                assert_eq!(answer.header("www-authenticate"), if status == 401 { "Bearer" } else { "" });
                refused += 1;
            }
        }
    }
    assert!(refused > 1000, "{refused}");
    hub.settled().await;
    assert_eq!(Things::of(&hub).await, before, "who is refused writes nothing");
    for asker in &askers {
        let own = if asker.owner { marias.renewed(&hub).await } else { marias.clone() };
        for route in routes().iter().filter(|route| !asker.is_refused(route)) {
            let answer = ask(&asker.client, route, &own.addresses(route)[0]).await;
            assert_eq!(answer.status, route.status, "{}: {} {}", asker.name, answer.asked, answer.text());
            if !asker.owner && !route.path.contains('{') {
                for own in [&marias.batch, &marias.job, &marias.webhook, &marias.spare_key] {
                    assert!(!answer.text().contains(own.as_str()), "{} shows {own} to {}", answer.asked, asker.name);
                }
            }
            if answer.status == 202 && !answer.header("location").is_empty() {
                // It is not waited for; what was known already has ended.
                let ended = asker.client.delete(answer.header("location")).await;
                assert!([200, 409].contains(&ended.status.as_u16()), "{}: {}", ended.asked, ended.text());
            }
        }
    }
}

#[tokio::test]
async fn who_may_purge_a_run_purges_it_and_then_it_is_not_there() {
    let hub = start(&[]).await;
    let (maria, nils) = (hub.user("maria"), hub.user("nils"));
    let (batch, job) = runs(&maria).await;
    let [submit, read] = [key(&maria, "submit").await.0, key(&maria, "read").await.0].map(|key| maria.with_key(&key));
    for (client, status) in [(&nils, 404), (&read.anonymous(), 401), (&submit, 204)] {
        for path in [format!("/api/v1/batches/{batch}"), format!("/api/v1/jobs/{job}")] {
            assert_eq!(client.delete(&format!("{path}?purge=true")).await.status, status, "{path}");
            assert_eq!(maria.get(&path).await.status, if status == 204 { 404 } else { 200 }, "{path}");
        }
    }
}

#[tokio::test]
async fn every_answer_tells_what_is_left() {
    let hub = start(&[]).await;
    let marias = Marias::make(&hub).await.nobodys();
    for route in routes() {
        let path = &marias.addresses(&route)[0];
        let answer = ask(&hub.client.anonymous(), &route, path).await;
        let left = [answer.header("ratelimit-limit"), answer.header("x-ratelimit-limit")];
        assert_eq!(left, ["600"; 2], "{}: {}", answer.asked, answer.status);
        let answer = ask(&hub.user("maria"), &route, path).await;
        let wanted = if route.needs == Needs::Nothing { "600" } else { "1000" };
        let is_file = path.contains("/files/") || path.contains("/export");
        assert_eq!(answer.header("ratelimit-limit"), if is_file { "500" } else { wanted }, "{}", answer.asked);
        assert!(!answer.header("x-ratelimit-reset").is_empty());
    }
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
