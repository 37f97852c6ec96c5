use super::*;
use domain::{JobId, MAX_LAUNCHES, RepairKind, Repairs, Run, Shard, ShardState, Status};
use platform::{Query, embedded::Event};
use service::{
    places,
    runs::{repair::MAX_NUDGES, shards::refresh},
    testing::{Bench, tick, user},
};

async fn sweep(bench: &Bench) {
    bench.happened().await;
    assert_eq!(bench.tell(FUNCTION, tick()).await, StatusCode::NO_CONTENT);
}

/// What the sweep made known: the run's status as each event of its document tells it, and whether the dispatcher was
/// woken.
async fn told(bench: &Bench, run: &Run) -> (Vec<String>, usize) {
    let job = places::job(&run.uid, &run.job_id);
    let happened = bench.happened().await;
    let statuses = happened.iter().filter_map(|event| match event {
        Event::Document { path, after: Some(body), .. } if *path == job => body["status"].as_str().map(str::to_owned),
        _ => None,
    });
    let woken = |event: &&Event| matches!(event, Event::Message { topic, .. } if topic == places::DISPATCH);
    (statuses.collect(), happened.iter().filter(woken).count())
}

#[tokio::test]
async fn a_run_whose_planning_was_never_heard_of_is_told_of_again() {
    let bench = Bench::new().await;
    let run = bench.submit("u1", 7).await;
    bench.wait(59);
    sweep(&bench).await;
    assert_eq!(told(&bench, &run).await, (vec![], 1), "not silent for long enough");
    bench.wait(1);
    sweep(&bench).await;
    assert_eq!(told(&bench, &run).await, (vec!["queued".to_owned()], 1));
    sweep(&bench).await;
    assert_eq!(told(&bench, &run).await, (vec![], 1), "it has its time to react");
}

#[tokio::test]
async fn two_sweeps_at_once_tell_of_a_silent_run_once() {
    let bench = Bench::new().await;
    let run = bench.submit("u1", 7).await;
    bench.wait(60);
    tokio::join!(bench.tell(FUNCTION, tick()), bench.tell(FUNCTION, tick()));
    assert_eq!(bench.run(&run).await.nudges, 1);
}

#[tokio::test]
async fn however_many_runs_are_silent_each_is_looked_into() {
    let bench = Bench::new().await;
    let first = bench.submit("u1", 2).await;
    let mut runs = vec![first.clone()];
    for _ in 0..450 {
        let job_id = JobId::new(true, &bench.world.ids.next()).unwrap();
        let run = Run { job_id, ..first.clone() };
        bench.world.docs.create(&places::job(&run.uid, &run.job_id), &run).await.unwrap();
        runs.push(run);
    }
    bench.wait(60);
    sweep(&bench).await;
    let told = Query::group(places::JOBS).equals("nudges", 1);
    assert_eq!(bench.world.docs.count(&told).await.unwrap(), runs.len() as u64);
}

#[tokio::test]
async fn a_run_whose_results_were_never_written_is_told_of_again() {
    let bench = Bench::new().await;
    let run = bench.aggregating("u1", 7).await;
    bench.wait(60);
    sweep(&bench).await;
    assert_eq!(told(&bench, &run).await, (vec!["aggregating".to_owned()], 1));
}

#[tokio::test]
async fn reports_that_nobody_heard_of_are_found_and_the_run_moves_on() {
    let bench = Bench::new().await;
    let (run, _) = bench.running("u1", 7).await;
    for shard in 0..3 {
        bench.final_report(&run, shard, 1).await;
    }
    bench.wait(60);
    sweep(&bench).await;
    assert_eq!((bench.run(&run).await.status, bench.run(&run).await.progress.completed), (Status::Aggregating, 7));
}

#[tokio::test]
async fn a_run_whose_shards_are_done_and_that_nobody_counted_moves_on() {
    let bench = Bench::new().await;
    let (run, _) = bench.running("u1", 7).await;
    for shard in 0..3 {
        bench.final_report(&run, shard, 1).await;
        refresh(&bench.world, &run.uid, &run.job_id, shard).await.unwrap();
    }
    bench.wait(60);
    sweep(&bench).await;
    assert_eq!(bench.run(&run).await.status, Status::Aggregating);
}

#[tokio::test]
async fn shards_of_an_execution_that_ended_unheard_wait_for_another_one() {
    let bench = Bench::new().await;
    let (run, execution) = bench.running("u1", 7).await;
    bench.final_report(&run, 1, 1).await;
    bench.end(&execution).await;
    bench.wait(60);
    sweep(&bench).await;
    let states = [0, 1, 2].map(|shard| bench.shard(&run, shard));
    let [a, b, c] = states;
    assert_eq!(
        (a.await.state, b.await.state, c.await.state),
        (ShardState::Pending, ShardState::Done, ShardState::Pending)
    );
    assert_eq!(told(&bench, &run).await.1, 1, "the dispatcher starts them again");
}

#[tokio::test]
async fn an_execution_that_ended_unheard_is_noticed_in_a_run_that_others_keep_busy() {
    let bench = Bench::new().await;
    let run = bench.planned("u1", 7).await;
    let (ended, _) = (bench.launch(&run, &[0]).await, bench.launch(&run, &[1, 2]).await);
    bench.end(&ended).await;
    sweep(&bench).await;
    assert_eq!(bench.shard(&run, 0).await.state, ShardState::Pending);
    assert_eq!(bench.shard(&run, 1).await.state, ShardState::Launched);
}

#[tokio::test]
async fn results_that_cannot_be_written_end_as_a_failed_run_whose_rows_can_still_be_read() {
    let bench = Bench::new().await;
    let run = bench.aggregating("u1", 7).await;
    for _ in 0..MAX_NUDGES {
        bench.wait(60);
        sweep(&bench).await;
    }
    assert_eq!(bench.run(&run).await.status, Status::Aggregating);
    bench.wait(60);
    sweep(&bench).await;
    let failed = bench.run(&run).await;
    assert_eq!((failed.status, failed.error.as_ref().unwrap().code.as_str()), (Status::Failed, "stuck"));
    let rows = bench.rows(&failed).await;
    assert_eq!((rows.len(), failed.progress.completed), (7, 7));
}

#[tokio::test]
async fn a_writer_of_results_is_left_its_time_and_then_its_turn_is_anothers() {
    let bench = Bench::new().await;
    let run = bench.aggregating("u1", 7).await;
    bench.change(&run, |run| run.begin_aggregation(bench.now()).is_some()).await;
    bench.wait(49);
    sweep(&bench).await;
    assert_eq!(told(&bench, &run).await.0, Vec::<String>::new());
    bench.wait(11);
    sweep(&bench).await;
    assert_eq!(told(&bench, &run).await.0, ["aggregating"]);
}

#[tokio::test]
async fn a_document_that_cannot_be_read_keeps_no_other_run_waiting() {
    let bench = Bench::new().await;
    let broken = serde_json::json!({"status": "queued", "created_at": "2020-01-01T00:00:00.000Z"});
    bench.world.docs.create(&places::jobs(&user("u2")).doc("job_broken"), &broken).await.unwrap();
    let run = bench.submit("u1", 7).await;
    bench.wait(60);
    sweep(&bench).await;
    assert_eq!(told(&bench, &run).await.0, ["queued"]);
}

#[tokio::test]
async fn operators_can_read_what_was_mended_and_why() {
    let bench = Bench::new().await;
    let (run, execution) = bench.running("u1", 7).await;
    bench.final_report(&run, 1, 1).await;
    bench.end(&execution).await;
    bench.wait(60);
    sweep(&bench).await;
    let repairs = bench.world.docs.get::<Repairs>(&places::repairs()).await.unwrap().value;
    let total: Vec<_> = repairs.total.into_iter().collect();
    assert_eq!(total, [(RepairKind::TakenBack, 2)], "the third shard's last word was heard in time");
    assert!(repairs.latest.iter().all(|repair| repair.job_id == run.job_id && repair.reason.contains("ended")));
}

#[tokio::test]
async fn an_execution_that_runs_on_is_left_alone() {
    let bench = Bench::new().await;
    let (run, _) = bench.running("u1", 7).await;
    bench.wait(3000);
    sweep(&bench).await;
    assert_eq!(
        (bench.shard(&run, 0).await.state, bench.run(&run).await.status),
        (ShardState::Running, Status::Running)
    );
}

#[tokio::test]
async fn a_run_that_waits_for_gpus_is_left_waiting() {
    let bench = Bench::new().await;
    let run = bench.planned("u1", 7).await;
    for _ in 0..30 {
        bench.wait(60);
        sweep(&bench).await;
    }
    assert_eq!((bench.run(&run).await.status, bench.run(&run).await.nudges), (Status::Queued, 0));
}

#[tokio::test]
async fn a_closing_that_died_half_way_is_finished() {
    let bench = Bench::new().await;
    let run = bench.planned("u1", 2).await;
    for launch in 1..=MAX_LAUNCHES {
        let execution = bench.launch(&run, &[0]).await;
        bench.claim(&run, 0).await;
        bench.end(&execution).await;
        let now = bench.now();
        if launch == MAX_LAUNCHES {
            bench.change_shard(&run, 0, |shard| shard.closing_attempt(now) > 0).await;
        } else {
            bench.change_shard(&run, 0, |shard| shard.take_back(now)).await;
        }
    }
    for _ in 0..2 {
        bench.wait(60);
        sweep(&bench).await;
    }
    let shard = bench.shard(&run, 0).await;
    assert_eq!((shard.done, shard.failed), (true, shard.items));
}

#[tokio::test]
async fn what_does_not_help_for_an_hour_ends_as_a_failed_run_that_says_so() {
    let bench = Bench::new().await;
    let run = bench.submit("u1", 7).await;
    for _ in 0..MAX_NUDGES {
        bench.wait(60);
        sweep(&bench).await;
    }
    assert_eq!(bench.run(&run).await.status, Status::Queued);
    bench.wait(60);
    sweep(&bench).await;
    let failed = bench.run(&run).await;
    let error = failed.error.unwrap();
    assert_eq!((failed.status, error.code.as_str()), (Status::Failed, "stuck"));
    assert!(error.message.contains("queued"), "{}", error.message);
    bench.wait(60);
    sweep(&bench).await;
    assert_eq!(told(&bench, &run).await.0, Vec::<String>::new(), "what has ended is left alone");
}

#[tokio::test]
async fn a_run_that_cannot_be_helped_neither_hinders_the_others_nor_stays_for_ever() {
    let bench = Bench::new().await;
    let broken = bench.planned("u1", 2).await;
    for _ in 1..MAX_LAUNCHES {
        bench.launch(&broken, &[0]).await;
        let now = bench.now();
        bench.change_shard(&broken, 0, |shard| shard.take_back(now)).await;
    }
    let execution = bench.launch(&broken, &[0]).await;
    bench.end(&execution).await;
    let input = places::shard_input(&broken.uid, &broken.job_id, 0).unwrap();
    bench.world.blobs.delete(&input).await.unwrap();
    bench.wait(1);
    let (other, execution) = bench.running("u2", 7).await;
    bench.end(&execution).await;
    bench.wait(60);
    sweep(&bench).await;
    assert_eq!(bench.shard(&other, 0).await.state, ShardState::Pending);
    assert_eq!(told(&bench, &other).await.1, 1, "the dispatcher is woken all the same");
    for _ in 0..MAX_NUDGES + 5 {
        bench.wait(60);
        sweep(&bench).await;
    }
    assert_eq!(bench.run(&broken).await.error.unwrap().code, "stuck");
}

#[tokio::test]
async fn what_a_cancelled_runs_workers_said_last_counts_although_nobody_heard_it() {
    let bench = Bench::new().await;
    let (run, _) = bench.running("u1", 7).await;
    runs::cancel_or_purge(&bench.world, &bench.caller("u1"), &run.job_id, false).await.unwrap();
    bench.final_report(&run, 0, 1).await;
    let outcome = service::testing::completed(&run, 4, 1);
    bench.report(&run, 1, 1, false, vec![outcome]).await;
    bench.wait(3600);
    sweep(&bench).await;
    assert_eq!(bench.run(&run).await.cost.gpu_seconds, 0.0, "its workers may still be at work");
    bench.wait(3 * 3600);
    sweep(&bench).await;
    let settled = bench.run(&run).await;
    assert_eq!(
        (settled.status, settled.cost.gpu_seconds, settled.charged_gpu_seconds),
        (Status::Cancelled, 120.0, 120.0)
    );
    assert_eq!((settled.progress.completed, settled.progress.cancelled), (4, 3));
    assert_eq!(bench.rows(&settled).await.len(), 4);
    assert_eq!(bench.world.docs.count(&Query::collection(places::ended_early())).await.unwrap(), 0);
}

#[tokio::test]
async fn what_was_spent_on_a_run_that_was_given_up_is_accounted_for() {
    let bench = Bench::new().await;
    let (run, _) = bench.running("u1", 7).await;
    let (error, now) = (domain::RunError::new("stuck", "it did not move on"), bench.now());
    bench.change(&run, |run| run.fail(error.clone(), now)).await;
    bench.final_report(&run, 0, 1).await;
    bench.wait(4 * 3600);
    sweep(&bench).await;
    let failed = bench.run(&run).await;
    assert_eq!((failed.status, failed.error, failed.cost.gpu_seconds), (Status::Failed, Some(error), 60.0));
    assert_eq!((failed.progress.completed, failed.progress.failed), (3, 4));
}

#[tokio::test]
async fn a_marker_that_a_writer_of_results_left_after_the_purge_does_not_stay() {
    let bench = Bench::new().await;
    let run = bench.finished("u1", 3).await;
    runs::cancel_or_purge(&bench.world, &bench.caller("u1"), &run.job_id, true).await.unwrap();
    let question = run.question.as_deref().unwrap();
    let marker = places::answered_by(&run.uid, question, false, &run.job_id).unwrap();
    bench.world.blobs.put_bytes(&marker, "", Default::default()).await.unwrap();
    bench.wait(5 * 3600);
    sweep(&bench).await;
    assert!(bench.world.blobs.head(&marker).await.unwrap().is_none());
}

#[tokio::test]
async fn a_purged_run_whose_leftovers_cannot_be_removed_keeps_no_other_waiting() {
    let bench = Bench::new().await;
    let (stubborn, other) = (bench.finished("u1", 3).await, bench.finished("u2", 3).await);
    let late = places::result(&other.uid, &other.job_id, "late.csv").unwrap();
    for (name, run) in [("u1", &stubborn), ("u2", &other)] {
        bench.wait(1);
        runs::cancel_or_purge(&bench.world, &bench.caller(name), &run.job_id, true).await.unwrap();
    }
    let shard = places::shard(&stubborn.uid, &stubborn.job_id, 0);
    bench.world.docs.create(&shard, &serde_json::json!({"state": "no shard"})).await.unwrap();
    bench.world.blobs.put_bytes(&late, "too late", Default::default()).await.unwrap();
    bench.wait(5 * 3600);
    assert_eq!(bench.tell(FUNCTION, tick()).await, StatusCode::INTERNAL_SERVER_ERROR, "the error is told");
    assert!(bench.world.blobs.head(&late).await.unwrap().is_none());
    let notes = async || bench.world.docs.count(&Query::collection(places::purged())).await.unwrap();
    assert_eq!(notes().await, 1, "it is tried again");
}

#[tokio::test]
async fn what_somebody_slow_writes_for_a_purged_run_does_not_stay() {
    let bench = Bench::new().await;
    let (purged, other) = (bench.finished("u1", 3).await, bench.finished("u1", 3).await);
    let caller = bench.caller("u1");
    runs::cancel_or_purge(&bench.world, &caller, &purged.job_id, true).await.unwrap();
    let late = places::result(&purged.uid, &purged.job_id, "late.csv").unwrap();
    bench.world.blobs.put_bytes(&late, "too late", Default::default()).await.unwrap();
    let shard = places::shard(&purged.uid, &purged.job_id, 0);
    bench.world.docs.create(&shard, &Shard::new(0, 3, bench.now())).await.unwrap();
    let is_left = async || bench.world.docs.find::<Shard>(&shard).await.unwrap().is_some();
    sweep(&bench).await;
    assert!(bench.world.blobs.head(&late).await.unwrap().is_some(), "others may still be at work");
    assert!(is_left().await);
    bench.wait(5 * 3600);
    sweep(&bench).await;
    assert!(bench.world.blobs.head(&late).await.unwrap().is_none());
    assert!(!is_left().await);
    let prefix = places::run_prefix(&other.uid, &other.job_id);
    assert!(!bench.world.blobs.list(places::ARTIFACTS, &prefix, None, 10).await.unwrap().is_empty());
}
