//! `GET /api/v1/batches/{batch_id}/export`: a redirect to a file of the whole batch. Tables and `batch_results.json` are
//! there once a batch has ended; the other formats are made from its rows on first request.

mod archive;
mod files;
mod records;
mod table;

use axum::{extract::State, response::Redirect};
use domain::JobId;
use files::ExportQuery;
use service::{
    Downloads, Function, Path, Query, Refusals, Result, World,
    runs::{self, exports},
};
use utoipa_axum::{router::OpenApiRouter, routes};

pub const FUNCTION: Function = Function::http("export-batch", router);

fn router() -> OpenApiRouter<World> {
    OpenApiRouter::new().routes(routes!(export_batch))
}

/// A file of a batch that has ended; the rejected rows of any batch. Of a cancelled batch it holds what there is, and
/// its name begins with `partial-`.
#[utoipa::path(get, path = "/api/v1/batches/{batch_id}/export", tag = "batches",
    params(("batch_id" = String, Path), ExportQuery),
    responses((status = 303, description = "The file is at `Location`, for fifteen minutes",
        headers(("Location" = String, description = "Signed link"))), Refusals))]
async fn export_batch(
    Downloads(caller): Downloads,
    State(world): State<World>,
    Path(id): Path<JobId>,
    Query(asked): Query<ExportQuery>,
) -> Result<Redirect> {
    let run = runs::find_batch(&world.docs, &caller, &id).await?.value;
    let name = format!("{id}_{}", asked.format.file(&run));
    let file = files::ready(&world, &run, asked.format).await?;
    Ok(exports::redirect(&world.blobs, &file, &name).await?)
}

#[cfg(test)]
mod tests;
