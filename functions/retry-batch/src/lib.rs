//! `POST /api/v1/batches/{batch_id}/retry`: runs the ligands of an ended batch that have no result again, as a batch of
//! their own.

use axum::{
    Json,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use domain::JobId;
use service::{
    Caller, Function, Path, Problem, Refusals, Result, World,
    runs::{self, views, views::BatchView},
};
use utoipa_axum::{router::OpenApiRouter, routes};

pub const FUNCTION: Function = Function::http("retry-batch", router);

fn router() -> OpenApiRouter<World> {
    OpenApiRouter::new().routes(routes!(retry_batch))
}

/// Submits the failed ligands, and those that a cancellation kept from running, as a new batch with the same target,
/// parameters and wishes. Asked again, it answers with the same batch.
#[utoipa::path(post, path = "/api/v1/batches/{batch_id}/retry", tag = "batches", params(("batch_id" = String, Path)),
    responses((status = 202, body = BatchView, headers(("Location" = String, description = "The new batch"))), Refusals))]
async fn retry_batch(caller: Caller, State(world): State<World>, Path(id): Path<JobId>) -> Result<Response> {
    let run = runs::retry(&world, &caller, &id).await?;
    let location = format!("/api/v1/batches/{}", run.job_id);
    let location = HeaderValue::try_from(location).map_err(Problem::internal)?;
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], Json(views::batch(&run))).into_response())
}

#[cfg(test)]
mod tests;
