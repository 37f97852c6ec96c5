//! `GET /api/v1/system/status`: are the parts there, and do runs move on?

use axum::{Json, extract::State};
use domain::{DeadLetterRecord, Pool, Repair, RepairKind, Repairs, Run, Shard, Status, Timestamp};
use futures::TryStreamExt;
use platform::{Direction, Query};
use serde::Serialize;
use serde_json::json;
use service::{
    Caller, Function, Refusals, Result, World, chain, places,
    runs::{
        reports::newest,
        silence::{stuck, unfinished},
    },
};
use std::{collections::BTreeMap, pin::pin};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

pub const FUNCTION: Function = Function::http("system-status", router);

/// Completed runs of which the lag is looked at.
const RUNS_MEASURED: u32 = 50;
/// Dead letters that operators are shown.
const LETTERS: u32 = 20;

fn router() -> OpenApiRouter<World> {
    OpenApiRouter::new().routes(routes!(system_status))
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Health {
    Healthy,
    Degraded,
}

/// How the deployment is. Counts are over all users; nobody's run is named.
#[derive(Serialize, ToSchema)]
struct SystemStatus {
    status: Health,
    checked_at: Timestamp,
    components: Vec<Component>,
    /// Null where the documents do not answer.
    completion_monitor: Option<CompletionMonitor>,
    gpus: Gpus,
    /// What names users and their runs: for operators, with a token or a key of the scope `manage`; null for others.
    operator: Option<OperatorView>,
}

/// What an operator needs to see.
#[derive(Serialize, ToSchema)]
struct OperatorView {
    stuck: Vec<StuckRun>,
    /// The latest, the newest first.
    repairs: Vec<Repair>,
    /// The latest, the newest first.
    dead_letters: Vec<DeadLetterRecord>,
    leases: Vec<LeaseView>,
}

/// A run that should have moved on.
#[derive(Serialize, ToSchema)]
struct StuckRun {
    uid: String,
    job_id: String,
    status: Status,
    silent_seconds: f64,
    why: &'static str,
}

/// GPUs in the hands of one execution.
#[derive(Serialize, ToSchema)]
struct LeaseView {
    uid: String,
    job_id: String,
    gpus: u32,
    execution: Option<String>,
    expires_at: Timestamp,
}

#[derive(Serialize, ToSchema)]
struct Component {
    name: &'static str,
    status: Health,
}

/// Whether runs move on.
#[derive(Serialize, ToSchema)]
struct CompletionMonitor {
    queued: u64,
    running: u64,
    aggregating: u64,
    /// Unfinished runs that should have moved on and have not.
    stuck: u64,
    /// Seconds since the last news of the unfinished run that has been silent longest; null where none is unfinished.
    longest_silence_seconds: Option<f64>,
    /// Seconds for which the oldest event has waited for its handler: a submission for its planning, ended items for
    /// their results, or the report of a shard that holds a GPU for being read; null where none waits.
    oldest_unprocessed_event_seconds: Option<f64>,
    /// Seconds from the last report to the end, of the last run that was completed and of the slowest of the last
    /// fifty; null before the first.
    completion_lag_seconds: Option<Lag>,
    /// What the reconciler has done since the deployment began, by kind.
    repairs: BTreeMap<RepairKind, u64>,
    /// Events and messages that could not be processed, of the last thirty days.
    dead_letters: u64,
}

#[derive(Serialize, ToSchema)]
struct Lag {
    last: f64,
    slowest: f64,
}

#[derive(Serialize, ToSchema)]
struct Gpus {
    capacity: u32,
    leased: u32,
}

/// Health, components, and the completion monitor.
#[utoipa::path(get, path = "/api/v1/system/status", tag = "system",
    responses((status = 200, body = SystemStatus), Refusals))]
async fn system_status(caller: Caller, State(world): State<World>) -> Result<Json<SystemStatus>> {
    let now = Timestamp::from(world.clock.now());
    let documents = world.docs.find::<Pool>(&places::pool()).await;
    let objects = world.blobs.head(&places::health()?).await;
    let components =
        vec![component("documents", documents.as_ref().err()), component("objects", objects.as_ref().err())];
    let pool = documents.ok().flatten().map(|pool| pool.value).unwrap_or_default();
    let (capacity, leased) = (world.settings.gpu_capacity, pool.in_use());
    let free_gpus = capacity.saturating_sub(leased);
    let mut unfinished = heard("unfinished runs", look(&world, free_gpus, now).await);
    if let Some(unfinished) = &mut unfinished {
        let unread = heard("unread reports", unread(&world, &pool, now).await).flatten();
        unfinished.oldest_unprocessed = longer(unfinished.oldest_unprocessed, unread);
    }
    let completion_monitor = match &unfinished {
        Some(unfinished) => heard("the monitor", monitor(&world, unfinished).await),
        None => None,
    };
    let operator = match unfinished.filter(|_| caller.is_operator()) {
        Some(unfinished) => heard("the operator's view", operator_view(&world, &pool, unfinished).await),
        None => None,
    };
    let moves_on = completion_monitor.as_ref().is_some_and(|monitor| monitor.stuck == 0);
    let healthy = moves_on && components.iter().all(|part| part.status == Health::Healthy);
    Ok(Json(SystemStatus {
        status: if healthy { Health::Healthy } else { Health::Degraded },
        checked_at: now,
        components,
        completion_monitor,
        gpus: Gpus { capacity, leased },
        operator,
    }))
}

fn component(name: &'static str, error: Option<&platform::Error>) -> Component {
    if let Some(error) = error {
        tracing::error!(component = name, error = %chain(error), "a component does not answer");
    }
    Component { name, status: if error.is_none() { Health::Healthy } else { Health::Degraded } }
}

/// What an answer said; one that failed is told of in the log and missing from the view.
fn heard<T>(what: &'static str, answer: platform::Result<T>) -> Option<T> {
    answer.inspect_err(|error| tracing::error!(what, error = %chain(error), "a part of the status cannot be told")).ok()
}

/// What the runs that have not ended say.
#[derive(Default)]
struct Unfinished {
    stuck: Vec<StuckRun>,
    longest_silence: Option<f64>,
    oldest_unprocessed: Option<f64>,
}

async fn look(world: &World, free_gpus: u32, now: Timestamp) -> platform::Result<Unfinished> {
    let mut seen = Unfinished::default();
    let mut runs = pin!(unfinished(&world.docs));
    while let Some(run) = runs.try_next().await? {
        let silent_seconds = now.seconds_since(run.progress_at);
        seen.longest_silence = longer(seen.longest_silence, Some(silent_seconds));
        seen.oldest_unprocessed = longer(seen.oldest_unprocessed, unprocessed(&run, now));
        seen.stuck.extend(stuck(world, &run, free_gpus, now).map(|why| StuckRun {
            uid: run.uid.to_string(),
            job_id: run.job_id.to_string(),
            status: run.status,
            silent_seconds,
            why,
        }));
    }
    Ok(seen)
}

fn longer(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    a.into_iter().chain(b).reduce(f64::max)
}

/// For how long the oldest report has waited that is news to its shard, of the shards that hold a GPU.
async fn unread(world: &World, pool: &Pool, now: Timestamp) -> platform::Result<Option<f64>> {
    let mut oldest = None;
    for lease in &pool.leases {
        for held in &lease.held {
            let path = places::shard(&lease.uid, &lease.job_id, held.shard);
            let Some(shard) = world.docs.find::<Shard>(&path).await?.filter(|shard| !shard.value.done) else {
                continue;
            };
            let newest = newest(&world.blobs, &lease.uid, &lease.job_id, &shard.value).await?;
            let news = newest.filter(|(_, report)| report.seq > shard.value.seq);
            oldest = longer(oldest, news.map(|(_, report)| now.seconds_since(report.written_at)));
        }
    }
    Ok(oldest)
}

async fn monitor(world: &World, unfinished: &Unfinished) -> platform::Result<CompletionMonitor> {
    let count =
        async |status: Status| world.docs.count(&Query::group(places::JOBS).equals("status", json!(status))).await;
    let repairs = world.docs.find::<Repairs>(&places::repairs()).await?;
    Ok(CompletionMonitor {
        queued: count(Status::Queued).await?,
        running: count(Status::Running).await?,
        aggregating: count(Status::Aggregating).await?,
        stuck: unfinished.stuck.len() as u64,
        longest_silence_seconds: unfinished.longest_silence,
        oldest_unprocessed_event_seconds: unfinished.oldest_unprocessed,
        completion_lag_seconds: lag(world).await?,
        repairs: repairs.map(|repairs| repairs.value.total).unwrap_or_default(),
        dead_letters: world.docs.count(&Query::collection(places::dead_letters())).await?,
    })
}

async fn operator_view(world: &World, pool: &Pool, unfinished: Unfinished) -> platform::Result<OperatorView> {
    let repairs = world.docs.find::<Repairs>(&places::repairs()).await?;
    let letters = Query::collection(places::dead_letters()).order_by("at", Direction::Descending).limit(LETTERS);
    let leases = pool.leases.iter().map(|lease| LeaseView {
        uid: lease.uid.to_string(),
        job_id: lease.job_id.to_string(),
        gpus: lease.held.len() as u32,
        execution: lease.execution.clone(),
        expires_at: lease.expires_at,
    });
    Ok(OperatorView {
        stuck: unfinished.stuck,
        repairs: repairs.map(|repairs| repairs.value.latest.into()).unwrap_or_default(),
        dead_letters: world.docs.readable(&letters).await?.into_iter().map(|letter| letter.value).collect(),
        leases: leases.collect(),
    })
}

/// For how long the run's last event has waited, if it is one that a handler should have answered by moving the run on.
fn unprocessed(run: &Run, now: Timestamp) -> Option<f64> {
    let unplanned = run.plan.as_ref().is_some_and(|plan| !plan.ready);
    match run.status {
        Status::Queued if unplanned => Some(now.seconds_since(run.created_at)),
        Status::Aggregating => run.ended_at.map(|ended| now.seconds_since(ended)),
        _ => None,
    }
}

/// From the last report to the end.
async fn lag(world: &World) -> platform::Result<Option<Lag>> {
    let completed = Query::group(places::JOBS).equals("status", json!(Status::Completed));
    let latest = completed.order_by("completed_at", Direction::Descending).limit(RUNS_MEASURED);
    let runs = world.docs.readable::<Run>(&latest).await?;
    let lags = runs.iter().filter_map(|run| Some(run.value.completed_at?.seconds_since(run.value.ended_at?)));
    let lags: Vec<_> = lags.collect();
    let slowest = lags.iter().copied().reduce(f64::max);
    Ok(lags.first().zip(slowest).map(|(last, slowest)| Lag { last: *last, slowest }))
}

#[cfg(test)]
mod tests;
