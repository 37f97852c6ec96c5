//! `GET /api/v1/system/status`: are the parts there, and do runs move on?

use axum::{Json, extract::State};
use domain::{Pool, Run, Status, Timestamp};
use platform::{BlobPath, Direction, Query};
use serde::Serialize;
use serde_json::json;
use service::{Caller, Function, Refusals, Result, World, chain, places};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

pub const FUNCTION: Function = Function::http("system-status", router);

/// Unfinished runs looked at, the oldest first.
const RUNS_SEEN: u32 = 500;

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
    /// Unfinished runs without news for longer than the reconciler waits.
    stuck: u64,
    /// Seconds since the last news of the unfinished run that has been silent longest; null where none is unfinished.
    longest_silence_seconds: Option<f64>,
}

#[derive(Serialize, ToSchema)]
struct Gpus {
    capacity: u32,
    leased: u32,
}

/// Health, components, and the completion monitor.
#[utoipa::path(get, path = "/api/v1/system/status", tag = "system",
    responses((status = 200, body = SystemStatus), Refusals))]
async fn system_status(_caller: Caller, State(world): State<World>) -> Result<Json<SystemStatus>> {
    let now = Timestamp::from(world.clock.now());
    let documents = world.docs.find::<Pool>(&places::pool()).await;
    let objects = world.blobs.head(&BlobPath::new(places::ARTIFACTS, "health")?).await;
    let components =
        vec![component("documents", documents.as_ref().err()), component("objects", objects.as_ref().err())];
    let completion_monitor = monitor(&world, now).await.ok();
    let moves_on = completion_monitor.as_ref().is_some_and(|monitor| monitor.stuck == 0);
    let healthy = moves_on && components.iter().all(|part| part.status == Health::Healthy);
    let leased = documents.ok().flatten().map_or(0, |pool| pool.value.in_use());
    Ok(Json(SystemStatus {
        status: if healthy { Health::Healthy } else { Health::Degraded },
        checked_at: now,
        components,
        completion_monitor,
        gpus: Gpus { capacity: world.settings.gpu_capacity, leased },
    }))
}

fn component(name: &'static str, error: Option<&platform::Error>) -> Component {
    if let Some(error) = error {
        tracing::error!(component = name, error = %chain(error), "a component does not answer");
    }
    Component { name, status: if error.is_none() { Health::Healthy } else { Health::Degraded } }
}

async fn monitor(world: &World, now: Timestamp) -> platform::Result<CompletionMonitor> {
    let (mut counts, mut silences) = (vec![], vec![]);
    for status in [Status::Queued, Status::Running, Status::Aggregating] {
        let unfinished = Query::group(places::JOBS).equals("status", json!(status));
        counts.push(world.docs.count(&unfinished).await?);
        let oldest = unfinished.order_by("created_at", Direction::Ascending).limit(RUNS_SEEN);
        let runs = world.docs.readable::<Run>(&oldest).await?;
        silences.extend(runs.iter().map(|run| now.seconds_since(run.value.progress_at)));
    }
    let patience = world.settings.stuck_after.as_secs_f64();
    Ok(CompletionMonitor {
        queued: counts[0],
        running: counts[1],
        aggregating: counts[2],
        stuck: silences.iter().filter(|silence| **silence > patience).count() as u64,
        longest_silence_seconds: silences.into_iter().reduce(f64::max),
    })
}

#[cfg(test)]
mod tests;
