//! Leases: given back when their shards have ended, and turned into executions.

use crate::budget;
use domain::{
    Lease, LeasedShard, Pool, Run, Shard, ShardState, Timestamp,
    safeguard::{Safeguard, holds},
};
use platform::{Docs, ExecutionState, StartRequest};
use service::{
    Result, World, chain, places,
    runs::{self, closing::close_open, shards},
};
use std::collections::{BTreeMap, BTreeSet};

/// Gives back every slot whose shard no longer needs it, stops executions of runs that ended or have come to cost what
/// they may, and looks into leases that ran out. A lease that cannot be looked into stays as it is and keeps no other
/// waiting; the first error is told at the end.
pub async fn release(world: &World, pool: &mut Pool) -> Result<()> {
    let (mut outcome, mut stopped) = (Ok(()), BTreeSet::new());
    for lease in &mut pool.leases {
        let before = lease.clone();
        match look_into(world, lease).await {
            Ok(true) => drop(stopped.insert((before.uid, before.job_id))),
            Ok(false) => {}
            Err(error) => {
                tracing::error!(job.id = %lease.job_id, error = %chain(&error), "a lease cannot be looked into");
                *lease = before;
                outcome = outcome.and(Err(error));
            }
        }
    }
    pool.leases.retain(|lease| !lease.held.is_empty());
    for (uid, job_id) in stopped.iter().filter(|(_, job_id)| pool.held_by(job_id).next().is_none()) {
        // What stays open is closed when it is the run's turn.
        if let Err(error) = close_open(world, uid, job_id).await {
            tracing::error!(job.id = %job_id, error = %chain(&error), "a stopped run could not be closed");
            outcome = outcome.and(Err(error.into()));
        }
    }
    outcome
}

/// True where the lease was one of a run that was stopped, and nothing of it is at work any more.
async fn look_into(world: &World, lease: &mut Lease) -> Result<bool> {
    let run = world.docs.find::<Run>(&places::job(&lease.uid, &lease.job_id)).await?;
    let run = run.map(|run| run.value).filter(|run| !run.status.is_final());
    let ended = match &run {
        Some(run) => budget::is_stopped(world, run).await?,
        None => true,
    };
    if ended {
        return end(world, lease, run.is_some()).await;
    }
    if Timestamp::from(world.clock.now()) > lease.expires_at && holds(Safeguard::LeaseExpiry) {
        expired(world, lease).await?;
    }
    let mut held = vec![];
    for leased in &lease.held {
        if still_held(&world.docs, lease, *leased).await? {
            held.push(*leased);
        }
    }
    lease.held = held;
    Ok(false)
}

/// Stops what the lease has at work. The slots of a run that ended are free as soon as that was asked for; those of one
/// that was `stopped` and goes on to its results, once its workers have said their last words, which count. True then.
async fn end(world: &World, lease: &mut Lease, stopped: bool) -> Result<bool> {
    if let Some(execution) = lease.execution.as_ref().filter(|_| holds(Safeguard::CancelStops)) {
        world.executions.cancel(execution).await?;
    }
    if stopped && is_at_work(world, lease).await? {
        return Ok(false);
    }
    lease.held.clear();
    Ok(stopped)
}

/// True while tasks of the lease may be at work. One that names no execution was started if a shard of it is under way:
/// its name is found again by its claim, and noted, before the next look.
async fn is_at_work(world: &World, lease: &Lease) -> Result<bool> {
    match &lease.execution {
        Some(name) => {
            let execution = world.executions.describe(name).await?;
            Ok(execution.is_some_and(|execution| execution.state == ExecutionState::Running))
        }
        None => Ok(!held_under_way(&world.docs, lease).await?.is_empty()),
    }
}

/// True while the shard's launch of this lease may still be at work.
async fn still_held(docs: &Docs, lease: &Lease, leased: LeasedShard) -> Result<bool> {
    let shard = docs.find::<Shard>(&places::shard(&lease.uid, &lease.job_id, leased.shard)).await?;
    let before_launch =
        |shard: &Shard| !shard.done && shard.launch + 1 == leased.launch && shard.state == ShardState::Pending;
    Ok(shard.is_some_and(|shard| before_launch(&shard.value) || under_way(&shard.value, leased)))
}

/// Those of the lease's shards whose launch was begun and has not ended.
async fn held_under_way(docs: &Docs, lease: &Lease) -> Result<Vec<LeasedShard>> {
    let mut found = vec![];
    for leased in &lease.held {
        let shard = docs.find::<Shard>(&places::shard(&lease.uid, &lease.job_id, leased.shard)).await?;
        found.extend(shard.is_some_and(|shard| under_way(&shard.value, *leased)).then_some(*leased));
    }
    Ok(found)
}

/// True where this launch of the shard was begun and has not ended.
fn under_way(shard: &Shard, leased: LeasedShard) -> bool {
    !shard.done && shard.launch == leased.launch && shard.state != ShardState::Pending
}

/// An execution that runs on gets more time; one that is gone loses its shards.
async fn expired(world: &World, lease: &mut Lease) -> Result<()> {
    let execution = match &lease.execution {
        Some(name) => world.executions.describe(name).await?,
        // What could not be started for so long gives the slots of shards that still wait back. Where one is under way,
        // it was started, and whoever did it is slow to say so or died.
        None => {
            lease.held = held_under_way(&world.docs, lease).await?;
            return Ok(());
        }
    };
    if execution.is_some_and(|execution| execution.state == ExecutionState::Running) {
        lease.expires_at = Timestamp::from(world.clock.now()).plus_seconds(world.settings.task_limit.as_secs());
        return Ok(());
    }
    for leased in &lease.held {
        let reason = "its execution ended without a word";
        shards::lost(world, &lease.uid, &lease.job_id, leased.shard, leased.launch, reason).await?;
    }
    Ok(())
}

/// Starts an execution for every lease that has none. One that cannot be started keeps no other waiting; the first
/// error is told at the end, so that the waking is repeated.
pub async fn start_all(world: &World) -> Result<()> {
    let Some(pool) = world.docs.find::<Pool>(&places::pool()).await? else { return Ok(()) };
    let mut outcome = Ok(());
    for lease in pool.value.leases.iter().filter(|lease| lease.execution.is_none()) {
        let started = match start(world, lease).await {
            Ok(execution) => note(&world.docs, &lease.id, &execution).await,
            Err(error) => Err(error),
        };
        outcome = outcome.and(started);
    }
    outcome
}

/// Writes down at once which execution a lease has: what ends it is found by that name.
async fn note(docs: &Docs, lease_id: &str, execution: &str) -> Result<()> {
    loop {
        let mut pool = docs.get::<Pool>(&places::pool()).await?;
        let Some(lease) = pool.value.leases.iter_mut().find(|lease| lease.id == lease_id) else { return Ok(()) };
        lease.execution = Some(execution.to_owned());
        match docs.replace(&pool).await {
            Err(error) if error.is_race() => continue,
            outcome => return Ok(outcome?),
        }
    }
}

async fn start(world: &World, lease: &Lease) -> Result<String> {
    let tasks: Vec<_> = lease.tasks.iter().map(|task| format!("{}:{}", task.shard, task.launch)).collect();
    let limit = world.settings.task_limit;
    let run = world.docs.find::<Run>(&places::job(&lease.uid, &lease.job_id)).await?;
    let mut env = BTreeMap::from([
        ("RUN".to_owned(), format!("{}/{}", lease.uid, lease.job_id)),
        ("SHARDS".to_owned(), tasks.join(",")),
        ("TASK_SECONDS".to_owned(), limit.as_secs().to_string()),
    ]);
    // The execution belongs to the trace of its run, not to that of whoever woke the dispatcher.
    env.extend(run.and_then(|run| run.value.traceparent).map(|trace| ("TRACEPARENT".to_owned(), trace)));
    let request = StartRequest {
        job: places::WORKER_JOB.to_owned(),
        claim: lease.id.clone(),
        env,
        tasks: lease.tasks.len() as u32,
        timeout: limit,
    };
    let execution = world.executions.start(request).await?;
    let now = Timestamp::from(world.clock.now());
    for task in &lease.tasks {
        launch(&world.docs, lease, *task, &execution, now).await?;
    }
    runs::update(&world.docs, &lease.uid, &lease.job_id, |run| run.start(now)).await?;
    tracing::info!(job.id = %lease.job_id, execution, tasks = tasks.len(), "execution started");
    Ok(execution)
}

/// Notes on the shard which execution it was handed to; a worker that was faster has noted it already.
async fn launch(docs: &Docs, lease: &Lease, task: LeasedShard, execution: &str, now: Timestamp) -> Result<()> {
    loop {
        let path = places::shard(&lease.uid, &lease.job_id, task.shard);
        let Some(mut shard) = docs.find::<Shard>(&path).await? else { return Ok(()) };
        if !shard.value.launch(task.launch, execution, now) {
            return Ok(());
        }
        match docs.replace(&shard).await {
            Err(error) if error.is_race() => continue,
            outcome => return Ok(outcome?),
        }
    }
}
