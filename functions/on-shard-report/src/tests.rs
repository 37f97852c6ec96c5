use super::*;
use axum::{body::Body, http::Request};
use domain::{ItemError, Outcome, Report, Run, Status};
use platform::{BlobPath, PutOptions, embedded::Event};
use service::{
    runs::{reports, shards},
    testing::{Bench, completed, post_event, router as served},
};

mod learning;

/// How often the run was written as `aggregating` since it was last asked: each time, its results are written.
async fn moves(bench: &Bench) -> usize {
    let moved = |event: &&Event| match event {
        Event::Document { path, after: Some(body), .. } => {
            path.parent().as_str().ends_with("/jobs") && body["status"] == "aggregating"
        }
        _ => false,
    };
    bench.happened().await.iter().filter(moved).count()
}

async fn reported(bench: &Bench, path: &BlobPath) -> StatusCode {
    let event = bench.object_event(path).await;
    bench.tell(FUNCTION, event).await
}

/// The run and everything of its shards, to compare.
async fn state(bench: &Bench, run: &Run) -> (Run, Vec<domain::Shard>) {
    let mut shards = vec![];
    for shard in 0..run.plan.as_ref().unwrap().shards {
        shards.push(bench.shard(run, shard).await);
    }
    (bench.run(run).await, shards)
}

#[tokio::test]
async fn a_checkpoint_is_seen_as_progress_and_cost() {
    let bench = Bench::new().await;
    let (run, _) = bench.running("u1", 7).await;
    bench.wait(5);
    let failed = Outcome::failed(2, ItemError::new("out_of_memory", "too large"));
    let path = bench.report(&run, 0, 1, false, vec![completed(&run, 1, 1), failed]).await;
    bench.happened().await;
    assert_eq!(reported(&bench, &path).await, StatusCode::NO_CONTENT);
    let run = bench.run(&run).await;
    let progress = run.progress;
    assert_eq!((progress.completed, progress.failed, progress.running), (1, 1, 5));
    assert_eq!((progress.percent, progress.milestone, run.status), (28.5, 25, Status::Running));
    assert_eq!((run.cost.gpu_seconds, run.cost.actual_usd, run.progress_at), (60.0, 0.0174, bench.now()));
    assert_eq!(bench.published(places::DISPATCH).await, 0, "the GPU is still in use");
}

#[tokio::test]
async fn progress_is_written_at_most_once_a_second_and_never_lost() {
    let bench = Bench::new().await;
    let (run, _) = bench.running("u1", 7).await;
    bench.wait(5);
    let first = bench.report(&run, 0, 1, false, vec![completed(&run, 1, 1)]).await;
    reported(&bench, &first).await;
    let second = bench.report(&run, 1, 1, false, vec![completed(&run, 4, 1)]).await;
    reported(&bench, &second).await;
    assert_eq!(bench.run(&run).await.progress.completed, 1);
    bench.wait(1);
    reported(&bench, &first).await;
    assert_eq!(bench.run(&run).await.progress.completed, 2, "a report told again tells of everything");
}

#[tokio::test]
async fn the_last_shard_moves_the_run_on_and_frees_gpus() {
    let bench = Bench::new().await;
    let (run, _) = bench.running("u1", 7).await;
    for shard in 0..3 {
        bench.happened().await;
        let path = bench.final_report(&run, shard, 1).await;
        assert_eq!(reported(&bench, &path).await, StatusCode::NO_CONTENT);
        assert_eq!(bench.published(places::DISPATCH).await, 1, "shard {shard}");
        let stands = if shard == 2 { Status::Aggregating } else { Status::Running };
        assert_eq!(bench.run(&run).await.status, stands);
    }
    let run = bench.run(&run).await;
    assert_eq!((run.progress.completed, run.cost.gpu_seconds, run.ended_at), (7, 180.0, Some(bench.now())));
    assert!(!run.dispatchable);
}

#[tokio::test]
async fn a_last_report_told_twice_moves_on_a_run_that_its_first_telling_did_not() {
    let bench = Bench::new().await;
    let (run, _) = bench.running("u1", 7).await;
    let mut last = None;
    for shard in 0..3 {
        last = Some(bench.final_report(&run, shard, 1).await);
        // The first delivery took the report over and died before it counted.
        shards::refresh(&bench.world, &run.uid, &run.job_id, shard).await.unwrap();
    }
    assert_eq!(bench.run(&run).await.status, Status::Running);
    reported(&bench, &last.clone().unwrap()).await;
    let once = bench.run(&run).await;
    assert_eq!(once.status, Status::Aggregating);
    bench.wait(60);
    reported(&bench, &last.unwrap()).await;
    assert_eq!(bench.run(&run).await, once, "and a third telling changes nothing");
}

#[tokio::test]
async fn the_last_two_reports_at_once_move_the_run_on_exactly_once() {
    for _ in 0..5 {
        let bench = Bench::new().await;
        let (run, _) = bench.running("u1", 7).await;
        let first = bench.final_report(&run, 0, 1).await;
        reported(&bench, &first).await;
        let (a, b) = (bench.final_report(&run, 1, 1).await, bench.final_report(&run, 2, 1).await);
        bench.happened().await;
        let answers = tokio::join!(reported(&bench, &a), reported(&bench, &b), reported(&bench, &b));
        assert_eq!(answers, (StatusCode::NO_CONTENT, StatusCode::NO_CONTENT, StatusCode::NO_CONTENT));
        assert_eq!((bench.run(&run).await.status, moves(&bench).await), (Status::Aggregating, 1));
    }
}

#[tokio::test]
async fn a_report_of_an_attempt_that_lost_its_shard_changes_nothing() {
    let bench = Bench::new().await;
    let (run, _) = bench.running("u1", 7).await;
    let zombie = bench.final_report(&run, 0, 9).await;
    let now = bench.now();
    bench.change_shard(&run, 0, |shard| shard.take_back(now)).await;
    bench.launch(&run, &[0]).await;
    assert_eq!(bench.claim(&run, 0).await, 2);
    let before = state(&bench, &run).await;
    assert_eq!(reported(&bench, &zombie).await, StatusCode::NO_CONTENT);
    assert_eq!(state(&bench, &run).await, before);
    let retry = bench.final_report(&run, 0, 1).await;
    reported(&bench, &retry).await;
    assert!(bench.shard(&run, 0).await.done);
    assert_eq!(bench.shard(&run, 0).await.report.as_deref(), Some(retry.name()));
}

#[tokio::test]
async fn reports_out_of_order_end_at_the_newest() {
    let bench = Bench::new().await;
    let (run, _) = bench.running("u1", 7).await;
    let early = bench.report(&run, 0, 1, false, vec![completed(&run, 1, 1)]).await;
    let late = bench.final_report(&run, 0, 2).await;
    for path in [&late, &early] {
        assert_eq!(reported(&bench, path).await, StatusCode::NO_CONTENT);
        assert_eq!((bench.shard(&run, 0).await.done, bench.shard(&run, 0).await.completed), (true, 3));
    }
}

#[tokio::test]
async fn what_is_no_report_of_the_shard_is_ignored_for_good() {
    let bench = Bench::new().await;
    let (run, _) = bench.running("u1", 7).await;
    let good = bench.final_report(&run, 0, 1).await;
    let report: Report = bench.world.blobs.get_json(&good, 1 << 20).await.unwrap();
    let text = |change: &dyn Fn(&mut Report)| {
        let mut report = report.clone();
        change(&mut report);
        serde_json::to_string(&report).unwrap()
    };
    let before = state(&bench, &run).await;
    let contents = [
        ("garbage", "not JSON".to_owned()),
        ("too large to be read", text(&|_| {}) + &" ".repeat(reports::REPORT_LIMIT as usize)),
        ("another user", text(&|report| report.uid = service::testing::user("u2"))),
        ("another shard", text(&|report| report.shard = 1)),
        ("another attempt", text(&|report| report.attempt = 2)),
        ("an item twice", text(&|report| report.outcomes[1].index = 1)),
        ("a missing item", text(&|report| report.outcomes.truncate(2))),
        ("an item of another shard", text(&|report| report.outcomes[2].index = 7)),
        ("too many items", text(&|report| report.outcomes.push(completed(&run, 7, 1)))),
    ];
    for (what, content) in contents {
        bench.world.blobs.put_bytes(&good, content, PutOptions::default()).await.unwrap();
        assert_eq!(reported(&bench, &good).await, StatusCode::NO_CONTENT, "{what}");
        assert_eq!(state(&bench, &run).await, before, "{what}");
    }
    bench.world.blobs.put_bytes(&good, text(&|_| {}), PutOptions::default()).await.unwrap();
    reported(&bench, &good).await;
    assert!(bench.shard(&run, 0).await.done, "the true report counts");
}

#[tokio::test]
async fn what_is_no_report_hides_no_report_before_it() {
    let bench = Bench::new().await;
    let (run, _) = bench.running("u1", 7).await;
    let good = bench.report(&run, 0, 1, false, vec![completed(&run, 1, 1)]).await;
    let mut foreign: Report = bench.world.blobs.get_json(&good, 1 << 20).await.unwrap();
    (foreign.attempt, foreign.seq, foreign.outcomes) = (2, 9, vec![]);
    let folder = good.name().rsplit_once('/').unwrap().0;
    bench.put("reports", &format!("{folder}/90000.json"), &serde_json::to_string(&foreign).unwrap()).await;
    (foreign.attempt, foreign.last, foreign.outcomes) = (1, true, vec![completed(&run, 77, 1)]);
    bench.put("reports", &format!("{folder}/90002.json"), &serde_json::to_string(&foreign).unwrap()).await;
    let rubbish = bench.put("reports", &format!("{folder}/90001.json"), "{\"uid\": \"u1\", ").await;
    assert_eq!(reported(&bench, &rubbish).await, StatusCode::NO_CONTENT);
    assert_eq!(bench.shard(&run, 0).await.completed, 1);
    let known = reports::earlier_outcomes(&bench.world.blobs, &run.uid, &run.job_id, 0).await.unwrap();
    assert_eq!(known.into_keys().collect::<Vec<_>>(), [1], "the next attempt starts from what is done");
}

#[tokio::test]
async fn objects_that_name_no_run_of_that_user_are_ignored() {
    let bench = Bench::new().await;
    let (run, _) = bench.running("u1", 7).await;
    let report = bench.final_report(&run, 0, 1).await;
    let content = bench.world.blobs.get(&report, 1 << 20).await.unwrap();
    bench.world.blobs.delete(&report).await.unwrap();
    let before = state(&bench, &run).await;
    let elsewhere = report.name().replacen("u1/", "u2/", 1);
    for (bucket, name) in [
        (places::REPORTS, "stray.json"),
        (places::REPORTS, "a/b/c/d/e"),
        (places::REPORTS, elsewhere.as_str()),
        (places::ARTIFACTS, report.name()),
    ] {
        let path = BlobPath::new(bucket, name).unwrap();
        bench.world.blobs.put_bytes(&path, content.clone(), PutOptions::default()).await.unwrap();
        assert_eq!(reported(&bench, &path).await, StatusCode::NO_CONTENT, "{path}");
        assert_eq!(state(&bench, &run).await, before, "{path}");
    }
}

#[tokio::test]
async fn a_report_after_its_run_was_cancelled_counts_its_cost_and_revives_nothing() {
    let bench = Bench::new().await;
    let (run, _) = bench.running("u1", 7).await;
    let now = bench.now();
    bench.change(&run, |run| run.cancel(now)).await;
    for shard in 0..3 {
        let path = bench.final_report(&run, shard, 1).await;
        assert_eq!(reported(&bench, &path).await, StatusCode::NO_CONTENT);
    }
    let cancelled = bench.run(&run).await;
    assert_eq!((cancelled.status, cancelled.progress.completed, cancelled.progress.running), (Status::Cancelled, 7, 0));
    assert_eq!((cancelled.cost.gpu_seconds, cancelled.completed_at, cancelled.dispatchable), (180.0, Some(now), false));
}

#[tokio::test]
async fn the_last_words_about_a_purged_run_are_removed_with_what_its_worker_left() {
    let bench = Bench::new().await;
    let (run, other) = (bench.running("u1", 7).await.0, bench.finished("u1", 2).await);
    let now = bench.now();
    bench.change(&run, |run| run.cancel(now)).await;
    let late = bench.report(&run, 0, 1, false, vec![completed(&run, 1, 1)]).await;
    let report = bench.world.blobs.get(&late, 1 << 20).await.unwrap();
    runs::cancel_or_purge(&bench.world, &bench.caller("u1"), &run.job_id, true).await.unwrap();
    let structure = places::item_file(&run.uid, &run.job_id, 1, 1, "structure.cif").unwrap();
    for path in [&structure, &late] {
        bench.world.blobs.put_bytes(path, report.clone(), PutOptions::default()).await.unwrap();
    }
    assert_eq!(reported(&bench, &late).await, StatusCode::NO_CONTENT);
    let left = async |bucket: &str, run: &Run| {
        bench.world.blobs.list(bucket, &places::run_prefix(&run.uid, &run.job_id), None, 100).await.unwrap().len()
    };
    assert_eq!((left(places::ARTIFACTS, &run).await, left(places::REPORTS, &run).await), (0, 0));
    assert!(left(places::ARTIFACTS, &other).await > 0 && left(places::REPORTS, &other).await > 0);
}

#[tokio::test]
async fn a_last_report_while_its_run_is_being_purged_is_nobodys() {
    let bench = Bench::new().await;
    let (run, _) = bench.running("u1", 7).await;
    let last = bench.final_report(&run, 0, 1).await;
    // A purge ends the run, and takes its objects away before its documents.
    let caller = bench.caller("u1");
    runs::cancel_or_purge(&bench.world, &caller, &run.job_id, false).await.unwrap();
    bench.world.blobs.delete(&places::shard_input(&run.uid, &run.job_id, 0).unwrap()).await.unwrap();
    let before = state(&bench, &run).await;
    assert_eq!(reported(&bench, &last).await, StatusCode::NO_CONTENT);
    assert_eq!(state(&bench, &run).await, before);
}

#[tokio::test]
async fn what_is_no_object_event_is_refused() {
    let bench = Bench::new().await;
    let request = Request::post("/").body(Body::from("{}")).unwrap();
    assert_eq!(post_event(served(FUNCTION, &bench.world), request).await, StatusCode::BAD_REQUEST);
}
