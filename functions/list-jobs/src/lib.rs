//! `GET /api/v1/jobs`: the caller's jobs, newest first.

use axum::{Json, extract::State};
use platform::Docs;
use serde::Serialize;
use service::{
    Caller, Function, Query, Refusals, Result, World,
    runs::{self, ListQuery, views, views::JobView},
};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

pub const FUNCTION: Function = Function::http("list-jobs", router);

fn router() -> OpenApiRouter<World> {
    OpenApiRouter::new().routes(routes!(list_jobs))
}

/// A page of jobs. Results are read job by job.
#[derive(Serialize, ToSchema)]
struct JobList {
    jobs: Vec<JobView>,
    next_cursor: Option<String>,
    has_more: bool,
}

/// The caller's single predictions and batches, newest first.
#[utoipa::path(get, path = "/api/v1/jobs", tag = "jobs", params(ListQuery),
    responses((status = 200, body = JobList), Refusals))]
async fn list_jobs(caller: Caller, State(docs): State<Docs>, Query(asked): Query<ListQuery>) -> Result<Json<JobList>> {
    let page = runs::list(&docs, &caller, &asked).await?;
    let jobs = page.runs.iter().map(|run| views::job(run, None)).collect();
    Ok(Json(JobList { jobs, has_more: page.next_cursor.is_some(), next_cursor: page.next_cursor }))
}

#[cfg(test)]
mod tests;
