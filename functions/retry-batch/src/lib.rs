//! `POST /api/v1/batches/{batch_id}/retry`: runs the ligands of an ended batch that have no result again, as a batch of
//! their own.

use axum::{extract::State, http::StatusCode};
use domain::JobId;
use service::{
    Caller, Function, IdempotencyKey, Path, Refusals, Result, World,
    repeat::{self, Answer, Decided, Kept},
    runs::{self, views, views::BatchView},
};
use utoipa_axum::{router::OpenApiRouter, routes};

pub const FUNCTION: Function = Function::http("retry-batch", router);

fn router() -> OpenApiRouter<World> {
    OpenApiRouter::new().routes(routes!(retry_batch))
}

/// Submits the failed ligands, and those that a cancellation kept from running, as a new batch with the same target,
/// parameters and wishes. Asked again, it answers with the same batch.
#[utoipa::path(post, path = "/api/v1/batches/{batch_id}/retry", tag = "batches",
    params(("batch_id" = String, Path), IdempotencyKey),
    responses((status = 202, body = BatchView, headers(("Location" = String, description = "The new batch"))), Refusals))]
async fn retry_batch(
    caller: Caller,
    State(world): State<World>,
    IdempotencyKey(key): IdempotencyKey,
    Path(id): Path<JobId>,
) -> Result<Answer> {
    let decide = |_| retry(&world, &caller, &id);
    let repeatable = repeat::repeatable(key, id.to_string());
    repeat::once(&world, &caller.uid, "retry-batch", repeatable, decide).await
}

/// There is one batch of the failed ligands, however often it is asked for.
async fn retry(world: &World, caller: &Caller, id: &JobId) -> Result<Decided> {
    let run = runs::retry(world, caller, id).await?;
    let answer = Answer::new(StatusCode::ACCEPTED, &views::batch(&run))?;
    let answer = answer.at(format!("/api/v1/batches/{}", run.job_id));
    Ok(Decided { answer, kept: Kept::Nothing, writes: vec![] })
}

#[cfg(test)]
mod tests;
