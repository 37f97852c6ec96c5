//! `max_cost_usd`.

use super::*;
use domain::{Outcome, Price};
use platform::Message;
use service::runs::{rows, shards};

/// What so many of the run's shards are planned to cost, and a little more.
fn cost(run: &Run, shards: f64) -> Option<f64> {
    Some(Price::L4_US_CENTRAL1.of(run.plan.as_ref().unwrap().shard_seconds() * shards) + 0.001)
}

/// A batch of nine ligands in nine shards that may cost as much as so many of them are planned to.
async fn limited(bench: &mut Bench, shards: f64) -> Run {
    bench.set(|settings| settings.gpu_capacity = 9);
    let run = bench.planned("u1", 9).await;
    bench.set(|settings| settings.gpu_capacity = 3);
    let limit = cost(&run, shards);
    bench.change(&run, |run| std::mem::replace(&mut run.max_cost_usd, limit) != limit).await
}

/// Every worker there is reports its last, having taken so many times as long as planned.
async fn all_report(bench: &Bench, run: &Run, times: f64) {
    let leases = bench.pool().await.leases;
    for shard in leases.iter().flat_map(|lease| &lease.held) {
        bench.claim(run, shard.shard).await;
        let path = bench.final_report(run, shard.shard, 1).await;
        spend(bench, run, &path, run.plan.as_ref().unwrap().shard_seconds() * times).await;
    }
    read_closed(bench, run).await;
}

/// The report says that so many seconds were spent, and arrives.
async fn spend(bench: &Bench, run: &Run, path: &platform::BlobPath, seconds: f64) {
    let mut report: domain::Report = bench.world.blobs.get_json(path, 1 << 20).await.unwrap();
    report.gpu_seconds = seconds;
    bench.world.blobs.put_json(path, &report, platform::PutOptions::default()).await.unwrap();
    shards::refresh(&bench.world, &run.uid, &run.job_id, report.shard).await.unwrap();
}

/// The reports of closed shards arrive.
async fn read_closed(bench: &Bench, run: &Run) {
    for shard in 0..9 {
        shards::refresh(&bench.world, &run.uid, &run.job_id, shard).await.unwrap();
    }
    shards::evaluate(&bench.world, &run.uid, &run.job_id).await.unwrap();
}

/// Whatever is at work ends.
async fn all_end(bench: &Bench) {
    for execution in executions(bench).await {
        let notice = Message { data: vec![], attributes: BTreeMap::new() };
        bench.store.execution_ends(&execution.name, ExecutionState::Cancelled, "ended", notice).await.unwrap();
    }
}

async fn done(bench: &Bench, run: &Run) -> Vec<bool> {
    let mut done = vec![];
    for shard in 0..9 {
        done.push(bench.shard(run, shard).await.done);
    }
    done
}

#[tokio::test]
async fn a_run_within_its_limit_runs_to_its_end() {
    let mut bench = Bench::new().await;
    let run = limited(&mut bench, 9.0).await;
    for _ in 0..3 {
        wake(&bench).await;
        all_report(&bench, &run, 1.0).await;
    }
    let run = bench.run(&run).await;
    assert_eq!((run.status, run.progress.completed, run.stopped), (Status::Aggregating, 9, None));
}

#[tokio::test]
async fn no_shard_starts_that_would_go_beyond_the_limit_and_the_run_ends_with_what_it_has() {
    let mut bench = Bench::new().await;
    let run = limited(&mut bench, 5.0).await;
    wake(&bench).await;
    assert_eq!(tasks(&bench).await, 3);
    all_report(&bench, &run, 1.0).await;
    wake(&bench).await;
    assert_eq!(bench.pool().await.in_use(), 2, "a GPU is free, and the limit does not allow a sixth shard");
    wake(&bench).await;
    assert_eq!((bench.pool().await.in_use(), bench.run(&run).await.stopped), (2, None), "two are still at work");
    all_report(&bench, &run, 1.0).await;
    wake(&bench).await;
    wake(&bench).await;
    read_closed(&bench, &run).await;
    assert_eq!(bench.pool().await.in_use(), 0);
    let run = bench.run(&run).await;
    assert_eq!((run.status, run.progress.completed, run.progress.failed), (Status::Aggregating, 5, 4));
    assert!(run.cost.actual_usd <= run.max_cost_usd.unwrap());
    let stopped = run.stopped.clone().unwrap();
    assert!(stopped.code == "over_budget" && stopped.message.contains("limit"), "{stopped:?}");
    let mut codes = vec![];
    for index in 1..=9 {
        let (_, row) = rows::one(&bench.world.docs, &bench.world.blobs, &run, index).await.unwrap().unwrap();
        codes.extend(row.unwrap().error.map(|error| error.code));
    }
    assert_eq!(codes, ["over_budget"; 4]);
}

#[tokio::test]
async fn shards_that_take_longer_than_planned_stop_the_run_earlier() {
    let mut bench = Bench::new().await;
    let run = limited(&mut bench, 9.0).await;
    wake(&bench).await;
    all_report(&bench, &run, 2.5).await;
    wake(&bench).await;
    assert_eq!(bench.pool().await.in_use(), 0, "one and a half shards' worth is left, and each takes two and a half");
    read_closed(&bench, &run).await;
    let run = bench.run(&run).await;
    assert_eq!((run.status, run.progress.completed, run.progress.failed), (Status::Aggregating, 3, 6));
}

#[tokio::test]
async fn a_run_that_costs_too_much_while_all_its_shards_are_at_work_is_stopped_with_what_they_told() {
    let mut bench = Bench::new().await;
    let run = limited(&mut bench, 9.0).await;
    bench.set(|settings| settings.gpu_capacity = 9);
    wake(&bench).await;
    assert_eq!(tasks(&bench).await, 9);
    let planned = run.plan.as_ref().unwrap().shard_seconds();
    for shard in 0..9 {
        bench.claim(&run, shard).await;
        // Those with a shard of even number have their ligand done, and one ends on its own.
        let outcomes = bench.items(&run, shard).await.into_iter().filter(|_| shard % 2 == 0);
        let outcomes = outcomes.map(|index| service::testing::completed(&run, index, 1)).collect();
        spend(&bench, &run, &bench.report(&run, shard, 1, shard == 4, outcomes).await, planned * 0.9).await;
    }
    wake(&bench).await;
    assert_eq!((bench.pool().await.in_use(), bench.run(&run).await.stopped), (8, None), "within its limit");
    for shard in (0..9).filter(|shard| *shard != 4) {
        let outcomes = bench.items(&run, shard).await.into_iter().filter(|_| shard % 2 == 0);
        let outcomes = outcomes.map(|index| service::testing::completed(&run, index, 1)).collect();
        spend(&bench, &run, &bench.report(&run, shard, 2, false, outcomes).await, planned * 1.1).await;
    }
    tokio::join!(wake(&bench), wake(&bench));
    assert!(executions(&bench).await.iter().all(|execution| execution.cancelled));
    assert_eq!(bench.pool().await.in_use(), 8, "what was asked to stop has not yet stopped");
    let last_word = bench.report(&run, 1, 3, false, vec![]).await;
    spend(&bench, &run, &last_word, planned * 1.3).await;
    all_end(&bench).await;
    tokio::join!(wake(&bench), wake(&bench));
    assert_eq!(bench.pool().await.in_use(), 0);
    let zombie = bench.shard(&run, 1).await;
    assert!(zombie.is_closing(), "no worker has it, or gets it");
    read_closed(&bench, &run).await;
    wake(&bench).await;
    let run = bench.run(&run).await;
    assert_eq!((run.status, run.progress.completed, run.progress.failed), (Status::Aggregating, 5, 4));
    assert_eq!(run.stopped.unwrap().code, "over_budget");
    assert!((run.cost.gpu_seconds - planned * 9.9).abs() < 1.0, "all that was told is counted");
}

#[tokio::test]
async fn a_stop_that_died_before_it_closed_anything_is_finished_by_the_next_waking() {
    let mut bench = Bench::new().await;
    let run = limited(&mut bench, 9.0).await;
    wake(&bench).await;
    bench.claim(&run, 0).await;
    let reason = domain::RunError::new("over_budget", "too dear");
    bench.change(&run, |run| run.stop(reason.clone())).await;
    wake(&bench).await;
    assert!(executions(&bench).await.iter().all(|execution| execution.cancelled));
    all_end(&bench).await;
    wake(&bench).await;
    read_closed(&bench, &run).await;
    assert_eq!(done(&bench, &run).await, [true; 9], "at work, launched, or waiting");
    let run = bench.run(&run).await;
    assert_eq!((run.status, run.progress.failed, bench.pool().await.in_use()), (Status::Aggregating, 9, 0));
}

#[tokio::test]
async fn a_closing_that_died_half_way_is_finished_by_the_next_waking() {
    let mut bench = Bench::new().await;
    let run = limited(&mut bench, 3.0).await;
    wake(&bench).await;
    all_report(&bench, &run, 1.0).await;
    let reason = domain::RunError::new("over_budget", "too dear");
    bench.change(&run, |run| run.stop(reason.clone())).await;
    let now = bench.now();
    bench.change_shard(&run, 4, |shard| shard.closing_attempt(now) == 1).await;
    assert_eq!(done(&bench, &run).await.iter().filter(|done| **done).count(), 3);
    all_end(&bench).await;
    tokio::join!(wake(&bench), wake(&bench));
    read_closed(&bench, &run).await;
    assert_eq!(done(&bench, &run).await, [true; 9]);
    assert_eq!(bench.run(&run).await.status, Status::Aggregating);
}

#[tokio::test]
async fn what_an_earlier_attempt_found_is_kept_when_its_shard_is_closed() {
    let mut bench = Bench::new().await;
    bench.set(|settings| settings.gpu_capacity = 1);
    let run = bench.planned("u1", 2).await;
    let limit = cost(&run, 1.0);
    let run = bench.change(&run, |run| std::mem::replace(&mut run.max_cost_usd, limit) != limit).await;
    wake(&bench).await;
    bench.claim(&run, 0).await;
    let found: Outcome = service::testing::completed(&run, 1, 1);
    bench.report(&run, 0, 1, false, vec![found]).await;
    shards::lost(&bench.world, &run.uid, &run.job_id, 0, 1, "it was killed").await.unwrap();
    wake(&bench).await;
    assert_eq!(
        bench.run(&run).await.stopped.unwrap().code,
        "over_budget",
        "it was started once, and has no money left"
    );
    shards::refresh(&bench.world, &run.uid, &run.job_id, 0).await.unwrap();
    let shard = bench.shard(&run, 0).await;
    assert_eq!((shard.done, shard.completed, shard.failed), (true, 1, 1));
}

#[tokio::test]
async fn what_a_lost_worker_said_last_is_paid_for_when_its_shard_is_closed() {
    let mut bench = Bench::new().await;
    bench.set(|settings| settings.gpu_capacity = 1);
    let run = bench.planned("u1", 2).await;
    wake(&bench).await;
    bench.claim(&run, 0).await;
    shards::lost(&bench.world, &run.uid, &run.job_id, 0, 1, "it was killed").await.unwrap();
    bench.report(&run, 0, 1, false, vec![service::testing::completed(&run, 1, 1)]).await;
    all_end(&bench).await;
    let reason = domain::RunError::new("over_budget", "too dear");
    bench.change(&run, |run| run.stop(reason.clone())).await;
    wake(&bench).await;
    shards::refresh(&bench.world, &run.uid, &run.job_id, 0).await.unwrap();
    let shard = bench.shard(&run, 0).await;
    assert_eq!((shard.done, shard.completed, shard.failed, shard.gpu_seconds), (true, 1, 1, 60.0));
}
