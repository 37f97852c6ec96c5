//! Who may do what: every route of the contract against everybody who might ask. A route without a row here fails the
//! test. What is somebody else's is not there for another user, whatever their tier or role, and stays untouched after
//! every attempt.

use crate::{id, start};
use axum::http::Method;
use chrono::TimeDelta;
use journeys::{
    Answer, Client, Hub, Things,
    inputs::{batch, library, target},
};
use local::Access;
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
    let key = json!({"name": "pipeline", "scopes": ["read"]});
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

/// What is Maria's: a finished batch and single prediction, a webhook that hears of neither, an API key of each scope and
/// one more.
struct Marias {
    batch: String,
    job: String,
    webhook: String,
    spare_key: String,
    /// By their scope.
    keys: Vec<(&'static str, String)>,
}

impl Marias {
    async fn make(hub: &Hub) -> Self {
        let maria = hub.user("maria");
        let made = async |path: &str, body: Value, status: u16| maria.post(path, &body).await.json(status);
        let text = |answer: &Value, member: &str| answer[member].as_str().unwrap().to_owned();
        let batch = id(&maria.run_batch(&batch(2)).await);
        let single = json!({"model": "boltz2", "protein_sequence": target(), "ligand_smiles": "CCO"});
        let job = text(&made("/api/v1/predict", single, 202).await, "job_id");
        maria.job_ends(&job).await;
        let webhook = json!({"url": "https://8.8.8.8/", "events": ["job.failed"]});
        let webhook = text(&made("/api/v1/webhooks", webhook, 201).await, "webhook_id");
        let key = async |scope| made("/api/v1/api-keys", json!({"name": scope, "scopes": [scope]}), 201).await;
        let mut keys = vec![];
        for scope in ["read", "submit", "manage"] {
            keys.push((scope, text(&key(scope).await, "key")));
        }
        let spare_key = text(&key("read").await, "key_id");
        hub.settled().await;
        Marias { batch, job, webhook, spare_key, keys }
    }

    /// The addresses of a route with her ids in it; the first is the one that the route is about.
    fn addresses(&self, route: &Route) -> Vec<String> {
        let path = route.path.replace("{webhook_id}", &self.webhook).replace("{key_id}", &self.spare_key);
        let query = if path.ends_with("/export") { "?format=csv" } else { "" };
        let fill = |id: &str| path.replace("{batch_id}", id).replace("{job_id}", id).replace("{kind}", "json") + query;
        let mut all = match path.contains("{job_id}") {
            true => vec![fill(&self.job), fill(&self.batch), fill(&format!("{}_0001", self.batch))],
            false => vec![fill(&self.batch)],
        };
        if route.method == Method::DELETE {
            all.extend(all.clone().into_iter().map(|path| path + "?purge=true"));
        }
        all
    }
}

async fn ask(client: &Client, route: &Route, path: &str) -> Answer {
    match &route.body {
        Value::Null => client.call(route.method.clone(), path).await,
        body => client.post(path, body).await,
    }
}

/// The status of a refusal, for a route that refuses.
type Refusal = dyn Fn(&Route) -> Option<u16>;

/// Somebody who asks, and what they must be answered where they are to be refused.
struct Asker {
    name: &'static str,
    client: Client,
    refusal: Box<Refusal>,
}

fn asker(name: &'static str, client: Client, refusal: impl Fn(&Route) -> Option<u16> + 'static) -> Asker {
    Asker { name, client, refusal: Box::new(refusal) }
}

/// Everybody who is refused somewhere.
fn askers(hub: &Hub, marias: &Marias) -> Vec<Asker> {
    let now = hub.cloud.world.clock.now();
    let token = |user: &str, claims: Value| hub.cloud.access.token_with(user, now, &claims).unwrap();
    let by = |user: &str, claims: Value| hub.client.with_token(&token(user, claims));
    let unknown = |route: &Route| (route.needs != Needs::Nothing).then_some(401);
    let anonymous = hub.client.anonymous();
    let elsewhere = Access::open(tempfile::tempdir().unwrap().path()).unwrap();
    let good = token("maria", json!({}));
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let (head, _) = signed.split_once('.').unwrap();
    let payload = token("nils", json!({})).split('.').nth(1).unwrap().to_owned();
    let mut askers = vec![
        asker("nobody", anonymous.clone(), unknown),
        asker("a guessed key", anonymous.with_key("omtx_guessed"), unknown),
        asker("an empty key", anonymous.with_key(""), unknown),
        asker("nonsense", anonymous.with_token("nonsense"), unknown),
        asker("an expired token", by("maria", json!({"exp": (now - TimeDelta::hours(1)).timestamp()})), unknown),
        asker("another audience", by("maria", json!({"aud": "another-project"})), unknown),
        asker("several audiences", by("maria", json!({"aud": ["omtx-hub-local"]})), unknown),
        asker("another issuer", by("maria", json!({"iss": "https://elsewhere.invalid"})), unknown),
        asker("another provider", anonymous.with_token(&elsewhere.token("maria", now).unwrap()), unknown),
        asker("no signature", anonymous.with_token(&format!("{signed}.")), unknown),
        asker("another payload", anonymous.with_token(&format!("{head}.{payload}.{signature}")), unknown),
        // {"alg":"none"}
        asker("alg none", anonymous.with_token(&format!("eyJhbGciOiJub25lIn0.{payload}.")), unknown),
    ];
    let stranger = |route: &Route| match route.needs {
        Needs::Operator => Some(403),
        _ => route.path.contains('{').then_some(404),
    };
    for (name, tier) in [("a stranger", "enterprise"), ("of the least tier", "default"), ("of the highest", "admin")] {
        askers.push(asker(name, by("nils", json!({"tier": tier})), stranger));
    }
    let operator = |route: &Route| route.path.contains('{').then_some(404);
    askers.push(asker("an operator", by("olga", json!({"admin": true})), operator));
    let owner = |route: &Route| (route.needs == Needs::Operator).then_some(403);
    askers.push(asker("the owner", by("maria", json!({"tier": "admin"})), owner));
    for (scope, key) in &marias.keys {
        let scope = *scope;
        let lacking = move |route: &Route| match route.needs {
            Needs::Scope(needed) => (needed != scope).then_some(403),
            Needs::Operator => Some(403),
            Needs::Nothing => None,
        };
        askers.push(asker(scope, anonymous.with_key(key), lacking));
    }
    askers
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
async fn every_route_refuses_who_may_not_and_serves_who_may() {
    let hub = start(&[]).await;
    let marias = Marias::make(&hub).await;
    let before = Things::of(&hub).await;
    let mut refused = 0;
    for asker in askers(&hub, &marias) {
        for route in routes() {
            let Some(status) = (asker.refusal)(&route) else { continue };
            for path in marias.addresses(&route) {
                let answer = ask(&asker.client, &route, &path).await;
                assert_eq!(answer.status, status, "{}: {} {}", asker.name, answer.asked, answer.text());
                answer.problem(status);
                let known = status != 401;
                assert_eq!(answer.header("ratelimit-limit").is_empty(), !known, "{}: {}", asker.name, answer.asked);
                assert_eq!(answer.header("www-authenticate"), if known { "" } else { "Bearer" });
                refused += 1;
            }
        }
    }
    assert!(refused > 500, "{refused}");
    hub.settled().await;
    assert_eq!(Things::of(&hub).await, before, "who is refused writes nothing");

    let (maria, nils) = (hub.user("maria"), hub.user("nils"));
    let olga = hub.cloud.access.token_with("olga", hub.cloud.world.clock.now(), &json!({"admin": true})).unwrap();
    let olga = hub.client.with_token(&olga);
    for route in routes() {
        let path = marias.addresses(&route).remove(0);
        if route.method == Method::GET && !route.path.contains('{') {
            let shown = nils.get(&path).await.text();
            for own in [&marias.batch, &marias.job, &marias.webhook, &marias.spare_key] {
                assert!(!shown.contains(own.as_str()), "{path} shows {own} to a stranger");
            }
        }
        let answer = ask(if route.needs == Needs::Operator { &olga } else { &maria }, &route, &path).await;
        assert_eq!(answer.status, route.status, "{}: {}", answer.asked, answer.text());
        assert_eq!(answer.header("ratelimit-limit").is_empty(), route.needs == Needs::Nothing, "{}", answer.asked);
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
