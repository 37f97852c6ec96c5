use super::*;
use domain::{BatchResults, ItemError, Notice, Outcome, Scores, Status};
use platform::{Query, embedded::Event};
use serde_json::Value;
use service::{
    events::encode_document_event,
    places,
    runs::shards,
    testing::{Bench, completed},
};
use std::collections::BTreeMap;

async fn written(bench: &Bench, run: &Run) -> StatusCode {
    let event = bench.document_event(&places::job(&run.uid, &run.job_id)).await;
    bench.tell(FUNCTION, event).await
}

/// The result objects by name, which must all lie under one token.
async fn results_of(bench: &Bench, run: &Run) -> BTreeMap<String, Vec<u8>> {
    let prefix = format!("{}results/", places::run_prefix(&run.uid, &run.job_id));
    let mut found = BTreeMap::new();
    for meta in bench.world.blobs.list(places::ARTIFACTS, &prefix, None, 100).await.unwrap() {
        let content = bench.world.blobs.get(&meta.path, 1 << 24).await.unwrap();
        let name = meta.path.name().rsplit('/').next().unwrap().to_owned();
        assert!(found.insert(name, content.to_vec()).is_none(), "{} lies there twice", meta.path);
    }
    found
}

/// What the user was told of.
async fn told(bench: &Bench, run: &Run) -> Vec<String> {
    let notices = places::notice(&run.uid, "x").parent();
    let notices = bench.world.docs.query::<Notice>(&Query::collection(notices)).await.unwrap();
    notices.into_iter().map(|notice| notice.value.event.to_string()).collect()
}

/// A run of four whose items ended like this.
async fn ended(bench: &Bench, outcomes: impl Fn(&Run, u32) -> Outcome) -> Run {
    let (run, _) = bench.running("u1", 4).await;
    for shard in 0..run.plan.as_ref().unwrap().shards {
        let items = bench.items(&run, shard).await;
        let outcomes = items.into_iter().map(|index| outcomes(&run, index)).collect();
        bench.report(&run, shard, 1, true, outcomes).await;
        shards::refresh(&bench.world, &run.uid, &run.job_id, shard).await.unwrap();
    }
    shards::evaluate(&bench.world, &run.uid, &run.job_id).await.unwrap();
    bench.run(&run).await
}

fn failed(index: u32) -> Outcome {
    Outcome::failed(index, ItemError::new("out_of_memory", "the complex is too large"))
}

#[tokio::test]
async fn a_batch_is_completed_once_its_results_are_written() {
    let bench = Bench::new().await;
    let run = bench.aggregating("u1", 7).await;
    bench.wait(9);
    assert_eq!(written(&bench, &run).await, StatusCode::NO_CONTENT);
    let results = results_of(&bench, &run).await;
    let names: Vec<_> = results.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "answers.idx",
            "batch_results.json",
            "layout.json",
            "orders.idx",
            "ranked.ndjson",
            "rejected.csv",
            "results.csv",
            "summary.json"
        ]
    );
    let run = bench.run(&run).await;
    assert_eq!((run.status, run.progress.percent, run.progress.milestone), (Status::Completed, 100.0, 100));
    assert_eq!((run.progress.completed, run.completed_at, run.simulated), (7, Some(bench.now()), Some(false)));
    let summary = run.summary.unwrap();
    assert_eq!((summary.total_jobs, summary.success_rate, summary.best_affinity), (7, Some(1.0), Some(-0.007)));
}

#[tokio::test]
async fn rows_carry_the_fourteen_fields_ranked_and_without_object_names() {
    let bench = Bench::new().await;
    let run = bench.aggregating("u1", 7).await;
    written(&bench, &run).await;
    let results = results_of(&bench, &run).await;
    let json: Value = serde_json::from_slice(&results["batch_results.json"]).unwrap();
    let rows = json["jobs"].as_array().unwrap();
    assert_eq!(rows.len(), 7);
    for (row, rank) in rows.iter().zip(1..) {
        for field in Scores::FOURTEEN {
            assert!(row[field].is_f64(), "{field} of {row}");
        }
        assert_eq!(
            (row["rank"].as_u64(), row["ligand_name"].as_str().unwrap()),
            (Some(rank), format!("ligand {}", 8 - rank).as_str())
        );
        assert!(row.get("files").is_none() && row["has_structure"] == true);
    }
    assert_eq!(rows[0]["job_id"], run.job_id.child(7));
    assert_eq!(json["version"], "1.0");
    assert_eq!((json["job_count"].as_u64(), json["completed_count"].as_u64()), (Some(7), Some(7)));
    assert_eq!(json["top_predictions"].as_array().unwrap().len(), 7);
}

#[tokio::test]
async fn writing_the_results_again_changes_no_byte() {
    let bench = Bench::new().await;
    let run = bench.aggregating("u1", 7).await;
    written(&bench, &run).await;
    let (first, done) = (results_of(&bench, &run).await, bench.run(&run).await);
    bench.wait(3600);
    let late = written(&bench, &run).await;
    assert_eq!((late, bench.run(&run).await), (StatusCode::NO_CONTENT, done), "a late event finds it done");
    // Whoever died after the objects and before the document leaves the run where it was, in its turn.
    let died = Run { aggregation: bench.run(&run).await.aggregation, ..run.clone() };
    bench.change(&run, |now| std::mem::replace(now, died.clone()) != died).await;
    written(&bench, &died).await;
    assert_eq!(results_of(&bench, &run).await, first);
    let done = bench.run(&run).await;
    assert_eq!((done.status, done.results), (Status::Completed, Some(2)), "the next turn has the next token");
}

#[tokio::test]
async fn the_user_is_told_in_the_same_commit_and_once() {
    let bench = Bench::new().await;
    let run = bench.aggregating("u1", 7).await;
    assert_eq!(told(&bench, &run).await, ["batch.milestone.100"]);
    written(&bench, &run).await;
    written(&bench, &run).await;
    assert_eq!(told(&bench, &run).await, ["batch.completed", "batch.milestone.100"]);
}

#[tokio::test]
async fn what_was_told_before_keeps_nothing_else_from_being_told() {
    let bench = Bench::new().await;
    let (run, _) = bench.running("u1", 4).await;
    let told_before =
        Notice::new(run.uid.clone(), run.job_id.clone(), domain::NoticeEvent::BatchMilestone(100), bench.now());
    bench.world.docs.create(&places::notice(&run.uid, &told_before.id()), &told_before).await.unwrap();
    let (error, now) = (domain::RunError::new("stuck", "it did not move on"), bench.now());
    bench.change(&run, |run| run.fail(error.clone(), now)).await;
    assert_eq!(told(&bench, &run).await, ["batch.failed", "batch.milestone.100"]);
}

#[tokio::test]
async fn a_writer_whose_turn_has_passed_to_another_changes_nothing() {
    let bench = Bench::new().await;
    let run = bench.aggregating("u1", 7).await;
    let first = bench.change(&run, |run| run.begin_aggregation(bench.now()).is_some()).await;
    assert_eq!(written(&bench, &run).await, StatusCode::NO_CONTENT);
    assert_eq!(bench.run(&run).await, first, "while it has its time, it is left alone");
    bench.wait(60);
    written(&bench, &run).await;
    let done = bench.run(&run).await;
    assert_eq!((done.status, done.results), (Status::Completed, Some(2)));
    aggregate(&bench.world, &first, 1).await.unwrap();
    assert_eq!(bench.run(&run).await, done);
    assert_eq!(told(&bench, &run).await.len(), 2);
}

#[tokio::test]
async fn what_a_writer_leaves_of_a_run_that_was_purged_meanwhile_is_removed() {
    let bench = Bench::new().await;
    let run = bench.aggregating("u1", 7).await;
    let writing = bench.change(&run, |run| run.begin_aggregation(bench.now()).is_some()).await;
    let job = places::job(&run.uid, &run.job_id);
    bench.world.docs.commit(vec![platform::Write::Delete { path: job, version: None }]).await.unwrap();
    aggregate(&bench.world, &writing, 1).await.unwrap();
    assert!(results_of(&bench, &run).await.is_empty());
}

#[tokio::test]
async fn two_that_write_the_results_at_once_complete_the_run_once() {
    let bench = Bench::new().await;
    let run = bench.aggregating("u1", 7).await;
    bench.happened().await;
    tokio::join!(written(&bench, &run), written(&bench, &run));
    let job = places::job(&run.uid, &run.job_id);
    let happened = bench.happened().await;
    let writes = happened.iter().filter(|event| matches!(event, Event::Document { path, .. } if *path == job));
    assert_eq!(
        (writes.count(), bench.run(&run).await.status),
        (2, Status::Completed),
        "one takes its turn, and ends it"
    );
}

#[tokio::test]
async fn a_batch_with_failed_ligands_completes_and_says_which_failed_and_why() {
    let bench = Bench::new().await;
    let run = ended(&bench, |run, index| if index == 2 { failed(2) } else { completed(run, index, 1) }).await;
    written(&bench, &run).await;
    let done = bench.run(&run).await;
    assert_eq!((done.status, done.progress.completed, done.progress.failed), (Status::Completed, 3, 1));
    let results: BatchResults = serde_json::from_slice(&results_of(&bench, &run).await["batch_results.json"]).unwrap();
    let row = results.jobs.last().unwrap();
    assert_eq!((row.ligand_name.as_str(), row.rank), ("ligand 2", None), "without a score it comes last");
    assert_eq!(row.error.as_ref().unwrap().message, "the complex is too large");
}

#[tokio::test]
async fn a_number_that_the_model_did_not_give_is_null_and_never_zero() {
    let bench = Bench::new().await;
    let bare = |run: &Run, index| {
        let scores = Scores(BTreeMap::from([("affinity_prob".to_owned(), 0.5)]));
        Outcome { scores, ..completed(run, index, 1) }
    };
    let run = ended(&bench, bare).await;
    written(&bench, &run).await;
    let json: Value = serde_json::from_slice(&results_of(&bench, &run).await["batch_results.json"]).unwrap();
    let row = &json["jobs"][0];
    assert_eq!(row["affinity_prob"], 0.5);
    for field in Scores::FOURTEEN.iter().skip(1).chain(&["affinity", "pic50", "confidence"]) {
        assert!(row.get(*field).is_some_and(Value::is_null), "{field} of {row}");
    }
    assert!(json["summary"]["best_affinity"].is_null());
}

#[tokio::test]
async fn a_run_without_a_single_result_has_failed_and_its_reasons_can_be_read() {
    let bench = Bench::new().await;
    let run = ended(&bench, |_, index| failed(index)).await;
    written(&bench, &run).await;
    let done = bench.run(&run).await;
    assert_eq!((done.status, done.progress.failed, done.progress.milestone), (Status::Failed, 4, 100));
    assert_eq!(done.error.unwrap().code, "no_results");
    let csv = results_of(&bench, &run).await.remove("results.csv").unwrap();
    assert_eq!(String::from_utf8(csv).unwrap().matches("the complex is too large").count(), 4);
}

#[tokio::test]
async fn a_result_of_a_stand_in_marks_the_run() {
    let bench = Bench::new().await;
    let run = ended(&bench, |run, index| Outcome { simulated: index == 3, ..completed(run, index, 1) }).await;
    written(&bench, &run).await;
    assert_eq!(bench.run(&run).await.simulated, Some(true));
}

#[tokio::test]
async fn a_run_that_does_not_stand_in_aggregating_is_left_alone() {
    let bench = Bench::new().await;
    let (running, _) = bench.running("u1", 7).await;
    assert_eq!(written(&bench, &running).await, StatusCode::NO_CONTENT);
    let run = bench.aggregating("u2", 7).await;
    let late = bench.document_event(&places::job(&run.uid, &run.job_id)).await;
    let now = bench.now();
    bench.change(&run, |run| run.cancel(now)).await;
    assert_eq!(bench.tell(FUNCTION, late).await, StatusCode::NO_CONTENT);
    assert_eq!(bench.run(&run).await.status, Status::Cancelled);
    assert!(results_of(&bench, &run).await.is_empty() && results_of(&bench, &running).await.is_empty());
    let jobs = Query::group(places::JOBS).equals("status", "completed");
    assert_eq!(bench.world.docs.count(&jobs).await.unwrap(), 0);
}

#[tokio::test]
async fn a_report_that_has_gone_is_an_error_and_no_shorter_result() {
    let bench = Bench::new().await;
    let run = bench.aggregating("u1", 7).await;
    let lost = places::report(&run.uid, &run.job_id, 1, 1, 1).unwrap();
    bench.world.blobs.delete(&lost).await.unwrap();
    assert!(!written(&bench, &run).await.is_success());
    assert_eq!(bench.run(&run).await.status, Status::Aggregating);
}

#[tokio::test]
async fn a_writer_that_failed_has_its_event_told_again_and_then_finds_its_turn_free() {
    let bench = Bench::new().await;
    let run = bench.aggregating("u1", 7).await;
    let report = places::report(&run.uid, &run.job_id, 1, 1, 1).unwrap();
    let content = bench.world.blobs.get(&report, 1 << 20).await.unwrap();
    bench.world.blobs.delete(&report).await.unwrap();
    for _ in 0..3 {
        assert!(!written(&bench, &run).await.is_success(), "each time it is tried, and none is acknowledged");
    }
    bench.world.blobs.put_bytes(&report, content, platform::PutOptions::default()).await.unwrap();
    assert_eq!(written(&bench, &run).await, StatusCode::NO_CONTENT);
    let done = bench.run(&run).await;
    assert_eq!((done.status, done.results), (Status::Completed, Some(4)));
}

#[tokio::test]
async fn a_turn_that_was_taken_or_given_back_calls_no_other_writer() {
    let bench = Bench::new().await;
    let run = bench.aggregating("u1", 7).await;
    let path = places::job(&run.uid, &run.job_id);
    let body = async || bench.world.docs.get::<platform::docs::Body>(&path).await.unwrap().value;
    let (waits, now) = (body().await, bench.now());
    bench.change(&run, |run| run.begin_aggregation(now).is_some()).await;
    let taken = body().await;
    let free = bench.change(&run, |run| run.give_back(1, now)).await;
    let given_back = body().await;
    for (before, after) in [(&waits, &taken), (&taken, &given_back)] {
        let event = encode_document_event("e1", &path, Some(before), Some(after), now.as_datetime());
        assert_eq!(bench.tell(FUNCTION, event).await, StatusCode::NO_CONTENT);
    }
    assert_eq!(bench.run(&run).await, free);
}
