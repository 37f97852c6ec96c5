//! `GET /api/v1/batches/{batch_id}`: how a batch stands.

use axum::{Json, extract::State};
use domain::JobId;
use service::{
    Caller, Function, Path, Refusals, Result, World,
    runs::{self, views, views::BatchView},
};
use utoipa_axum::{router::OpenApiRouter, routes};

pub const FUNCTION: Function = Function::http("get-batch", router);

fn router() -> OpenApiRouter<World> {
    OpenApiRouter::new().routes(routes!(get_batch))
}

/// Status, counts, progress, milestones and, once it has ended, the summary.
#[utoipa::path(get, path = "/api/v1/batches/{batch_id}", tag = "batches", params(("batch_id" = String, Path)),
    responses((status = 200, body = BatchView), Refusals))]
async fn get_batch(caller: Caller, State(world): State<World>, Path(id): Path<JobId>) -> Result<Json<BatchView>> {
    let run = runs::find_batch(&world.docs, &caller, &id).await?.value;
    let mut view = views::batch(&run);
    if let Some(queue) = view.queue {
        view.queue = Some(queue.with(runs::queue::standing(&world, &run).await?));
    }
    Ok(Json(view))
}

#[cfg(test)]
mod tests;
