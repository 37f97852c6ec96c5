//! What is done about a run that does not move on. A lost event is told again by touching the document; shards are
//! rebuilt from the reports bucket; an execution that is gone loses its shards; what does not help for an hour ends as
//! a failed run that says so. All of it may be done at any time, by several at once, to a run that is well: then it
//! changes nothing.

use super::{
    shards::{evaluate, lost, refresh},
    silence::{is_silent, unfinished},
    update,
};
use crate::{World, chain, places};
use domain::{
    Lease, Pool, Repair, RepairKind, Repairs, Run, RunError, Shard, ShardState, Status, Timestamp,
    safeguard::{Safeguard, holds},
};
use futures::TryStreamExt;
use platform::{Error, Query, Result, Versioned};
use serde_json::json;
use std::pin::pin;

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
    let of_leases = look_into_leases(world, &mut done).await;
    let of_runs = look_into_silent(world, now, &mut done).await;
    note(world, done.clone()).await?;
    of_leases.and(of_runs).map(|()| done)
}

async fn look_into_silent(world: &World, now: Timestamp, done: &mut Vec<Repair>) -> Result<()> {
    let mut unfinished = pin!(unfinished(&world.docs));
    while let Some(run) = unfinished.try_next().await? {
        if is_silent(world, &run, now)
            && let Err(error) = look_into(world, &run, now, 1, done).await
        {
            // One run that cannot be helped neither keeps the others waiting nor stays for ever; an outage is not its
            // fault.
            tracing::error!(job.id = %run.job_id, error = %chain(&error), "a silent run cannot be helped");
            if !matches!(error, Error::Unavailable { .. }) {
                done.extend(nudge(world, &run, now, 1).await?);
            }
        }
    }
    Ok(())
}

/// Looks into one run, silent or not, and says what was done. However often that is asked for, no run is given up for it.
pub async fn repair(world: &World, run: &Run) -> Result<Vec<Repair>> {
    let now = Timestamp::from(world.clock.now());
    let mut done = vec![];
    let pool = world.docs.find::<Pool>(&places::pool()).await?.map(|pool| pool.value).unwrap_or_default();
    for lease in pool.leases.iter().filter(|lease| lease.job_id == run.job_id && lease.uid == run.uid) {
        look_into_lease(world, lease, &mut done).await?;
    }
    look_into(world, run, now, 0, &mut done).await?;
    note(world, done.clone()).await?;
    Ok(done)
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

/// To tell of the run again counts as so many `times`.
async fn look_into(world: &World, run: &Run, now: Timestamp, times: u32, done: &mut Vec<Repair>) -> Result<()> {
    if awaited(run).is_some() {
        done.extend(nudge(world, run, now, times).await?);
        return Ok(());
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

/// An event of this run could not be processed, however often `subscription` sent it. Where that is what the run waits
/// for, it is sent once more from the beginning; when that ends the same way, the run ends as failed and says why. The
/// `letter` is counted once, however often it arrives.
pub async fn set_aside(
    world: &World,
    run: &Run,
    letter: &str,
    subscription: &str,
    reason: &str,
) -> Result<Option<RepairKind>> {
    let counts = |run: &mut Run| {
        let awaited = awaited(run).is_some_and(|function| subscription.contains(function));
        awaited && run.letter.replace(letter.to_owned()).as_deref() != Some(letter)
    };
    let told = tell_again(world, run, DEAD_LETTER_NUDGES, RunError::new("unprocessable", reason), counts).await?;
    let kind = told.as_ref().map(|told| told.kind);
    note(world, told.into_iter().collect()).await?;
    Ok(kind)
}

/// The function that is to move the run on, where it is one that hears of its document.
fn awaited(run: &Run) -> Option<&'static str> {
    let planned = run.plan.as_ref().is_some_and(|plan| plan.ready);
    match run.status {
        Status::Queued if !planned => Some("plan-run"),
        Status::Aggregating => Some("aggregate-run"),
        _ => None,
    }
}

/// Tells of a run again that has been silent since it was read; it counts as so many `times`.
async fn nudge(world: &World, run: &Run, now: Timestamp, times: u32) -> Result<Option<Repair>> {
    let message = format!("the run stood in {} and did not move on", run.status.as_str());
    let stands = |now_is: &mut Run| {
        (now_is.status, now_is.progress_at) == (run.status, run.progress_at) && is_silent(world, now_is, now)
    };
    tell_again(world, run, times, RunError::new("stuck", &message), stands).await
}

/// Touches the document, if it `may` be, so that the event which was lost, or whose handler failed, is sent again. What
/// was told too often ends with the error.
async fn tell_again(
    world: &World,
    run: &Run,
    times: u32,
    error: RunError,
    may: impl Fn(&mut Run) -> bool,
) -> Result<Option<Repair>> {
    let now = Timestamp::from(world.clock.now());
    let mut kind = None;
    let change = |run: &mut Run| {
        kind = may(run).then_some(RepairKind::ToldAgain);
        if kind.is_none() {
            return false;
        }
        run.nudges += times;
        run.progress_at = now;
        if run.nudges > MAX_NUDGES {
            kind = Some(RepairKind::GivenUp);
            run.fail(error.clone(), now);
        }
        true
    };
    update(&world.docs, &run.uid, &run.job_id, change).await?;
    Ok(kind.map(|kind| repaired(run, now, kind, error.message)))
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
