//! `GET /api/v1/batches`: the caller's batches, newest first.

use axum::{Json, extract::State};
use domain::JobType;
use platform::Docs;
use serde::Serialize;
use service::{
    Caller, Function, Query, Refusals, Result, World,
    runs::{self, ListQuery, views, views::BatchView},
};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

pub const FUNCTION: Function = Function::http("list-batches", router);

fn router() -> OpenApiRouter<World> {
    OpenApiRouter::new().routes(routes!(list_batches))
}

/// A page of batches.
#[derive(Serialize, ToSchema)]
struct BatchList {
    batches: Vec<BatchView>,
    next_cursor: Option<String>,
    has_more: bool,
}

/// The caller's batches, newest first. The filter `type` plays no part here.
#[utoipa::path(get, path = "/api/v1/batches", tag = "batches", params(ListQuery),
    responses((status = 200, body = BatchList), Refusals))]
async fn list_batches(
    caller: Caller,
    State(docs): State<Docs>,
    Query(asked): Query<ListQuery>,
) -> Result<Json<BatchList>> {
    let asked = ListQuery { job_type: Some(JobType::BatchParent), ..asked };
    let page = runs::list(&docs, &caller, &asked).await?;
    let batches = page.runs.iter().map(views::batch).collect();
    Ok(Json(BatchList { batches, has_more: page.next_cursor.is_some(), next_cursor: page.next_cursor }))
}

#[cfg(test)]
mod tests;
