//! The runs that have not ended, and which of them should have moved on.

use crate::{World, places};
use domain::{Run, Status, Timestamp};
use futures::{Stream, StreamExt, TryStreamExt, stream};
use platform::{Cursor, Direction, Docs, Error, Query, Result, Versioned};
use serde_json::{Value, json};

/// Runs that one query reads.
const PAGE: u32 = 200;
/// A worker reports at least every five minutes; twice that without a word is silence, in seconds.
const QUIET_SECONDS: f64 = 600.0;

/// Every run that has not ended, the oldest of each status first. One that cannot be read is left out, and logged.
pub fn unfinished(docs: &Docs) -> impl Stream<Item = Result<Run>> + Send + use<> {
    let of_status =
        [Status::Queued, Status::Running, Status::Aggregating].map(|status| of_status(docs.clone(), status));
    stream::iter(of_status).flatten()
}

fn of_status(docs: Docs, status: Status) -> impl Stream<Item = Result<Run>> + Send {
    let page = move |after: Option<Option<Cursor>>| {
        let docs = docs.clone();
        async move {
            let Some(after) = after else { return Ok(None) };
            let of_status = Query::group(places::JOBS).equals("status", json!(status));
            let oldest = of_status.order_by("created_at", Direction::Ascending).after(after).limit(PAGE);
            let page = docs.query::<Value>(&oldest).await?;
            let last = page.last().filter(|_| page.len() == PAGE as usize);
            let cursor = |last: &Versioned<Value>| {
                Some(Cursor { value: last.value.get("created_at").cloned(), path: last.path.clone() })
            };
            let next = last.map(cursor);
            let runs = page.into_iter().filter_map(read).map(Ok::<_, Error>).collect::<Vec<_>>();
            Ok::<_, Error>(Some((stream::iter(runs), next)))
        }
    };
    stream::try_unfold(Some(None), page).try_flatten()
}

fn read(document: Versioned<Value>) -> Option<Run> {
    let read = serde_json::from_value(document.value);
    read.inspect_err(|error| tracing::error!(document = %document.path, %error, "a run cannot be read")).ok()
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
