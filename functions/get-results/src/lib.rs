//! `GET /api/v1/batches/{batch_id}/results`: rows by the page, sorted and filtered, also while the batch runs. And
//! `GET /api/v1/jobs/{job_id}/results`, as older clients ask.

use axum::{Json, extract::State};
use domain::{JobId, JobRef, JobType, ResultRow};
use platform::{Blobs, Docs};
use serde::Serialize;
use service::{
    Caller, Function, Path, Problem, Query, Refusals, Result, World,
    runs::{
        self,
        results::{self, ResultsPage, ResultsQuery},
        rows, views,
    },
};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

pub const FUNCTION: Function = Function::http("get-results", router);

fn router() -> OpenApiRouter<World> {
    OpenApiRouter::new().routes(routes!(get_results)).routes(routes!(get_job_results))
}

/// The result of one prediction, or a page of a batch's.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum JobResults {
    One(Box<ResultRow>),
    Page(ResultsPage),
}

/// A page of a batch's results.
#[utoipa::path(get, path = "/api/v1/batches/{batch_id}/results", tag = "batches",
    params(("batch_id" = String, Path), ResultsQuery), responses((status = 200, body = ResultsPage), Refusals))]
async fn get_results(
    caller: Caller,
    State(docs): State<Docs>,
    State(blobs): State<Blobs>,
    Path(id): Path<JobId>,
    Query(asked): Query<ResultsQuery>,
) -> Result<Json<ResultsPage>> {
    let run = runs::find_batch(&docs, &caller, &id).await?.value;
    Ok(Json(results::page(&docs, &blobs, &run, &asked).await?))
}

/// The results part of a job.
#[utoipa::path(get, path = "/api/v1/jobs/{job_id}/results", tag = "older clients",
    params(("job_id" = String, Path), ResultsQuery), responses((status = 200, body = JobResults), Refusals))]
async fn get_job_results(
    caller: Caller,
    State(docs): State<Docs>,
    State(blobs): State<Blobs>,
    Path(id): Path<JobRef>,
    Query(asked): Query<ResultsQuery>,
) -> Result<Json<JobResults>> {
    let run = runs::find(&docs, &caller, id.run()).await?.value;
    let index = match &id {
        JobRef::Child(child) => child.index,
        JobRef::Run(_) if run.job_type == JobType::Individual => 1,
        JobRef::Run(_) => return Ok(Json(JobResults::Page(results::page(&docs, &blobs, &run, &asked).await?))),
    };
    results::check(&run, &asked)?;
    if index > run.items {
        return Err(Problem::not_found(run.job_id.child(index)));
    }
    let row = rows::one(&docs, &blobs, &run, index).await?.and_then(|(_, row)| row);
    let none = || match run.status.is_final() {
        true => Problem::not_found("a result of a job that ended without one"),
        false => Problem::conflict("there are no results yet").retry_after(5),
    };
    row.map(|row| Json(JobResults::One(Box::new(views::shown(row))))).ok_or_else(none)
}

#[cfg(test)]
mod tests;
