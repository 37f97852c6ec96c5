//! The end of a run at its owner's wish: stopping it, and later removing what it left.

use super::{again, find, quota::Known, reuse, screen, shards, update};
use crate::{Caller, Problem, World, places};
use domain::{JobId, Plan, Run, Shard, ShardState, Source, Status, Uid};
use futures::StreamExt;
use platform::{Blobs, Query, Write};
use serde::Deserialize;
use serde_json::json;
use utoipa::IntoParams;

const PAGE: u32 = 400;
/// Objects deleted at once.
const SIDE_BY_SIDE: usize = 32;

#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DeleteQuery {
    /// Deletes the data of a run that has ended.
    #[serde(default)]
    pub purge: bool,
}

/// Cancels a run that has not ended, whose partial results stay readable, and gives it back; or, with `purge`, removes
/// one that has and gives back `None`. Cancelling twice is no error.
pub async fn cancel_or_purge(world: &World, caller: &Caller, id: &JobId, purge: bool) -> Result<Option<Run>, Problem> {
    let run = find(&world.docs, caller, id).await?.value;
    if purge {
        if !run.status.is_final() {
            return Err(Problem::conflict("the run has not ended: cancel it first, then purge it"));
        }
        return remove(world, &run).await.map(|()| None);
    }
    let now = world.clock.now().into();
    let run = update(&world.docs, &caller.uid, id, |run| run.cancel(now)).await?;
    let run = run.ok_or_else(|| Problem::not_found(id.as_str()))?.value;
    if run.status != Status::Cancelled {
        return Err(Problem::conflict("the run has ended; ?purge=true deletes its data"));
    }
    shards::wake_dispatcher(world).await?;
    Ok(Some(run))
}

/// Removes objects, then shards, then the run itself: what is interrupted can be asked for again. Then once more what
/// a worker wrote meanwhile; what it writes later is removed when its report arrives.
async fn remove(world: &World, run: &Run) -> Result<(), Problem> {
    if let Source::Upload(name) = &run.source {
        // Without its library, no later event of the folder starts the screen again; a newer upload of the name stays.
        let library = places::own_upload(&run.uid, name)?;
        let own = |generation| screen::job_id(&library, generation).is_ok_and(|id| id == run.job_id);
        if world.blobs.head(&library).await?.is_some_and(|meta| own(meta.generation)) {
            world.blobs.delete(&library).await?;
        }
    }
    reuse::withdraw(&world.blobs, &run.uid, &run.job_id, run.question.as_deref()).await?;
    charge_unheard(world, run).await?;
    remove_shards(world, &run.uid, &run.job_id).await?;
    forget(world, run).await?;
    remove_objects(&world.blobs, &run.uid, &run.job_id).await?;
    tracing::info!(job.id = %run.job_id, "run purged");
    Ok(())
}

/// Charges a cancelled run with what its workers had not told of when it ended: their last words will find no run.
async fn charge_unheard(world: &World, run: &Run) -> platform::Result<()> {
    let end = run.completed_at.unwrap_or(run.progress_at);
    let planned = run.plan.as_ref().map_or(0.0, Plan::shard_seconds);
    let mut seconds = 0.0;
    for state in [ShardState::Launched, ShardState::Running] {
        let shards = Query::collection(places::shards(&run.uid, &run.job_id)).equals("state", json!(state));
        let shards = world.docs.query::<Shard>(&shards).await?;
        seconds += shards.iter().map(|shard| shard.value.unheard(end, planned)).sum::<f64>();
    }
    if seconds > 0.0 {
        update(&world.docs, &run.uid, &run.job_id, |run| run.charge_unheard(seconds)).await?;
    }
    Ok(())
}

/// Removes the document of a run, and notes that its objects are to be looked for once more. What the run had cost stays
/// counted: purging it gives no budget back.
async fn forget(world: &World, run: &Run) -> platform::Result<()> {
    let path = places::job(&run.uid, &run.job_id);
    while let Some(run) = world.docs.find::<Run>(&path).await? {
        let mut known = Known::read(&world.docs, &run.value.uid).await?;
        known.account.value.keep(&run.value);
        let delete = Write::Delete { path: path.clone(), version: Some(run.version) };
        let note = again::purged(world, &run.value)?;
        match world.docs.commit(vec![known.write()?, delete, note]).await {
            Err(error) if error.is_race() => continue,
            outcome => return outcome,
        }
    }
    Ok(())
}

/// Removes the shards of a run, their objects first.
pub async fn remove_shards(world: &World, uid: &Uid, job: &JobId) -> platform::Result<()> {
    remove_objects(&world.blobs, uid, job).await?;
    loop {
        let page = Query::collection(places::shards(uid, job)).limit(PAGE);
        let page = world.docs.query::<Shard>(&page).await?;
        if page.is_empty() {
            return Ok(());
        }
        let deletes = page.into_iter().map(|shard| Write::Delete { path: shard.path, version: None });
        world.docs.commit(deletes.collect()).await?;
    }
}

/// Removes every object of a run.
pub async fn remove_objects(blobs: &Blobs, uid: &Uid, job: &JobId) -> platform::Result<()> {
    for bucket in [places::ARTIFACTS, places::REPORTS] {
        remove_from(bucket, blobs, uid, job).await?;
    }
    Ok(())
}

/// Removes the objects of a run from one of the buckets.
pub(super) async fn remove_from(bucket: &str, blobs: &Blobs, uid: &Uid, job: &JobId) -> platform::Result<()> {
    let prefix = places::run_prefix(uid, job);
    loop {
        let page = blobs.list(bucket, &prefix, None, PAGE).await?;
        if page.is_empty() {
            return Ok(());
        }
        let deletes: Vec<_> = page.iter().map(|object| blobs.delete(&object.path)).collect();
        let mut deletes = futures::stream::iter(deletes).buffer_unordered(SIDE_BY_SIDE);
        while let Some(deleted) = deletes.next().await {
            deleted?;
        }
    }
}
