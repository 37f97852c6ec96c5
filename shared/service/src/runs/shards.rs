//! Shards and their reports: taking news over, seeing that a run is done, giving a lost shard to another worker. All of
//! it may be called again at any time, by anybody, in any order: documents are compared and set, and the objects in
//! the reports bucket are the truth they can be rebuilt from.

use super::{
    replace,
    reports::{earlier_outcomes, newest},
    update,
};
use crate::{World, places};
use domain::{
    Item, ItemError, JobId, MAX_LAUNCHES, Outcome, Price, RepairKind, Report, Run, Shard, ShardState, Status,
    Timestamp, Uid,
    safeguard::{Safeguard, holds},
};
use futures::{Stream, StreamExt, TryStreamExt, stream};
use platform::{Blobs, Cursor, Docs, Error, Message, Number, PutOptions, Query, Result, Versioned};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;

/// The most the items of a shard may weigh.
const INPUT_LIMIT: u64 = 32 * 1024 * 1024;
/// Progress is written at most this often, in seconds; Firestore takes about one write a second to a document.
const PROGRESS_EVERY: f64 = 1.0;
/// Waiting shards of a stopped run that are closed in one call, and shards that are closed side by side.
const CLOSED_AT_ONCE: u32 = 200;
const SIDE_BY_SIDE: usize = 16;
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
async fn has_ended(world: &World, uid: &Uid, job: &JobId) -> Result<bool> {
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
    let done = Query::collection(places::shards(uid, job)).equals("done", true);
    let all_done = world.docs.count(&done).await? == u64::from(plan.all_shards());
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
async fn close(world: &World, uid: &Uid, job: &JobId, shard: &Shard, error: &ItemError) -> Result<()> {
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
