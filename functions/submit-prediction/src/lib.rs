//! `POST /api/v1/predict`: one prediction with any model.

use axum::{Json, extract::State, http::StatusCode, http::header};
use service::{
    Body, Function, IdempotencyKey, Refusals, Result, Submitter, World,
    runs::{
        requests::{Asked, PredictRequest},
        submit,
        views::{self, JobView},
    },
};
use utoipa_axum::{router::OpenApiRouter, routes};

pub const FUNCTION: Function = Function::http("submit-prediction", router);

fn router() -> OpenApiRouter<World> {
    OpenApiRouter::new().routes(routes!(predict)).routes(routes!(submit_job))
}

/// Submits one prediction. Answers at once; the job's own address is in `Location`.
#[utoipa::path(post, path = "/api/v1/predict", tag = "jobs", request_body = PredictRequest,
    params(IdempotencyKey),
    responses((status = 202, body = JobView, headers(("Location" = String))), Refusals))]
async fn predict(
    Submitter(caller): Submitter,
    State(world): State<World>,
    IdempotencyKey(key): IdempotencyKey,
    Body { value, digest }: Body<PredictRequest>,
) -> Result<(StatusCode, [(header::HeaderName, String); 1], Json<JobView>)> {
    let Asked { submission, ligands, on_invalid } = value.read(&caller)?;
    let repeatable = submit::repeatable(key, digest);
    let run = submit::submit(&world.submitting(), submission, ligands, on_invalid, repeatable).await?;
    let location = format!("/api/v1/jobs/{}", run.job_id);
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], Json(views::job(&run, None))))
}

/// The same, under the name older clients know.
#[utoipa::path(post, path = "/api/v1/jobs/submit", tag = "older clients", params(IdempotencyKey), request_body = PredictRequest,
    responses((status = 202, body = JobView, headers(("Location" = String))), Refusals))]
async fn submit_job(
    caller: Submitter,
    world: State<World>,
    key: IdempotencyKey,
    body: Body<PredictRequest>,
) -> Result<(StatusCode, [(header::HeaderName, String); 1], Json<JobView>)> {
    predict(caller, world, key, body).await
}

#[cfg(test)]
mod tests;
