//! `DELETE /api/v1/batches/{batch_id}`: stops a batch, or removes what an ended one left.

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use domain::JobId;
use service::{
    Caller, Function, Path, Query, Refusals, Result, World,
    runs::{self, DeleteQuery, views, views::BatchView},
};
use utoipa_axum::{router::OpenApiRouter, routes};

pub const FUNCTION: Function = Function::http("delete-batch", router);

fn router() -> OpenApiRouter<World> {
    OpenApiRouter::new().routes(routes!(delete_batch))
}

/// Cancels the batch if it has not ended, leaving what is done readable; with `purge=true`, deletes the data of one
/// that has.
#[utoipa::path(delete, path = "/api/v1/batches/{batch_id}", tag = "batches",
    params(("batch_id" = String, Path), DeleteQuery),
    responses((status = 200, body = BatchView, description = "cancelled"), (status = 204, description = "purged"), Refusals))]
async fn delete_batch(
    caller: Caller,
    State(world): State<World>,
    Path(id): Path<JobId>,
    Query(asked): Query<DeleteQuery>,
) -> Result<Response> {
    runs::find_batch(&world.docs, &caller, &id).await?;
    Ok(match runs::cancel_or_purge(&world, &caller, &id, asked.purge).await? {
        Some(run) => Json(views::batch(&run)).into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    })
}

#[cfg(test)]
mod tests;
