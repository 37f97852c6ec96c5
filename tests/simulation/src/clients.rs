//! The users: they submit, upload, cancel and purge, and ask again when they get no answer.

use crate::{
    eventarc::call,
    faults::Fault,
    scenario::{OPERATOR, Order, USERS, Way},
    universe::{Universe, beginning},
};
use axum::{
    body::{Body, to_bytes},
    http::{Method, Request, StatusCode},
};
use domain::{Account, JobId, Role, Scope, Tier, Timestamp, Uid};
use platform::{BlobPath, Blobs, Docs, PutOptions};
use serde_json::{Value, json};
use service::{
    api_key::{API_KEY, ApiKey},
    places,
    runs::screen,
};
use std::{sync::Arc, time::Duration};

/// What a run is first said to be allowed to cost, in US dollars, and what it is at most.
const LOWEST_LIMIT: f64 = 0.005;
const HIGHEST_LIMIT: f64 = 10.0;
/// A target.
const SEQUENCE: &str = "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQ";

/// Gives every user a key and lets every order be placed.
pub fn begin(universe: &Universe) {
    for order in universe.scenario.orders.clone() {
        universe.lock().busy += 1;
        let universe_of_order = universe.clone();
        universe.spawn(None, async move {
            place(&universe_of_order, &order).await;
            universe_of_order.lock().busy -= 1;
        });
    }
    for (at, all) in universe.scenario.repairs.clone() {
        universe.lock().busy += 1;
        let universe_of_it = universe.clone();
        universe.spawn(None, async move {
            universe_of_it.clock.sleep(Duration::from_secs(at.into())).await;
            repair(&universe_of_it, all).await;
            universe_of_it.lock().busy -= 1;
        });
    }
}

/// An operator has all silent runs repaired, or the first there is, whatever state that is in.
async fn repair(universe: &Universe, all: bool) {
    let told = universe.lock().watch.told.iter().next().map(|(id, (uid, _))| (id.clone(), *uid));
    let body = match told.filter(|_| !all) {
        Some((id, uid)) => json!({"uid": uid, "job_id": id}),
        None => json!({}),
    };
    let request = (Method::POST, "/api/v1/system/repair", None, Some(&body));
    ask(universe, "repair-runs", false, OPERATOR, request).await;
}

/// Writes the users' keys.
pub async fn register(universe: &Universe) {
    let docs = Docs::new(Arc::new(universe.port(universe.begin_safe("identity", None))));
    for name in USERS.into_iter().chain([OPERATOR]) {
        let Ok(uid) = Uid::named(name.to_owned()) else { continue };
        let roles = (name == OPERATOR).then(|| vec![Role::Admin]);
        let account = Account { tier: Some(Tier::Enterprise), roles, ..Account::default() };
        let _ = docs.create(&places::account(&uid), &account).await;
        let key = ApiKey {
            id: format!("key_{name}"),
            uid,
            name: "key".into(),
            scopes: Scope::ALL.to_vec(),
            created_at: Timestamp::from(beginning()),
            expires_at: None,
            last_used_at: Some(Timestamp::from(beginning())),
        };
        let _ = docs.create(&ApiKey::path(name), &key).await;
    }
}

async fn place(universe: &Universe, order: &Order) {
    universe.clock.sleep(Duration::from_secs(order.at.into())).await;
    let ids = match order.way {
        Way::Upload => upload(universe, order).await,
        Way::Single | Way::Batch => submit(universe, order).await.into_iter().collect(),
    };
    for id in ids {
        if let Some(after) = order.cancel_after {
            universe.clock.sleep(Duration::from_secs(after.into())).await;
            delete(universe, order, &id, false).await;
        }
        if (order.purge || order.retry) && !ended(universe, order.uid, &id).await {
            continue;
        }
        if order.retry {
            retry(universe, order, &id).await;
        }
        if order.purge {
            delete(universe, order, &id, true).await;
        }
    }
}

/// One request; the status and the body of the answer, `None` if there was none.
pub async fn ask(
    universe: &Universe,
    function: &'static str,
    safe: bool,
    uid: &str,
    request: (Method, &str, Option<&str>, Option<&Value>),
) -> Option<(StatusCode, Value)> {
    let (method, path, key, body) = request;
    let mut built = Request::builder().method(method).uri(path).header(API_KEY, uid);
    if let Some(key) = key {
        built = built.header("idempotency-key", key);
    }
    let content = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
    let built = built.header("content-type", "application/json").body(content).ok()?;
    let tenant = Some(uid).filter(|uid| *uid != OPERATOR);
    let pid = if safe { universe.begin_safe(function, tenant) } else { universe.begin(function, tenant, Fault::Crash) };
    let settings = universe.scenario.planning.clone();
    let response = call(universe, pid, function, &settings, built).await?;
    let status = response.status();
    let bytes = to_bytes(response.into_body(), usize::MAX).await.ok()?;
    Some((status, serde_json::from_slice(&bytes).unwrap_or_default()))
}

async fn submit(universe: &Universe, order: &Order) -> Option<JobId> {
    let smiles = &order.rows[0].smiles;
    let (function, path, mut body) = if order.way == Way::Single {
        let body = json!({"model": "boltz2", "protein_sequence": SEQUENCE, "job_name": order.label,
            "ligand_smiles": smiles});
        ("submit-prediction", "/api/v1/predict", body)
    } else {
        let ligands: Vec<_> = order.rows.iter().map(|row| json!({"name": row.name, "smiles": row.smiles})).collect();
        let body = json!({"model": "boltz2", "protein_sequence": SEQUENCE, "batch_name": order.label,
            "ligands": ligands, "strategy": "parallel", "on_invalid": "skip"});
        ("submit-batch", "/api/v1/predict/batch", body)
    };
    let key = order.keyed.then_some(order.label.as_str());
    let mut impatient = order.impatient;
    let mut limit = order.limited.then_some(LOWEST_LIMIT);
    loop {
        if let Some(usd) = limit {
            body["max_cost_usd"] = usd.into();
        }
        let request = (Method::POST, path, key, Some(&body));
        match ask(universe, function, false, order.uid, request).await {
            Some((StatusCode::ACCEPTED, _)) if std::mem::take(&mut impatient) => {}
            Some((StatusCode::ACCEPTED, body)) => {
                let id = ["job_id", "batch_id"].iter().find_map(|name| body.get(*name)?.as_str());
                let id = id.and_then(|id| JobId::try_from(id.to_owned()).ok())?;
                universe.lock().watch.acknowledged(order, &id);
                return Some(id);
            }
            Some((StatusCode::UNPROCESSABLE_ENTITY, _)) if limit.is_some_and(|usd| usd < HIGHEST_LIMIT) => {
                limit = limit.map(|usd| usd * 1.3);
            }
            Some((StatusCode::CONFLICT, _)) | None => {}
            Some((status, _)) if status.is_server_error() => {}
            Some((status, body)) => {
                let mut state = universe.lock();
                let now = state.now;
                state.watch.violated(now, format!("{:?} was refused with {status}: {body}", order.label));
                return None;
            }
        }
        let wait = universe.seconds(0.5, 5.0);
        universe.clock.sleep(wait).await;
    }
}

/// Has what failed in a batch run again, if anything did.
async fn retry(universe: &Universe, order: &Order, id: &JobId) {
    let path = format!("/api/v1/batches/{id}/retry");
    loop {
        let answer = ask(universe, "retry-batch", false, order.uid, (Method::POST, &path, None, None)).await;
        if let Some((StatusCode::ACCEPTED, body)) = &answer
            && let Some(id) = body["batch_id"].as_str().and_then(|id| JobId::try_from(id.to_owned()).ok())
        {
            return universe.lock().watch.acknowledged(order, &id);
        }
        if answer.is_some_and(|(status, _)| status.is_client_error()) {
            return;
        }
        let wait = universe.seconds(0.5, 5.0);
        universe.clock.sleep(wait).await;
    }
}

/// Puts a target and a library into the user's folder, as a browser does with a signed link; the runs to come.
async fn upload(universe: &Universe, order: &Order) -> Vec<JobId> {
    let blobs = Blobs::new(Arc::new(universe.port(universe.begin_safe("browser", Some(order.uid)))));
    let folder = order.label.split('/').next().unwrap_or_default();
    let at = |file: &str| BlobPath::new(places::UPLOADS, format!("{}/{folder}/{file}", order.uid));
    let (Ok(target), Ok(library)) = (at("target.fasta"), at("library.csv")) else { return vec![] };
    let mut csv = "name,smiles\n".to_owned();
    for row in &order.rows {
        csv.push_str(&format!("{},{}\n", row.name, row.smiles));
    }
    let put = async |path: &BlobPath, text: String| blobs.put_bytes(path, text, PutOptions::default()).await;
    let mut ids = vec![];
    let parts = if order.impatient { [&library, &target] } else { [&target, &library] };
    for path in parts {
        let text = if path == &target { format!(">target\n{SEQUENCE}\n") } else { csv.clone() };
        let Ok(meta) = put(path, text).await else { continue };
        if path == &library
            && let Ok(id) = screen::job_id(path, meta.generation)
        {
            ids.push(id);
        }
        let wait = universe.seconds(0.1, 20.0);
        universe.clock.sleep(wait).await;
    }
    if universe.strikes(Fault::Vanished) {
        universe.lock().watch.vanished.insert(order.label.clone());
        let _ = blobs.delete(&library).await;
        return vec![];
    }
    for id in &ids {
        universe.lock().watch.acknowledged(order, id);
    }
    ids
}

/// Waits until the run has ended. False if it is gone, or never came.
async fn ended(universe: &Universe, uid: &str, id: &JobId) -> bool {
    let path = format!("users/{uid}/jobs/{id}");
    loop {
        let found = universe.lock().store.docs.get(&path).map(|doc| doc.body.clone());
        let status = found.as_ref().and_then(|body| body.get("status")?.as_str());
        if matches!(status, Some("completed" | "failed" | "cancelled")) {
            let wait = universe.seconds(0.0, 3.0);
            universe.clock.sleep(wait).await;
            return true;
        }
        if universe.lock().watch.over() {
            return false;
        }
        universe.clock.sleep(Duration::from_secs(20)).await;
    }
}

/// Cancels or purges, until there is an answer.
async fn delete(universe: &Universe, order: &Order, id: &JobId, purge: bool) {
    let noun = if order.way == Way::Single { "jobs" } else { "batches" };
    let function = if order.way == Way::Single { "delete-job" } else { "delete-batch" };
    let path = format!("/api/v1/{noun}/{id}{}", if purge { "?purge=true" } else { "" });
    let mut asked = 0;
    loop {
        let answer = ask(universe, function, false, order.uid, (Method::DELETE, &path, None, None)).await;
        asked += 1;
        match answer {
            Some((StatusCode::NO_CONTENT, _)) => return universe.lock().watch.purged(id),
            Some((StatusCode::NOT_FOUND, _)) if purge && asked > 1 => return universe.lock().watch.purged(id),
            Some((StatusCode::NOT_FOUND, _)) if order.way != Way::Upload || asked > 20 => return,
            Some((StatusCode::OK | StatusCode::CONFLICT, _)) => return,
            _ => {}
        }
        let wait = universe.seconds(0.5, 5.0);
        universe.clock.sleep(wait).await;
    }
}
