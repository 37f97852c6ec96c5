//! `DELETE /api/v1/jobs/{job_id}`: stops a job, or removes what an ended one left.

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use domain::JobRef;
use service::{
    Caller, Function, Path, Problem, Query, Refusals, Result, World,
    runs::{self, DeleteQuery, views, views::JobView},
};
use utoipa_axum::{router::OpenApiRouter, routes};

pub const FUNCTION: Function = Function::http("delete-job", router);

fn router() -> OpenApiRouter<World> {
    OpenApiRouter::new().routes(routes!(delete_job))
}

/// Cancels the job if it has not ended; with `purge=true`, deletes the data of one that has.
#[utoipa::path(delete, path = "/api/v1/jobs/{job_id}", tag = "jobs",
    params(("job_id" = String, Path), DeleteQuery),
    responses((status = 200, body = JobView, description = "cancelled"), (status = 204, description = "purged"), Refusals))]
async fn delete_job(
    caller: Caller,
    State(world): State<World>,
    Path(id): Path<JobRef>,
    Query(asked): Query<DeleteQuery>,
) -> Result<Response> {
    let JobRef::Run(id) = id else {
        runs::find(&world.docs, &caller, id.run()).await?;
        return Err(Problem::conflict("one item of a batch cannot be cancelled or purged: name the batch"));
    };
    Ok(match runs::cancel_or_purge(&world, &caller, &id, asked.purge).await? {
        Some(run) => Json(views::job(&run, None)).into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    })
}

#[cfg(test)]
mod tests;
