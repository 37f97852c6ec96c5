use super::*;
use axum::{body::Body as HttpBody, http::Request};
use platform::{Query, Write, docs::Body as Document, embedded::Event};
use serde_json::{Value, json};
use service::{
    places,
    testing::{Bench, Reply, SEQUENCE, post_event, router as served},
};

const PATH: &str = "/api/v1/predict/batch";

fn batch() -> Value {
    json!({"model": "boltz2", "protein_sequence": SEQUENCE, "batch_name": "kinase panel",
           "ligands": [{"name": "ethanol", "smiles": "CCO"}, {"smiles": "CCCO"}]})
}

/// The batch with other members.
fn with(changes: Value) -> Value {
    let mut body = batch();
    for (name, value) in changes.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

async fn send(bench: &Bench, body: &Value) -> Reply {
    bench.post(FUNCTION, "u1", PATH, None, body).await
}

/// Nothing of a refused submission is left: no run, no object.
async fn nothing_is_left(bench: &Bench) {
    assert!(bench.runs("u1").await.is_empty());
    let inputs = bench.world.blobs.list(places::ARTIFACTS, "u1/", None, 10).await.unwrap();
    assert!(inputs.is_empty(), "{inputs:?}");
}

#[tokio::test]
async fn a_batch_is_accepted_and_says_where_it_is() {
    let bench = Bench::new().await;
    let reply = send(&bench, &batch()).await;
    assert_eq!(reply.status, 202, "{reply:?}");
    let id = reply.text("/batch_id");
    assert_eq!(reply.headers["location"], format!("/api/v1/batches/{id}"));
    assert_eq!((reply.text("/status"), reply.text("/batch_name")), ("queued", "kinase panel"));
    assert_eq!((&reply.body["total_jobs"], &reply.body["rejected"]["invalid_count"]), (&json!(2), &json!(0)));
    assert!(reply.body["cost"]["estimated_usd"].as_f64().unwrap() > 0.0);
    let run = &bench.runs("u1").await[0];
    assert_eq!((run.job_id.as_str(), run.items), (id, 2));
}

#[tokio::test]
async fn older_clients_are_served_the_same() {
    let bench = Bench::new().await;
    let reply = bench.post(FUNCTION, "u1", "/api/v1/jobs/submit-batch", None, &batch()).await;
    assert_eq!((reply.status, reply.text("/job_type")), (202, "batch_parent"));
}

#[tokio::test]
async fn a_request_sent_again_with_its_key_is_one_batch() {
    let bench = Bench::new().await;
    let first = bench.post(FUNCTION, "u1", PATH, Some("k1"), &batch()).await;
    bench.wait(60);
    let again = bench.post(FUNCTION, "u1", PATH, Some("k1"), &batch()).await;
    assert_eq!((again.status, &again.body, &again.headers["location"]), (202, &first.body, &first.headers["location"]));
    assert_eq!(bench.runs("u1").await.len(), 1);
    let other_key = bench.post(FUNCTION, "u1", PATH, Some("k2"), &batch()).await;
    let other_user = bench.post(FUNCTION, "u2", PATH, Some("k1"), &batch()).await;
    assert_ne!(other_key.body["batch_id"], first.body["batch_id"]);
    assert_ne!(other_user.body["batch_id"], first.body["batch_id"]);
    assert_eq!((bench.runs("u1").await.len(), bench.runs("u2").await.len()), (2, 1));
}

#[tokio::test]
async fn the_same_key_with_another_body_is_refused() {
    let bench = Bench::new().await;
    bench.post(FUNCTION, "u1", PATH, Some("k1"), &batch()).await;
    let reply = bench.post(FUNCTION, "u1", PATH, Some("k1"), &with(json!({"batch_name": "other"}))).await;
    assert_eq!((reply.status, bench.runs("u1").await.len()), (422, 1));
    assert!(reply.text("/detail").contains("Idempotency-Key"));
}

#[tokio::test]
async fn a_request_sent_twice_at_once_with_its_key_is_one_batch() {
    let bench = Bench::new().await;
    let send = || async { bench.post(FUNCTION, "u1", PATH, Some("k1"), &batch()).await };
    let (a, b, c) = tokio::join!(send(), send(), send());
    for reply in [&a, &b, &c] {
        assert_eq!((reply.status, &reply.body["batch_id"]), (202, &a.body["batch_id"]));
    }
    assert_eq!(bench.runs("u1").await.len(), 1);
}

#[tokio::test]
async fn a_key_that_was_forgotten_meanwhile_still_leads_to_its_batch() {
    let bench = Bench::new().await;
    let first = bench.post(FUNCTION, "u1", PATH, Some("k1"), &batch()).await;
    let keys = bench.world.docs.query::<Document>(&Query::group("idempotency")).await.unwrap();
    let forgotten = keys.into_iter().map(|key| Write::Delete { path: key.path, version: None });
    bench.world.docs.commit(forgotten.collect()).await.unwrap();
    let again = bench.post(FUNCTION, "u1", PATH, Some("k1"), &batch()).await;
    assert_eq!((again.status, &again.body["batch_id"]), (202, &first.body["batch_id"]));
    assert_eq!(bench.runs("u1").await.len(), 1);
}

#[tokio::test]
async fn the_key_of_a_purged_batch_brings_nothing_of_it_back() {
    let bench = Bench::new().await;
    bench.post(FUNCTION, "u1", PATH, Some("k1"), &batch()).await;
    let (run, now) = (bench.runs("u1").await.remove(0), bench.now());
    bench.change(&run, |run| run.cancel(now)).await;
    service::runs::cancel_or_purge(&bench.world, &bench.caller("u1"), &run.job_id, true).await.unwrap();
    let again = bench.post(FUNCTION, "u1", PATH, Some("k1"), &batch()).await;
    assert_eq!(again.status, 409);
    assert!(again.text("/detail").contains("purged"), "{again:?}");
    nothing_is_left(&bench).await;
}

#[tokio::test]
async fn without_a_key_every_request_is_a_batch() {
    let bench = Bench::new().await;
    let (a, b) = (send(&bench, &batch()).await, send(&bench, &batch()).await);
    assert_ne!(a.body["batch_id"], b.body["batch_id"]);
    let key = "k".repeat(256);
    assert_eq!(bench.post(FUNCTION, "u1", PATH, Some(&key), &batch()).await.status, 400);
}

#[tokio::test]
async fn bad_rows_refuse_the_batch_and_each_is_named() {
    let bench = Bench::new().await;
    let ligands = json!([{"name": "good", "smiles": "CCO"}, {"name": "open", "smiles": "C("}, {"smiles": ""}]);
    let reply = send(&bench, &with(json!({"ligands": ligands}))).await;
    assert_eq!((reply.status, reply.pointers()), (422, vec!["/ligands/1", "/ligands/2"]));
    assert!(reply.text("/errors/0/reason").contains("\"open\""), "{reply:?}");
    assert_eq!((&reply.body["error_count"], reply.text("/detail")), (&json!(2), "2 of 3 ligands cannot be run"));
    nothing_is_left(&bench).await;
}

#[tokio::test]
async fn of_many_bad_rows_the_first_hundred_are_named_and_all_are_counted() {
    let bench = Bench::new().await;
    let ligands: Vec<_> = (0..150).map(|_| json!({"smiles": "C("})).collect();
    let reply = send(&bench, &with(json!({"ligands": ligands}))).await;
    assert_eq!((reply.status, reply.pointers().len(), &reply.body["error_count"]), (422, 100, &json!(150)));
}

#[tokio::test]
async fn bad_rows_are_skipped_where_the_user_wants_that() {
    let bench = Bench::new().await;
    let ligands =
        json!([{"smiles": "C("}, {"name": "ethanol", "smiles": "CCO"}, {"name": "the same", "smiles": "OCC"}]);
    let reply = send(&bench, &with(json!({"ligands": ligands, "on_invalid": "skip"}))).await;
    assert_eq!((reply.status, &reply.body["total_jobs"]), (202, &json!(1)));
    assert_eq!(reply.body["rejected"]["invalid_count"], 2);
    assert!(reply.text("/rejected/link").ends_with("/export?format=rejected"));
    let none = send(&bench, &with(json!({"ligands": [{"smiles": "C("}], "on_invalid": "skip"}))).await;
    assert_eq!((none.status, none.pointers()), (422, vec!["/ligands/0"]));
}

#[tokio::test]
async fn another_spelling_of_the_same_molecule_refuses_nothing() {
    let bench = Bench::new().await;
    let ligands = json!([{"name": "ethanol", "smiles": "CCO"}, {"name": "the same", "smiles": "OCC"}]);
    let reply = send(&bench, &with(json!({"ligands": ligands}))).await;
    assert_eq!((reply.status, &reply.body["total_jobs"]), (202, &json!(1)));
}

#[tokio::test]
async fn a_batch_that_would_cost_more_than_its_owner_wants_is_refused() {
    let bench = Bench::new().await;
    let reply = send(&bench, &with(json!({"max_cost_usd": 0.001}))).await;
    assert_eq!((reply.status, reply.pointers()), (422, vec!["/max_cost_usd"]));
    assert!(reply.text("/errors/0/reason").contains("US dollars"));
    nothing_is_left(&bench).await;
    assert_eq!(send(&bench, &with(json!({"max_cost_usd": 25.0}))).await.status, 202);
}

#[tokio::test]
async fn every_wrong_field_is_named_and_nothing_is_left() {
    let bench = Bench::new().await;
    let cases = [
        (json!({"ligands": []}), "/ligands"),
        (json!({"ligands": null}), "/ligands"),
        (json!({"library": "gs://uploads/u1/a/l.csv"}), "/library"),
        (json!({"ligands": null, "library": "gs://uploads/u2/a/l.csv"}), "/library"),
        (json!({"ligands": null, "library": "gs://uploads/u1/../u2/a/l.csv"}), "/library"),
        (json!({"ligands": null, "library": "gs://other/u1/a/l.csv"}), "/library"),
        (json!({"ligands": null, "library": "https://example.org/l.csv"}), "/library"),
        (json!({"ligands": null, "library": "gs://uploads/u1/a/none.csv"}), "/library"),
        (json!({"ligands": [{"name": "no smiles"}]}), "/ligands/0"),
        (json!({"ligands": [{"smiles": "CCO", "color": "red"}]}), "/ligands/0/color"),
        (json!({"model": "alphafold"}), "/model"),
        (json!({"protein_sequence": "MK1"}), "/protein_sequence"),
        (json!({"protein_sequence": null}), "/protein_sequence"),
        (json!({"batch_name": "x".repeat(201)}), "/batch_name"),
        (json!({"batch_name": "two\nlines"}), "/batch_name"),
        (json!({"max_concurrent": 0}), "/max_concurrent"),
        (json!({"max_cost_usd": 0}), "/max_cost_usd"),
        (json!({"max_cost_usd": -1.5}), "/max_cost_usd"),
        (json!({"parameters": {"seed": "x"}}), "/parameters/seed"),
        (json!({"parameters": {"sampling_step": 200}}), "/parameters/sampling_step"),
        (json!({"priority": "urgent"}), "/priority"),
        (json!({"tier": "admin"}), "/tier"),
    ];
    for (change, pointer) in cases {
        let reply = send(&bench, &with(change.clone())).await;
        assert_eq!((reply.status, reply.pointers()), (422, vec![pointer]), "{change} {reply:?}");
        assert_eq!(reply.headers["content-type"], "application/problem+json");
    }
    nothing_is_left(&bench).await;
}

#[tokio::test]
async fn a_name_is_trimmed_and_an_empty_one_is_none() {
    let bench = Bench::new().await;
    let reply = send(&bench, &with(json!({"batch_name": "  Kinasen für Ada  "}))).await;
    assert_eq!(reply.text("/batch_name"), "Kinasen für Ada");
    assert!(send(&bench, &with(json!({"batch_name": "   "}))).await.body["batch_name"].is_null());
    assert_eq!(send(&bench, &with(json!({"batch_name": "ü".repeat(200)}))).await.status, 202);
}

#[tokio::test]
async fn a_library_of_ones_own_is_read_from_the_uploads_bucket() {
    let bench = Bench::with(|settings| settings.bucket_prefix = "hub-".into()).await;
    bench.put(places::UPLOADS, "u1/abl1/library.smi", "CCO ethanol\nCCCO propanol\n").await;
    let body = with(json!({"ligands": null, "library": "gs://hub-uploads/u1/abl1/library.smi"}));
    let reply = send(&bench, &body).await;
    assert_eq!((reply.status, &reply.body["total_jobs"]), (202, &json!(2)));
    bench.put(places::UPLOADS, "u1/abl1/empty.csv", "").await;
    let empty = with(json!({"ligands": null, "library": "gs://hub-uploads/u1/abl1/empty.csv"}));
    assert_eq!(send(&bench, &empty).await.pointers(), ["/library"]);
}

#[tokio::test]
async fn only_a_known_key_that_was_not_revoked_may_submit() {
    let bench = Bench::new().await;
    let reply = bench.post(FUNCTION, "stranger", PATH, None, &batch()).await;
    assert_eq!((reply.status, reply.text("/title")), (401, "Unauthorized"));
    let path = service::api_key::ApiKey::path("u1");
    bench.world.docs.commit(vec![Write::Delete { path, version: None }]).await.unwrap();
    assert_eq!(send(&bench, &batch()).await.status, 401);
    let nobody = Request::post(PATH).header("content-type", "application/json").body(HttpBody::from("{}")).unwrap();
    assert_eq!(post_event(served(FUNCTION, &bench.world), nobody).await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn what_is_not_json_is_refused() {
    let bench = Bench::new().await;
    let request = |kind: &str, body: &'static str| {
        Request::post(PATH).header("x-api-key", "u1").header("content-type", kind).body(HttpBody::from(body)).unwrap()
    };
    for (kind, body, status) in
        [("text/csv", "a,b", 415), ("application/json", "{", 400), ("application/json", "", 400)]
    {
        let answer = post_event(served(FUNCTION, &bench.world), request(kind, body)).await;
        assert_eq!(answer.as_u16(), status, "{kind} {body}");
    }
}

#[tokio::test]
async fn objects_are_written_before_the_document_that_tells_of_them() {
    let bench = Bench::new().await;
    bench.happened().await;
    send(&bench, &batch()).await;
    let happened = bench.happened().await;
    let is_run = |event: &Event| matches!(event, Event::Document { .. });
    assert!(happened[..2].iter().all(|event| !is_run(event)) && happened[2..].iter().all(is_run));
    assert_eq!(happened.len(), 4, "items, rejected rows, the run with its user's account");
}

#[tokio::test]
async fn of_one_user_two_libraries_are_read_at_once() {
    let bench = Bench::new().await;
    bench.put(places::UPLOADS, "u1/abl1/library.smi", "CCO ethanol\n").await;
    let body = with(json!({"ligands": null, "library": "gs://uploads/u1/abl1/library.smi"}));
    let hold = || bench.world.limiter.hold(&bench.caller("u1").uid, service::Held::Libraries).unwrap();
    let (one, _two) = (hold(), hold());
    let refused = send(&bench, &body).await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, "5"));
    nothing_is_left(&bench).await;
    drop(one);
    assert_eq!(send(&bench, &body).await.status, 202);
}
