//! `GET /api/v1/jobs/{job_id}`: any job of the caller's, whether a single prediction, a batch or one item of a batch.

use axum::{Json, extract::State};
use domain::{JobRef, JobType, Run};
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
async fn get_job(caller: Caller, State(world): State<World>, Path(id): Path<JobRef>) -> Result<Json<JobView>> {
    let run = runs::find(&world.docs, &caller, id.run()).await?.value;
    let view = match id {
        JobRef::Child(child) => {
            let found = rows::one(&world.docs, &world.blobs, &run, child.index).await?;
            let (item, row) = found.ok_or_else(|| missing(&run, child.index))?;
            views::child(&run, &child, &item, row)
        }
        JobRef::Run(_) => view(&world, run).await?,
    };
    Ok(Json(view))
}

/// The same, under the name older clients know.
#[utoipa::path(get, path = "/api/v1/jobs/{job_id}/status", tag = "older clients", params(("job_id" = String, Path)),
    responses((status = 200, body = JobView), Refusals))]
async fn get_job_status(caller: Caller, world: State<World>, id: Path<JobRef>) -> Result<Json<JobView>> {
    get_job(caller, world, id).await
}

/// An item beyond the last one is not there; one that no shard holds yet soon is.
fn missing(run: &Run, index: u32) -> Problem {
    if index <= run.items && !run.status.is_final() {
        return Problem::conflict("the batch is being planned; ask again in a moment").retry_after(1);
    }
    Problem::not_found(run.job_id.child(index))
}

async fn view(world: &World, run: Run) -> Result<JobView> {
    let single = run.job_type == JobType::Individual;
    let row = if single { rows::one(&world.docs, &world.blobs, &run, 1).await?.and_then(|(_, row)| row) } else { None };
    let mut view = views::job(&run, row);
    if let Some(queue) = view.queue {
        view.queue = Some(queue.with(runs::queue::standing(world, &run).await?));
    }
    Ok(view)
}

#[cfg(test)]
mod tests;
