//! `POST /api/v1/predict/batch`: one target and many ligands, or many designs.

use axum::{Json, extract::State, http::StatusCode, http::header};
use service::{
    Body, Caller, Function, IdempotencyKey, Refusals, Result, World,
    runs::{
        requests::{Asked, BatchRequest},
        submit,
        views::{self, BatchView},
    },
};
use utoipa_axum::{router::OpenApiRouter, routes};

pub const FUNCTION: Function = Function::http("submit-batch", router);

fn router() -> OpenApiRouter<World> {
    OpenApiRouter::new().routes(routes!(predict_batch)).routes(routes!(submit_batch))
}

/// Submits a batch. Every row is judged before anything is written or started.
#[utoipa::path(post, path = "/api/v1/predict/batch", tag = "batches", request_body = BatchRequest,
    params(IdempotencyKey),
    responses((status = 202, body = BatchView, headers(("Location" = String))), Refusals))]
async fn predict_batch(
    caller: Caller,
    State(world): State<World>,
    IdempotencyKey(key): IdempotencyKey,
    Body { value, digest }: Body<BatchRequest>,
) -> Result<(StatusCode, [(header::HeaderName, String); 1], Json<BatchView>)> {
    let Asked { submission, ligands, on_invalid } = value.read(&caller, &world.settings)?;
    let repeatable = submit::repeatable(key, digest);
    let run = submit::submit(&world.submitting(), submission, ligands, on_invalid, repeatable).await?;
    let location = format!("/api/v1/batches/{}", run.job_id);
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], Json(views::batch(&run))))
}

/// The same, under the name older clients know.
#[utoipa::path(post, path = "/api/v1/jobs/submit-batch", tag = "older clients", params(IdempotencyKey), request_body = BatchRequest,
    responses((status = 202, body = BatchView, headers(("Location" = String))), Refusals))]
async fn submit_batch(
    caller: Caller,
    world: State<World>,
    key: IdempotencyKey,
    body: Body<BatchRequest>,
) -> Result<(StatusCode, [(header::HeaderName, String); 1], Json<BatchView>)> {
    predict_batch(caller, world, key, body).await
}

#[cfg(test)]
mod tests;
