//! What is done about a run that does not move on. A lost event is told again by touching the document; shards are
//! rebuilt from the reports bucket; an execution that is gone loses its shards; what does not help for an hour ends as
//! a failed run that says so. All of it may be done at any time, by several at once, to a run that is well: then it
//! changes nothing.

use super::{
    shards::{evaluate, lost, refresh},
    update,
};
use crate::{World, chain, places};
use domain::{
    Lease, Pool, Repair, RepairKind, Repairs, Run, RunError, Shard, ShardState, Status, Timestamp,
    safeguard::{Safeguard, holds},
};
use platform::{Direction, Error, Query, Result, Versioned};
use serde_json::json;

/// Runs of one status looked at in one sweep, the oldest first.
const RUNS_SEEN: u32 = 500;
/// A worker reports at least every five minutes; twice that without a word is silence, in seconds.
const QUIET_SECONDS: f64 = 600.0;
/// So often a document is touched before its run is given up: with a sweep a minute, an hour.
pub const MAX_NUDGES: u32 = 60;
/// A dead letter stands for many attempts: the second one of a run that has not moved since is the last.
const DEAD_LETTER_NUDGES: u32 = MAX_NUDGES / 2 + 1;
/// So often the list of repairs is written again where others write it too.
const TRIES: u32 = 5;

/// Looks into every lease, and into every run that has been silent for a while; what was done.
pub async fn sweep(world: &World) -> Result<Vec<Repair>> {
    if !holds(Safeguard::Reconciler) {
        return Ok(vec![]);
    }
    let now = Timestamp::from(world.clock.now());
    let mut done = vec![];
    look_into_leases(world, &mut done).await?;
    for run in unfinished(world).await? {
        if is_silent(world, &run, now)
            && let Err(error) = look_into(world, &run, now, &mut done).await
        {
            // One run that cannot be helped neither keeps the others waiting nor stays for ever; an outage is not its
            // fault.
            tracing::error!(job.id = %run.job_id, error = %chain(&error), "a silent run cannot be helped");
            if !matches!(error, Error::Unavailable { .. }) {
                nudge(world, &run, now, &mut done).await?;
            }
        }
    }
    note(world, done.clone()).await?;
    Ok(done)
}

/// Looks into one run, silent or not, and says what was done.
pub async fn repair(world: &World, run: &Run) -> Result<Vec<Repair>> {
    let now = Timestamp::from(world.clock.now());
    let mut done = vec![];
    let pool = world.docs.find::<Pool>(&places::pool()).await?.map(|pool| pool.value).unwrap_or_default();
    for lease in pool.leases.iter().filter(|lease| lease.job_id == run.job_id && lease.uid == run.uid) {
        look_into_lease(world, lease, &mut done).await?;
    }
    look_into(world, run, now, &mut done).await?;
    note(world, done.clone()).await?;
    Ok(done)
}

/// The runs that have not ended, the oldest of each status first.
pub async fn unfinished(world: &World) -> Result<Vec<Run>> {
    let mut runs = vec![];
    for status in [Status::Queued, Status::Running, Status::Aggregating] {
        let of_status = Query::group(places::JOBS).equals("status", json!(status));
        let oldest = of_status.order_by("created_at", Direction::Ascending).limit(RUNS_SEEN);
        runs.extend(world.docs.readable::<Run>(&oldest).await?.into_iter().map(|run| run.value));
    }
    Ok(runs)
}

/// True where there was no news of the run for longer than there should be. Nobody is stuck who waits for a GPU, or
/// whose results are being written.
pub fn is_silent(world: &World, run: &Run, now: Timestamp) -> bool {
    let busy = run.aggregation.is_some_and(|turn| turn.until > now);
    !busy && now.seconds_since(run.progress_at) >= world.settings.stuck_after.as_secs_f64()
}

/// Why a run does not move on, in words for an operator; `None` where it does, or waits for a GPU while none is free.
pub fn stuck(world: &World, run: &Run, free_gpus: u32, now: Timestamp) -> Option<&'static str> {
    let planned = run.plan.as_ref().is_some_and(|plan| plan.ready);
    let silence = now.seconds_since(run.progress_at);
    match run.status {
        _ if !is_silent(world, run, now) => None,
        Status::Queued if !planned => Some("its shards are not written: the event was lost, or planning fails"),
        Status::Queued if free_gpus > 0 => Some("GPUs are free and the dispatcher has not started it"),
        Status::Running if silence >= QUIET_SECONDS => Some("no worker has reported"),
        Status::Aggregating => Some("its results are not written: the event was lost, or writing them fails"),
        _ => None,
    }
}

/// Executions that ended unheard give their shards back, also in a run that others keep busy.
async fn look_into_leases(world: &World, done: &mut Vec<Repair>) -> Result<()> {
    let pool = world.docs.find::<Pool>(&places::pool()).await?.map(|pool| pool.value).unwrap_or_default();
    for lease in &pool.leases {
        if let Err(error) = look_into_lease(world, lease, done).await {
            tracing::error!(job.id = %lease.job_id, error = %chain(&error), "a lease cannot be looked into");
        }
    }
    Ok(())
}

async fn look_into_lease(world: &World, lease: &Lease, done: &mut Vec<Repair>) -> Result<()> {
    let Some(execution) = &lease.execution else { return Ok(()) };
    let Some(reason) = gone(world, execution).await? else { return Ok(()) };
    let mut outcome = Ok(());
    for held in &lease.held {
        match lost(world, &lease.uid, &lease.job_id, held.shard, held.launch, reason).await {
            Ok(kind) => done.extend(kind.map(|kind| Repair {
                at: world.clock.now().into(),
                uid: lease.uid.clone(),
                job_id: lease.job_id.clone(),
                kind,
                reason: format!("shard {}: {reason}", held.shard),
            })),
            Err(error) => outcome = Err(error),
        }
    }
    outcome
}

/// Why an execution works on nothing any more; `None` while it may.
async fn gone(world: &World, execution: &str) -> Result<Option<&'static str>> {
    Ok(match world.executions.describe(execution).await? {
        _ if !holds(Safeguard::LeaseExpiry) => None,
        Some(execution) if execution.completed_at.is_none() => None,
        Some(_) => Some("its execution ended"),
        None => Some("its execution is unknown"),
    })
}

async fn look_into(world: &World, run: &Run, now: Timestamp, done: &mut Vec<Repair>) -> Result<()> {
    let planned = run.plan.as_ref().is_some_and(|plan| plan.ready);
    if run.status == Status::Aggregating || !planned {
        return nudge(world, run, now, done).await;
    }
    for state in [ShardState::Launched, ShardState::Running] {
        let handed_out = Query::collection(places::shards(&run.uid, &run.job_id)).equals("state", json!(state));
        for shard in world.docs.query::<Shard>(&handed_out).await? {
            mend(world, run, shard.value, done).await?;
        }
    }
    let moved = evaluate(world, &run.uid, &run.job_id).await?;
    done.extend(moved.then(|| repaired(run, now, RepairKind::Counted, "every shard had ended".into())));
    Ok(())
}

/// Takes over what the shard's worker reported; if its execution is gone, gives the shard to another one.
async fn mend(world: &World, run: &Run, known: Shard, done: &mut Vec<Repair>) -> Result<()> {
    let now = Timestamp::from(world.clock.now());
    let Some(shard) = refresh(world, &run.uid, &run.job_id, known.shard).await? else { return Ok(()) };
    if shard.attempt == known.attempt && shard.seq > known.seq {
        let reason = format!("shard {}: report {} of attempt {}", shard.shard, shard.seq, shard.attempt);
        done.push(repaired(run, now, RepairKind::ReportFound, reason));
    }
    let Some(execution) = shard.execution.as_ref().filter(|_| !shard.done) else { return Ok(()) };
    let Some(reason) = gone(world, execution).await? else { return Ok(()) };
    let kind = lost(world, &run.uid, &run.job_id, shard.shard, shard.launch, reason).await?;
    done.extend(kind.map(|kind| repaired(run, now, kind, format!("shard {}: {reason}", shard.shard))));
    Ok(())
}

/// An event of this run could not be processed, however often it was sent. It is sent once more from the beginning; when
/// that ends the same way, the run ends as failed and says why.
pub async fn set_aside(world: &World, run: &Run, reason: &str) -> Result<Option<RepairKind>> {
    let now = Timestamp::from(world.clock.now());
    let stands = run.status;
    let mut kind = None;
    let change = |run: &mut Run| {
        kind = (run.status == stands && !stands.is_final()).then_some(RepairKind::ToldAgain);
        if kind.is_none() {
            return false;
        }
        run.nudges += DEAD_LETTER_NUDGES;
        run.progress_at = now;
        if run.nudges > MAX_NUDGES {
            kind = Some(RepairKind::GivenUp);
            run.fail(RunError::new("unprocessable", reason), now);
        }
        true
    };
    update(&world.docs, &run.uid, &run.job_id, change).await?;
    note(world, kind.map(|kind| repaired(run, now, kind, reason.to_owned())).into_iter().collect()).await?;
    Ok(kind)
}

/// Touches the document, so that the event which was lost, or whose handler failed, is sent again.
async fn nudge(world: &World, run: &Run, now: Timestamp, done: &mut Vec<Repair>) -> Result<()> {
    let stands = run.status;
    let message = format!("the run stood in {} and did not move on", stands.as_str());
    let mut kind = None;
    let change = |run: &mut Run| {
        let busy = run.aggregation.is_some_and(|turn| turn.until > now);
        kind = (run.status == stands && !busy).then_some(RepairKind::ToldAgain);
        if kind.is_none() {
            return false;
        }
        run.nudges += 1;
        run.progress_at = now;
        if run.nudges > MAX_NUDGES {
            kind = Some(RepairKind::GivenUp);
            run.fail(RunError::new("stuck", &message), now);
        }
        true
    };
    update(&world.docs, &run.uid, &run.job_id, change).await?;
    done.extend(kind.map(|kind| repaired(run, now, kind, message)));
    Ok(())
}

fn repaired(run: &Run, at: Timestamp, kind: RepairKind, reason: String) -> Repair {
    tracing::warn!(job.id = %run.job_id, ?kind, reason, "a run was repaired");
    Repair { at, uid: run.uid.clone(), job_id: run.job_id.clone(), kind, reason }
}

/// Writes down what was done. It is for operators to read: where it cannot be written, the repairs stand all the same.
async fn note(world: &World, done: Vec<Repair>) -> Result<()> {
    if done.is_empty() {
        return Ok(());
    }
    for _ in 0..TRIES {
        let known = world.docs.find::<Repairs>(&places::repairs()).await?;
        let mut repairs = known.as_ref().map(|known| known.value.clone()).unwrap_or_default();
        done.iter().cloned().for_each(|repair| repairs.add(repair));
        let written = match known {
            Some(known) => world.docs.replace(&Versioned { value: repairs, ..known }).await,
            None => world.docs.create(&places::repairs(), &repairs).await,
        };
        match written {
            Err(error) if error.is_race() => continue,
            outcome => return outcome,
        }
    }
    Ok(())
}
