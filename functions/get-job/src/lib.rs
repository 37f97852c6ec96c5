//! `GET /api/v1/jobs/{job_id}`: any job of the caller's, whether a single prediction, a batch or one item of a batch.

use axum::{Json, extract::State};
use domain::{JobRef, JobType, Run, Status};
use platform::{Blobs, Docs};
use service::{
    Caller, Function, Path, Problem, Refusals, Result, World,
    runs::{self, rows, views, views::JobView},
};
use utoipa_axum::{router::OpenApiRouter, routes};

pub const FUNCTION: Function = Function::http("get-job", router);

fn router() -> OpenApiRouter<World> {
    OpenApiRouter::new().routes(routes!(get_job)).routes(routes!(get_job_status))
}

/// A job, with its results once there are any.
#[utoipa::path(get, path = "/api/v1/jobs/{job_id}", tag = "jobs", params(("job_id" = String, Path)),
    responses((status = 200, body = JobView), Refusals))]
async fn get_job(
    caller: Caller,
    State(docs): State<Docs>,
    State(blobs): State<Blobs>,
    Path(id): Path<JobRef>,
) -> Result<Json<JobView>> {
    let run = runs::find(&docs, &caller, id.run()).await?.value;
    let view = match id {
        JobRef::Child(child) => {
            let found = rows::one(&docs, &blobs, &run, child.index).await?;
            let (item, row) = found.ok_or_else(|| missing(&run, child.index))?;
            views::child(&run, &child, &item, row)
        }
        JobRef::Run(_) => view(&docs, &blobs, run).await?,
    };
    Ok(Json(view))
}

/// The same, under the name older clients know.
#[utoipa::path(get, path = "/api/v1/jobs/{job_id}/status", tag = "older clients", params(("job_id" = String, Path)),
    responses((status = 200, body = JobView), Refusals))]
async fn get_job_status(
    caller: Caller,
    docs: State<Docs>,
    blobs: State<Blobs>,
    id: Path<JobRef>,
) -> Result<Json<JobView>> {
    get_job(caller, docs, blobs, id).await
}

/// An item beyond the last one is not there; one that no shard holds yet soon is.
fn missing(run: &Run, index: u32) -> Problem {
    if index <= run.items && !run.status.is_final() {
        return Problem::conflict("the batch is being planned; ask again in a moment").retry_after(1);
    }
    Problem::not_found(run.job_id.child(index))
}

async fn view(docs: &Docs, blobs: &Blobs, run: Run) -> Result<JobView> {
    let single = run.job_type == JobType::Individual;
    let row = if single { rows::one(docs, blobs, &run, 1).await?.and_then(|(_, row)| row) } else { None };
    let mut view = views::job(&run, row);
    if run.status == Status::Queued
        && let Some(queue) = &mut view.queue
    {
        queue.position = runs::queue_position(docs, &run).await?;
    }
    Ok(view)
}

#[cfg(test)]
mod tests;
