//! `GET /api/v1/{jobs|batches}/{id}/events`: how a run moves on, as server-sent events. Every event carries the whole
//! state, so that a client which missed some has missed nothing; the id of an event is the version of the document, with
//! which a client that lost its connection goes on.

mod message;
mod stream;

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response, Sse},
};
use domain::{Cost, JobId, JobType, Progress, Run, RunError, Status, Timestamp};
use message::Message;
use platform::{Clock, Docs, Versioned};
use serde::Serialize;
use service::{Caller, Function, Held, Limiter, Path, Refusals, Result, World, runs};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

pub const FUNCTION: Function = Function::http("stream-events", router);

fn router() -> OpenApiRouter<World> {
    OpenApiRouter::new().routes(routes!(batch_events)).routes(routes!(job_events))
}

/// The data of an event named `run`.
#[derive(Serialize, ToSchema)]
struct RunEvent {
    job_id: String,
    job_type: JobType,
    status: Status,
    progress: Progress,
    started_at: Option<Timestamp>,
    completed_at: Option<Timestamp>,
    cost: Cost,
    error: Option<RunError>,
    /// True if any value came from a stand-in and not from the model; null before the first result.
    simulated: Option<bool>,
}

impl RunEvent {
    fn of(run: &Run) -> Self {
        RunEvent {
            job_id: run.job_id.to_string(),
            job_type: run.job_type,
            status: run.status,
            progress: run.progress,
            started_at: run.started_at,
            completed_at: run.completed_at,
            cost: run.cost,
            error: run.error.clone(),
            simulated: run.simulated,
        }
    }
}

/// A batch's events, from its state now to its end. Of a user's connections to runs that have not ended at most twenty
/// are open at once. A connection lasts ten minutes at most and then is to be made again, with `Last-Event-ID`, as
/// browsers' `EventSource` does by itself; 204 says that there is nothing more to come.
#[utoipa::path(get, path = "/api/v1/batches/{batch_id}/events", tag = "batches",
    params(("batch_id" = String, Path), ("Last-Event-ID" = Option<String>, Header, description = "the last event seen")),
    responses((status = 200, body = Message, content_type = "text/event-stream"),
        (status = 204, description = "the batch has ended, and its end was seen"), Refusals))]
async fn batch_events(
    caller: Caller,
    State(docs): State<Docs>,
    State(clock): State<Clock>,
    State(limiter): State<Limiter>,
    headers: HeaderMap,
    Path(id): Path<JobId>,
) -> Result<Response> {
    let run = runs::find_batch(&docs, &caller, &id).await?;
    events(docs, clock, &limiter, run, &headers)
}

/// The same of any job.
#[utoipa::path(get, path = "/api/v1/jobs/{job_id}/events", tag = "jobs",
    params(("job_id" = String, Path), ("Last-Event-ID" = Option<String>, Header, description = "the last event seen")),
    responses((status = 200, body = Message, content_type = "text/event-stream"),
        (status = 204, description = "the job has ended, and its end was seen"), Refusals))]
async fn job_events(
    caller: Caller,
    State(docs): State<Docs>,
    State(clock): State<Clock>,
    State(limiter): State<Limiter>,
    headers: HeaderMap,
    Path(id): Path<JobId>,
) -> Result<Response> {
    let run = runs::find(&docs, &caller, &id).await?;
    events(docs, clock, &limiter, run, &headers)
}

fn events(docs: Docs, clock: Clock, limiter: &Limiter, run: Versioned<Run>, headers: &HeaderMap) -> Result<Response> {
    let seen = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    if run.value.status.is_final() && seen == Some(run.version.0.as_str()) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    // Of a run that has ended there is one event, and the connection is over.
    let lasts = !run.value.status.is_final();
    let hold = lasts.then(|| limiter.hold(&run.value.uid, Held::Streams)).transpose()?;
    Ok(Sse::new(stream::of(docs, clock, run.path, seen.map(str::to_owned), hold)).into_response())
}

#[cfg(test)]
mod tests;
