use super::*;
use axum::{body::Body, http::Request};
use domain::Status;
use platform::{Query, Versioned};
use service::{
    events::{
        dead_letter::{ATTEMPTS, SUBSCRIPTION},
        encode_push,
    },
    testing::{Bench, user},
};
use std::collections::BTreeMap;

/// A dead letter as Pub/Sub forwards it; `data` is base64.
fn letter(id: &str, subscription: &str, attributes: &[(&str, &str)], data: &str) -> Request<Body> {
    let mut all =
        BTreeMap::from([(SUBSCRIPTION.to_owned(), subscription.to_owned()), (ATTEMPTS.to_owned(), "20".to_owned())]);
    all.extend(attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    encode_push(id, data, &all, 1, Default::default())
}

fn of_document(id: &str, path: &DocPath) -> Request<Body> {
    given_up_by("plan-run", id, path)
}

/// The same, from the subscription that Eventarc made for a function.
fn given_up_by(function: &str, id: &str, path: &DocPath) -> Request<Body> {
    let kind = ("ce-type", "google.cloud.firestore.document.v1.written");
    let subscription = format!("eventarc-us-central1-{function}-sub-042");
    letter(id, &subscription, &[kind, ("ce-id", id), ("ce-document", path.as_str())], "")
}

async fn records(bench: &Bench) -> Vec<DeadLetterRecord> {
    let all = bench.world.docs.query(&Query::collection(places::dead_letters())).await.unwrap();
    all.into_iter().map(|record: Versioned<DeadLetterRecord>| record.value).collect()
}

#[tokio::test]
async fn a_run_that_cannot_be_planned_is_told_of_once_more_and_then_fails_with_the_reason() {
    let bench = Bench::new().await;
    let run = bench.submit("u1", 7).await;
    let path = places::job(&run.uid, &run.job_id);
    assert_eq!(bench.tell(FUNCTION, of_document("e1", &path)).await, StatusCode::NO_CONTENT);
    assert_eq!(bench.run(&run).await.status, Status::Queued);
    assert_eq!(bench.tell(FUNCTION, of_document("e2", &path)).await, StatusCode::NO_CONTENT);
    let failed = bench.run(&run).await;
    let error = failed.error.unwrap();
    assert_eq!((failed.status, error.code.as_str()), (Status::Failed, "unprocessable"));
    assert_eq!(error.message, "eventarc-us-central1-plan-run-sub-042 gave it up after 20 attempts");
    bench.tell(FUNCTION, of_document("e3", &path)).await;
    assert_eq!(bench.run(&run).await.status, Status::Failed);
    assert_eq!(records(&bench).await.len(), 3);
}

#[tokio::test]
async fn a_letter_that_arrives_again_counts_once() {
    let bench = Bench::new().await;
    let run = bench.submit("u1", 7).await;
    let path = places::job(&run.uid, &run.job_id);
    bench.tell(FUNCTION, of_document("e1", &path)).await;
    let once = bench.run(&run).await;
    for _ in 0..3 {
        assert_eq!(bench.tell(FUNCTION, of_document("e1", &path)).await, StatusCode::NO_CONTENT);
    }
    assert_eq!((bench.run(&run).await, records(&bench).await.len()), (once, 1));
}

#[tokio::test]
async fn letters_that_are_not_of_what_the_run_waits_for_do_it_no_harm() {
    let bench = Bench::new().await;
    let (queued, planned) = (bench.submit("u1", 2).await, bench.planned("u1", 2).await);
    let (running, aggregating) = (bench.running("u1", 3).await.0, bench.aggregating("u1", 2).await);
    let cases = [
        (&queued, "aggregate-run"),
        (&planned, "plan-run"),
        (&running, "plan-run"),
        (&running, "aggregate-run"),
        (&aggregating, "plan-run"),
    ];
    for (run, function) in cases {
        let before = bench.run(run).await;
        for n in 1..=3 {
            let event = given_up_by(function, &format!("e{n}"), &places::job(&run.uid, &run.job_id));
            assert_eq!(bench.tell(FUNCTION, event).await, StatusCode::NO_CONTENT);
        }
        assert_eq!(bench.run(run).await, before, "{function} of a run that is {:?}", before.status);
    }
}

#[tokio::test]
async fn results_that_nobody_could_write_are_told_of_once_more_and_then_the_run_fails() {
    let bench = Bench::new().await;
    let run = bench.aggregating("u1", 2).await;
    let path = places::job(&run.uid, &run.job_id);
    for (id, status) in [("e1", Status::Aggregating), ("e2", Status::Failed)] {
        bench.tell(FUNCTION, given_up_by("aggregate-run", id, &path)).await;
        assert_eq!(bench.run(&run).await.status, status);
    }
    assert_eq!(bench.run(&run).await.error.unwrap().code, "unprocessable");
}

#[tokio::test]
async fn an_upload_that_could_not_be_taken_in_is_a_failed_run_that_its_owner_finds() {
    let bench = Bench::new().await;
    let library = BlobPath::new(places::UPLOADS, "u1/abl1/library.csv").unwrap();
    let data = r#"{"bucket":"uploads","name":"u1/abl1/library.csv","generation":"7","size":"10"}"#;
    let data = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, data);
    let kind = ("ce-type", "google.cloud.storage.object.v1.finalized");
    for _ in 0..2 {
        let event = letter("e1", "on-library-uploaded", &[kind, ("ce-id", "e1")], &data);
        assert_eq!(bench.tell(FUNCTION, event).await, StatusCode::NO_CONTENT);
    }
    let runs = bench.runs("u1").await;
    assert_eq!(runs.len(), 1);
    assert_eq!((runs[0].status, &runs[0].job_id), (Status::Failed, &screen::job_id(&library, 7).unwrap()));
    assert!(runs[0].error.as_ref().unwrap().message.contains("could not be taken in"));
    assert_eq!(records(&bench).await.len(), 1, "the same letter is one record");
}

#[tokio::test]
async fn a_target_that_could_not_be_taken_in_fails_the_libraries_that_waited_for_it_and_no_others() {
    let bench = Bench::new().await;
    let waiting = bench.put(places::UPLOADS, "u1/abl1/library.csv", "smiles\nCCO\n").await;
    let generation = bench.world.blobs.head(&waiting).await.unwrap().unwrap().generation;
    bench.put(places::UPLOADS, "u1/abl1/deeper/library.csv", "smiles\nCCO\n").await;
    bench.put(places::UPLOADS, "u1/other/library.csv", "smiles\nCCO\n").await;
    let data = r#"{"bucket":"uploads","name":"u1/abl1/target.fasta","generation":"7","size":"10"}"#;
    let data = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, data);
    let kind = ("ce-type", "google.cloud.storage.object.v1.finalized");
    let event = letter("e1", "on-library-uploaded", &[kind, ("ce-id", "e1")], &data);
    assert_eq!(bench.tell(FUNCTION, event).await, StatusCode::NO_CONTENT);
    let runs = bench.runs("u1").await;
    let failed: Vec<_> = runs.iter().map(|run| (run.status, run.job_id.clone())).collect();
    assert_eq!(failed, [(Status::Failed, screen::job_id(&waiting, generation).unwrap())]);
}

#[tokio::test]
async fn a_report_that_could_not_be_taken_over_has_its_run_looked_into() {
    let bench = Bench::new().await;
    let (run, execution) = bench.running("u1", 7).await;
    let report = bench.final_report(&run, 0, 1).await;
    bench.end(&execution).await;
    let data = format!(r#"{{"bucket":"reports","name":"{}","generation":"7","size":"10"}}"#, report.name());
    let data = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, data);
    let kind = ("ce-type", "google.cloud.storage.object.v1.finalized");
    bench.tell(FUNCTION, letter("e1", "on-shard-report", &[kind], &data)).await;
    assert!(bench.shard(&run, 0).await.done);
}

#[tokio::test]
async fn what_cannot_be_read_at_all_is_written_down_and_touches_nobody() {
    let bench = Bench::new().await;
    let run = bench.submit("u1", 2).await;
    let elsewhere = places::shard(&user("u1"), &run.job_id, 0);
    for (n, event) in
        [letter("m1", "dispatch-shards", &[], "eA=="), of_document("e1", &elsewhere)].into_iter().enumerate()
    {
        assert_eq!(bench.tell(FUNCTION, event).await, StatusCode::NO_CONTENT);
        assert_eq!(records(&bench).await.len(), n + 1);
    }
    assert_eq!(bench.run(&run).await, run);
}
