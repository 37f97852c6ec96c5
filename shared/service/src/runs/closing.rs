//! Closing shards that no worker is to finish: what their workers told counts, their other items fail.

use super::{
    reports::earlier_outcomes,
    shards::{has_ended, input, refresh},
};
use crate::{World, places};
use domain::{ItemError, JobId, Outcome, Report, Run, Shard, ShardState, Uid};
use futures::{StreamExt, TryStreamExt, stream};
use platform::{Error, PutOptions, Query, Result, Versioned};
use serde_json::json;

/// Waiting shards of a stopped run that are closed in one call, and shards that are closed side by side.
const CLOSED_AT_ONCE: u32 = 200;
const SIDE_BY_SIDE: usize = 16;

/// Closes the shards of a run that was stopped: what their workers told counts, their other items fail for the reason it
/// was stopped. Called when no worker is at work any more: what the system's records still say to be at work, what a call
/// that died has begun, and some of those that wait. The reports of closed shards wake the dispatcher, which calls again.
pub async fn close_open(world: &World, uid: &Uid, job: &JobId) -> Result<()> {
    let run = world.docs.find::<Run>(&places::job(uid, job)).await?.map(|run| run.value);
    let Some(reason) = run.filter(|run| !run.status.is_final()).and_then(|run| run.stopped) else { return Ok(()) };
    let error = ItemError::new(&reason.code, reason.message);
    let all = Query::collection(places::shards(uid, job));
    let mut open = vec![];
    for state in [ShardState::Launched, ShardState::Running] {
        open.extend(world.docs.query::<Shard>(&all.clone().equals("state", json!(state))).await?);
    }
    let pending = all.equals("state", json!(ShardState::Pending)).limit(CLOSED_AT_ONCE);
    open.extend(world.docs.query::<Shard>(&pending).await?);
    let closing = open.into_iter().map(|shard| close_one(world, uid, job, shard, &error));
    stream::iter(closing.collect::<Vec<_>>()).buffer_unordered(SIDE_BY_SIDE).try_collect().await
}

async fn close_one(
    world: &World,
    uid: &Uid,
    job: &JobId,
    mut shard: Versioned<Shard>,
    error: &ItemError,
) -> Result<()> {
    // What a worker said last counts, also if nobody has read it yet: the closing makes it an old attempt's.
    if shard.value.attempt > 0 && !shard.value.is_closing() {
        refresh(world, uid, job, shard.value.shard).await?;
        match world.docs.find::<Shard>(&shard.path).await? {
            Some(read) if !read.value.done => shard = read,
            _ => return Ok(()),
        }
    }
    if !shard.value.is_closing() {
        shard.value.closing_attempt(world.clock.now().into());
        match world.docs.replace(&shard).await {
            // Whoever was faster closes it, or the next call does.
            Err(error) if error.is_race() => return Ok(()),
            outcome => outcome?,
        }
    }
    close(world, uid, job, &shard.value, error).await
}

/// Writes the last report of a shard that no worker is to finish: items without an outcome end with `error`. Of a run
/// that is being purged nothing is written.
pub(super) async fn close(world: &World, uid: &Uid, job: &JobId, shard: &Shard, error: &ItemError) -> Result<()> {
    let items = match input(&world.blobs, uid, job, shard.shard).await {
        Err(Error::NotFound(_)) if has_ended(world, uid, job).await? => return Ok(()),
        input => input?.items,
    };
    let Some(run) = world.docs.find::<Run>(&places::job(uid, job)).await? else { return Ok(()) };
    let mut known = earlier_outcomes(&world.blobs, uid, job, shard.shard).await?;
    let outcomes = items
        .iter()
        .map(|item| {
            let fallback = || Outcome::failed(item.index, error.clone());
            known.remove(&item.index).unwrap_or_else(fallback)
        })
        .collect();
    let report = Report {
        uid: uid.clone(),
        job_id: job.clone(),
        shard: shard.shard,
        attempt: shard.attempt,
        seq: 1,
        last: true,
        outcomes,
        gpu_seconds: 0.0,
        model_version: run.value.model_version,
        written_at: world.clock.now().into(),
        timing: None,
    };
    let path = places::report(uid, job, shard.shard, shard.attempt, 1)?;
    match world.blobs.put_json(&path, &report, PutOptions::default().create_once()).await {
        Err(error) if error.is_race() => Ok(()),
        outcome => outcome.map(|_| ()),
    }
}
