//! Shards and their reports: taking news over, seeing that a run is done, giving a lost shard to another worker. All of
//! it may be called again at any time, by anybody, in any order: documents are compared and set, and the objects in
//! the reports bucket are the truth they can be rebuilt from.

use super::{closing::close, replace, reports::newest, update};
use crate::{World, places};
use domain::{
    Item, ItemError, JobId, MAX_LAUNCHES, Price, RepairKind, Run, Shard, ShardState, Status, Timestamp, Uid,
    safeguard::{Safeguard, holds},
};
use futures::{Stream, TryStreamExt, stream};
use platform::{Blobs, Cursor, Docs, Error, Message, Number, Query, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The most the items of a shard may weigh.
const INPUT_LIMIT: u64 = 32 * 1024 * 1024;
/// Progress is written at most this often, in seconds; Firestore takes about one write a second to a document.
const PROGRESS_EVERY: f64 = 1.0;
/// Documents of shards that one query reads.
const PAGE: u32 = 500;

/// The input object of a shard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShardInput {
    pub shard: u32,
    pub items: Vec<Item>,
}

/// What woke the dispatcher says nothing: it looks at the queue.
pub async fn wake_dispatcher(world: &World) -> Result<()> {
    world.bus.publish(places::DISPATCH, Message { data: b"{}".to_vec(), attributes: BTreeMap::new() }).await
}

/// The items of a shard, as the planner wrote them.
pub async fn input(blobs: &Blobs, uid: &Uid, job: &JobId, shard: u32) -> Result<ShardInput> {
    blobs.get_json(&places::shard_input(uid, job, shard)?, INPUT_LIMIT).await
}

/// The documents of a run's shards, in the order of shards.
pub fn all(docs: &Docs, uid: &Uid, job: &JobId) -> impl Stream<Item = Result<Shard>> + Send + use<> {
    let (docs, collection) = (docs.clone(), places::shards(uid, job));
    let page = move |after: Option<Option<Cursor>>| {
        let (docs, collection) = (docs.clone(), collection.clone());
        async move {
            let Some(after) = after else { return Ok(None) };
            let page = docs.query::<Shard>(&Query::collection(collection).after(after).limit(PAGE)).await?;
            let last = page.last().filter(|_| page.len() == PAGE as usize);
            let next = last.map(|last| Some(Cursor { value: None, path: last.path.clone() }));
            let found = page.into_iter().map(|shard| Ok::<_, Error>(shard.value)).collect::<Vec<_>>();
            Ok::<_, Error>(Some((stream::iter(found), next)))
        }
    };
    stream::try_unfold(Some(None), page).try_flatten()
}

/// Takes over the newest report of the shard's current attempt, if it is news. The shard as it then is.
pub async fn refresh(world: &World, uid: &Uid, job: &JobId, shard: u32) -> Result<Option<Shard>> {
    Ok(take_news(world, uid, job, shard).await?.map(|(shard, _)| shard))
}

/// The same, and whether there was news.
pub async fn take_news(world: &World, uid: &Uid, job: &JobId, shard: u32) -> Result<Option<(Shard, bool)>> {
    let path = places::shard(uid, job, shard);
    loop {
        let Some(mut read) = world.docs.find::<Shard>(&path).await? else { return Ok(None) };
        if read.value.done {
            return Ok(Some((read.value, false)));
        }
        let newest = match newest(&world.blobs, uid, job, &read.value).await {
            Err(Error::NotFound(_)) if has_ended(world, uid, job).await? => None,
            newest => newest?,
        };
        let Some((name, report)) = newest else { return Ok(Some((read.value, false))) };
        if !read.value.accept(&report, &name, world.clock.now().into()) {
            return Ok(Some((read.value, false)));
        }
        match world.docs.replace(&read).await {
            Err(error) if error.is_race() => continue,
            outcome => return outcome.map(|()| Some((read.value, true))),
        }
    }
}

/// True where the run has ended or is gone: objects of it that are missing are being purged.
pub(super) async fn has_ended(world: &World, uid: &Uid, job: &JobId) -> Result<bool> {
    Ok(world.docs.find::<Run>(&places::job(uid, job)).await?.is_none_or(|run| run.value.status.is_final()))
}

/// Moves the run on if all its shards are done; otherwise writes its progress, if that is due. Asked after every report,
/// also after one that was no news: whoever asks last sees the full count. True where the run was moved on.
pub async fn evaluate(world: &World, uid: &Uid, job: &JobId) -> Result<bool> {
    let Some(run) = world.docs.find::<Run>(&places::job(uid, job)).await? else { return Ok(false) };
    if run.value.has_ended_early() {
        return account(world, uid, job).await.map(|()| false);
    }
    let Some(plan) = run.value.plan.clone().filter(|plan| plan.ready) else { return Ok(false) };
    if !matches!(run.value.status, Status::Queued | Status::Running) {
        return Ok(false);
    }
    let now = Timestamp::from(world.clock.now());
    let all_done = are_done(&world.docs, uid, job, plan.all_shards()).await?;
    if !all_done && now.seconds_since(run.value.progress_at) < PROGRESS_EVERY {
        return Ok(false);
    }
    let sums = totals(&world.docs, uid, job).await?;
    if all_done {
        let change = |run: &mut Run| {
            sums.write(run, now);
            run.all_reported(now)
        };
        update(&world.docs, uid, job, change).await?;
        return Ok(true);
    }
    let mut changed = run.value.clone();
    sums.write(&mut changed, now);
    if (changed.progress, changed.cost) == (run.value.progress, run.value.cost) {
        return Ok(false);
    }
    match replace(&world.docs, &run, &mut changed).await {
        Err(error) if error.is_race() => Ok(false),
        outcome => outcome.map(|()| false),
    }
}

/// True where so many shards there are, and all of them are done. They are counted only when none is left that is not:
/// as long as one is, the answer takes as long for ten thousand as for ten.
async fn are_done(docs: &Docs, uid: &Uid, job: &JobId, shards: u32) -> Result<bool> {
    let of_run = Query::collection(places::shards(uid, job));
    if !docs.query::<Shard>(&of_run.clone().equals("done", false).limit(1)).await?.is_empty() {
        return Ok(false);
    }
    Ok(docs.count(&of_run.equals("done", true)).await? == u64::from(shards))
}

/// Writes down what the shards of a run say that ended before they did: workers tell what they did until they stopped.
pub async fn account(world: &World, uid: &Uid, job: &JobId) -> Result<()> {
    let path = places::job(uid, job);
    while let Some(run) = world.docs.find::<Run>(&path).await?.filter(|run| run.value.has_ended_early()) {
        let mut changed = run.value.clone();
        totals(&world.docs, uid, job).await?.write(&mut changed, world.clock.now().into());
        if (changed.progress, changed.cost) == (run.value.progress, run.value.cost) {
            break;
        }
        match replace(&world.docs, &run, &mut changed).await {
            Err(error) if error.is_race() => continue,
            outcome => return outcome,
        }
    }
    Ok(())
}

/// What the shards have said so far, in a name: another one whenever one of them says more.
pub async fn state(docs: &Docs, uid: &Uid, job: &JobId) -> Result<String> {
    let sums = totals(docs, uid, job).await?;
    Ok(format!("{}-{}-{:.0}", sums.completed, sums.failed, sums.gpu_seconds * 1000.0))
}

struct Totals {
    completed: u32,
    failed: u32,
    running: u32,
    gpu_seconds: f64,
}

impl Totals {
    fn write(&self, run: &mut Run, now: Timestamp) {
        run.count(self.completed, self.failed, self.running);
        run.progress_at = now;
        run.cost.gpu_seconds = self.gpu_seconds;
        run.cost.actual_usd = Price::L4_US_CENTRAL1.of(self.gpu_seconds);
        run.charge();
    }
}

async fn totals(docs: &Docs, uid: &Uid, job: &JobId) -> Result<Totals> {
    let shards = Query::collection(places::shards(uid, job));
    let of_all = ["completed", "failed", "gpu_seconds"].map(Number::Sum);
    let [completed, failed, gpu_seconds] = docs.aggregate(&shards, of_all).await?;
    let of_held = ["items", "completed", "failed"].map(Number::Sum);
    let [items, done, lost] = docs.aggregate(&shards.equals("state", "running"), of_held).await?;
    let whole = |value: f64| value as u32;
    Ok(Totals { completed: whole(completed), failed: whole(failed), gpu_seconds, running: whole(items - done - lost) })
}

/// The execution of a shard is gone. What it still reported counts; otherwise the shard waits for another one, or, when
/// it had its share of launches, is closed with what there is: its other items fail with `reason`. What was done, if
/// it was.
pub async fn lost(
    world: &World,
    uid: &Uid,
    job: &JobId,
    shard: u32,
    launch: u32,
    reason: &str,
) -> Result<Option<RepairKind>> {
    let path = places::shard(uid, job, shard);
    loop {
        if refresh(world, uid, job, shard).await?.is_none_or(|shard| shard.done || shard.launch != launch) {
            return Ok(None);
        }
        let Some(mut read) = world.docs.find::<Shard>(&path).await? else { return Ok(None) };
        let held = matches!(read.value.state, ShardState::Launched | ShardState::Running);
        if read.value.done || read.value.launch != launch || !held {
            return Ok(None);
        }
        let now = Timestamp::from(world.clock.now());
        let gives_up = read.value.launch >= MAX_LAUNCHES && holds(Safeguard::ClosingAfterLaunches);
        if gives_up {
            read.value.closing_attempt(now);
        } else {
            read.value.take_back(now);
        }
        match world.docs.replace(&read).await {
            Err(error) if error.is_race() => continue,
            outcome => outcome?,
        }
        tracing::warn!(job.id = %job, shard, launch, reason, gives_up, "shard lost its execution");
        if gives_up {
            let message = format!("the prediction was started {launch} times and never finished: {reason}");
            close(world, uid, job, &read.value, &ItemError::new("worker_lost", message)).await?;
        }
        return Ok(Some(if gives_up { RepairKind::Closed } else { RepairKind::TakenBack }));
    }
}
