use super::*;
use axum::{body::Body, http::Request};
use domain::{Lease, ShardState, Status};
use platform::{ExecutionState, StartRequest, embedded::Started};
use service::{
    runs::shards,
    testing::{Bench, post_event, push, router as served, waking},
};
use std::{collections::BTreeMap, time::Duration};

mod limits;
mod queues;
mod stopping;

async fn wake(bench: &Bench) {
    assert_eq!(bench.tell(FUNCTION, waking()).await, StatusCode::NO_CONTENT);
}

async fn executions(bench: &Bench) -> Vec<Started> {
    bench.store.unfinished().await.unwrap()
}

/// GPUs that executions keep busy.
async fn tasks(bench: &Bench) -> usize {
    executions(bench).await.iter().map(|execution| execution.tasks.len()).sum()
}

async fn cancel(bench: &Bench, run: &Run) {
    let now = bench.now();
    bench.change(run, |run| run.cancel(now)).await;
}

fn first_launch(shards: &[u32]) -> Vec<LeasedShard> {
    shards.iter().map(|shard| LeasedShard { shard: *shard, launch: 1 }).collect()
}

/// What a dispatcher asks Cloud Run for.
fn request(lease: &Lease) -> StartRequest {
    let tasks = lease.tasks.len() as u32;
    let (job, claim) = (places::WORKER_JOB.to_owned(), lease.id.clone());
    StartRequest { job, claim, env: BTreeMap::new(), tasks, timeout: Duration::from_secs(3600) }
}

#[tokio::test]
async fn a_planned_run_starts_with_one_execution_that_knows_its_shards() {
    let bench = Bench::new().await;
    let run = bench.planned("u1", 7).await;
    bench.wait(30);
    wake(&bench).await;
    let started = executions(&bench).await;
    assert_eq!((started.len(), started[0].tasks.len(), started[0].job.as_str()), (1, 3, "predict-worker"));
    assert_eq!(started[0].env["RUN"], format!("u1/{}", run.job_id));
    assert_eq!(started[0].env["SHARDS"], "0:1,1:1,2:1");
    assert_eq!((started[0].env["TASK_SECONDS"].as_str(), started[0].timeout.as_secs()), ("3600", 3600));
    let run = bench.run(&run).await;
    assert_eq!((run.status, run.started_at), (Status::Running, Some(bench.now())));
    for shard in 0..3 {
        let shard = bench.shard(&run, shard).await;
        assert_eq!((shard.state, shard.execution), (ShardState::Launched, Some(started[0].name.clone())));
    }
}

#[tokio::test]
async fn there_are_never_more_tasks_than_gpus_and_every_user_has_a_share() {
    let bench = Bench::with(|settings| settings.gpu_capacity = 8).await;
    let (big, small) = (bench.planned("u1", 16).await, bench.planned("u2", 2).await);
    wake(&bench).await;
    assert_eq!((tasks(&bench).await, bench.pool().await.in_use()), (8, 8));
    let of = async |run: &Run| {
        bench.pool().await.leases.iter().filter(|l| l.job_id == run.job_id).map(|l| l.held.len()).sum::<usize>()
    };
    assert_eq!((of(&big).await, of(&small).await), (6, 2));
}

#[tokio::test]
async fn a_single_prediction_takes_the_gpu_that_bulk_leaves_free() {
    let bench = Bench::with(|settings| settings.gpu_reserve = 1).await;
    bench.planned("u1", 7).await;
    wake(&bench).await;
    assert_eq!(tasks(&bench).await, 2);
    let single = bench.predict("u2").await;
    bench.plan(&single).await;
    wake(&bench).await;
    assert_eq!((tasks(&bench).await, bench.run(&single).await.status), (3, Status::Running));
}

#[tokio::test]
async fn a_waking_told_again_changes_nothing() {
    let bench = Bench::new().await;
    bench.planned("u1", 7).await;
    wake(&bench).await;
    let before = (bench.pool().await, executions(&bench).await);
    for _ in 0..3 {
        wake(&bench).await;
    }
    assert_eq!((bench.pool().await, executions(&bench).await), before);
}

#[tokio::test]
async fn dispatchers_at_once_together_never_start_more_than_there_are_gpus() {
    for _ in 0..5 {
        let mut bench = Bench::with(|settings| settings.gpu_capacity = 8).await;
        let runs = [bench.planned("u1", 16).await, bench.planned("u2", 16).await];
        bench.set(|settings| settings.gpu_capacity = 3);
        tokio::join!(wake(&bench), wake(&bench), wake(&bench), wake(&bench));
        assert_eq!((tasks(&bench).await, bench.pool().await.in_use()), (3, 3));
        assert!(bench.pool().await.leases.iter().all(|lease| lease.execution.is_some()));
        cancel(&bench, &runs[0]).await;
        tokio::join!(wake(&bench), wake(&bench), wake(&bench), wake(&bench));
        let lively = executions(&bench).await.into_iter().filter(|execution| !execution.cancelled);
        assert_eq!((lively.map(|e| e.tasks.len()).sum::<usize>(), bench.pool().await.in_use()), (3, 3));
    }
}

#[tokio::test]
async fn a_lease_whose_dispatcher_died_before_starting_it_is_started_by_the_next() {
    let bench = Bench::new().await;
    let run = bench.planned("u1", 7).await;
    let lease = bench.lease(&run, first_launch(&[0, 1, 2])).await;
    wake(&bench).await;
    let started = executions(&bench).await;
    assert_eq!((started.len(), started[0].tasks.len()), (1, 3));
    assert_eq!(bench.pool().await.leases, [Lease { execution: Some(started[0].name.clone()), ..lease }]);
}

#[tokio::test]
async fn an_execution_whose_dispatcher_died_before_noting_it_is_found_and_not_started_again() {
    let bench = Bench::new().await;
    let run = bench.planned("u1", 7).await;
    let lease = bench.lease(&run, first_launch(&[0, 1, 2])).await;
    let execution = bench.world.executions.start(request(&lease)).await.unwrap();
    tokio::join!(wake(&bench), wake(&bench));
    assert_eq!(executions(&bench).await.len(), 1);
    assert_eq!(bench.pool().await.leases[0].execution, Some(execution.clone()));
    assert_eq!(bench.shard(&run, 0).await.execution, Some(execution));
}

#[tokio::test]
async fn a_worker_that_was_faster_than_the_dispatcher_keeps_its_shard() {
    let bench = Bench::new().await;
    let run = bench.planned("u1", 7).await;
    let lease = bench.lease(&run, first_launch(&[0, 1, 2])).await;
    let execution = bench.world.executions.start(request(&lease)).await.unwrap();
    let worker = domain::Worker { execution, task: 0, task_attempt: 0 };
    let now = bench.now();
    let granted = domain::Claim::Granted { attempt: 1 };
    let claimed = bench.change_shard(&run, 0, |shard| shard.claim(&worker, 1, now) == granted).await;
    wake(&bench).await;
    assert_eq!(bench.shard(&run, 0).await, claimed);
    assert_eq!(bench.pool().await.in_use(), 3);
}

#[tokio::test]
async fn a_shard_that_is_done_gives_its_gpu_to_who_waits() {
    let bench = Bench::new().await;
    let run = bench.planned("u1", 7).await;
    wake(&bench).await;
    let other = bench.planned("u2", 7).await;
    wake(&bench).await;
    assert_eq!(bench.run(&other).await.status, Status::Queued);
    bench.claim(&run, 1).await;
    bench.final_report(&run, 1, 1).await;
    shards::refresh(&bench.world, &run.uid, &run.job_id, 1).await.unwrap();
    wake(&bench).await;
    let pool = bench.pool().await;
    assert_eq!((pool.in_use(), bench.run(&other).await.status), (3, Status::Running));
    assert_eq!(pool.leases[0].held, first_launch(&[0, 2]));
}

#[tokio::test]
async fn a_shard_that_was_taken_back_is_handed_to_a_new_execution() {
    let bench = Bench::new().await;
    let run = bench.planned("u1", 7).await;
    wake(&bench).await;
    let now = bench.now();
    bench.change_shard(&run, 1, |shard| shard.take_back(now)).await;
    wake(&bench).await;
    let env: Vec<_> = executions(&bench).await.into_iter().map(|execution| execution.env["SHARDS"].clone()).collect();
    assert_eq!(env.len(), 2);
    assert!(env.contains(&"1:2".to_owned()), "{env:?}");
    assert_eq!((bench.pool().await.in_use(), bench.shard(&run, 1).await.launch), (3, 2));
}

#[tokio::test]
async fn an_expired_lease_whose_execution_is_gone_gives_its_shards_to_another() {
    let bench = Bench::new().await;
    let run = bench.planned("u1", 7).await;
    wake(&bench).await;
    let first = executions(&bench).await.remove(0).name;
    bench.end(&first).await;
    wake(&bench).await;
    assert!(executions(&bench).await.is_empty(), "until the lease runs out it is not looked into");
    bench.wait(8401);
    wake(&bench).await;
    let started = executions(&bench).await;
    assert_eq!((started.len(), started[0].env["SHARDS"].as_str()), (1, "0:2,1:2,2:2"));
    assert_eq!(bench.shard(&run, 0).await.execution, Some(started[0].name.clone()));
    assert_eq!(bench.pool().await.in_use(), 3);
}

#[tokio::test]
async fn an_expired_lease_that_names_no_execution_keeps_the_slots_of_shards_under_way() {
    let bench = Bench::new().await;
    let run = bench.planned("u1", 7).await;
    let lease = bench.lease(&run, first_launch(&[0, 1, 2])).await;
    let execution = bench.world.executions.start(request(&lease)).await.unwrap();
    let now = bench.now();
    for shard in [0, 2] {
        let worker = domain::Worker { execution: execution.clone(), task: shard, task_attempt: 0 };
        let granted = domain::Claim::Granted { attempt: 1 };
        bench.change_shard(&run, shard, |shard| shard.claim(&worker, 1, now) == granted).await;
    }
    bench.wait(8401);
    wake(&bench).await;
    let pool = bench.pool().await;
    assert_eq!((pool.in_use(), pool.leases[0].held.clone()), (3, first_launch(&[0, 2])));
    assert_eq!(pool.leases[0].execution, Some(execution));
}

#[tokio::test]
async fn an_expired_lease_whose_execution_runs_on_gets_more_time() {
    let bench = Bench::new().await;
    let run = bench.planned("u1", 7).await;
    wake(&bench).await;
    let before = (executions(&bench).await, bench.shard(&run, 0).await);
    bench.wait(8401);
    wake(&bench).await;
    assert_eq!((executions(&bench).await, bench.shard(&run, 0).await), before);
    assert_eq!(bench.pool().await.leases[0].expires_at, bench.now().plus_seconds(3600));
}

#[tokio::test]
async fn a_purged_run_leaves_no_lease_behind() {
    let bench = Bench::new().await;
    let run = bench.planned("u1", 7).await;
    wake(&bench).await;
    let gone = platform::Write::Delete { path: places::job(&run.uid, &run.job_id), version: None };
    bench.world.docs.commit(vec![gone]).await.unwrap();
    wake(&bench).await;
    let execution = executions(&bench).await.remove(0);
    assert!(bench.pool().await.leases.is_empty() && execution.cancelled);
    let state = bench.world.executions.describe(&execution.name).await.unwrap().unwrap().state;
    assert_eq!(state, ExecutionState::Running, "stopping takes a while");
}

#[tokio::test]
async fn a_lease_that_cannot_be_looked_into_keeps_no_other_waiting() {
    let bench = Bench::with(|settings| settings.gpu_capacity = 4).await;
    let (broken, first) = (bench.planned("u1", 2).await, bench.planned("u2", 2).await);
    wake(&bench).await;
    assert_eq!(bench.pool().await.in_use(), 4);
    let shard = places::shard(&broken.uid, &broken.job_id, 0);
    let body = bench.world.docs.get::<serde_json::Value>(&shard).await.unwrap();
    let unreadable = Versioned { value: serde_json::json!({"state": "pending"}), ..body };
    bench.world.docs.replace(&unreadable).await.unwrap();
    cancel(&bench, &first).await;
    let next = bench.planned("u2", 2).await;
    assert_eq!(bench.tell(FUNCTION, waking()).await, StatusCode::INTERNAL_SERVER_ERROR, "the error is told");
    assert_eq!(bench.run(&next).await.status, Status::Running);
    let pool = bench.pool().await;
    let of = |run: &Run| pool.leases.iter().filter(|lease| lease.job_id == run.job_id).count();
    assert_eq!((of(&broken), of(&first), of(&next), pool.in_use()), (1, 0, 1, 4));
}

#[tokio::test]
async fn a_stopped_run_whose_input_is_gone_keeps_no_other_waiting() {
    let bench = Bench::new().await;
    let broken = bench.planned("u1", 2).await;
    let reason = domain::RunError::new("over_budget", "too dear");
    bench.change(&broken, |run| run.stop(reason.clone())).await;
    let input = places::shard_input(&broken.uid, &broken.job_id, 0).unwrap();
    bench.world.blobs.delete(&input).await.unwrap();
    bench.wait(1);
    let other = bench.planned("u2", 2).await;
    assert_eq!(bench.tell(FUNCTION, waking()).await, StatusCode::NOT_FOUND);
    assert_eq!(bench.run(&other).await.status, Status::Running);
}

#[tokio::test]
async fn what_is_no_message_is_refused() {
    let bench = Bench::new().await;
    let request = Request::post("/").body(Body::from("{}")).unwrap();
    assert_eq!(post_event(served(FUNCTION, &bench.world), request).await, StatusCode::BAD_REQUEST);
    assert_eq!(bench.tell(FUNCTION, push(&serde_json::json!("text"))).await, StatusCode::BAD_REQUEST);
}
