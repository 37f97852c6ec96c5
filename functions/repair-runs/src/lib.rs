//! `POST /api/v1/system/repair`: what the reconciler does once a minute, at an operator's word: to one run, or to all
//! that are silent. Safe at any time: to a run that is well it does nothing.

use axum::{Json, extract::State};
use domain::{JobId, Repair, Run, Uid};
use serde::{Deserialize, Serialize};
use service::{
    Admin, Body, Function, Problem, Refusals, Result, World, places,
    runs::{repair, shards::wake_dispatcher},
};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

pub const FUNCTION: Function = Function::http("repair-runs", router);

fn router() -> OpenApiRouter<World> {
    OpenApiRouter::new().routes(routes!(repair_runs))
}

/// One run, by its user and its id; every silent run where both are left out.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RepairRequest {
    uid: Option<String>,
    job_id: Option<String>,
}

/// What was done; nothing where nothing was wrong.
#[derive(Serialize, ToSchema)]
struct RepairList {
    repairs: Vec<Repair>,
}

/// Looks into one run or all silent ones, and mends what it can. For operators.
#[utoipa::path(post, path = "/api/v1/system/repair", tag = "system", request_body = RepairRequest,
    responses((status = 200, body = RepairList), Refusals))]
async fn repair_runs(
    _admin: Admin,
    State(world): State<World>,
    Body { value: asked, .. }: Body<RepairRequest>,
) -> Result<Json<RepairList>> {
    let repairs = match (asked.uid, asked.job_id) {
        (None, None) => repair::sweep(&world).await?,
        (Some(uid), Some(job_id)) => one(&world, uid, job_id).await?,
        (None, _) => return Err(Problem::field("/uid", "is needed to find the run")),
        (_, None) => return Err(Problem::field("/job_id", "is needed to find the run")),
    };
    wake_dispatcher(&world).await?;
    Ok(Json(RepairList { repairs }))
}

async fn one(world: &World, uid: String, job_id: String) -> Result<Vec<Repair>> {
    let not_found = || Problem::not_found(job_id.clone());
    let (Ok(uid), Ok(id)) = (Uid::try_from(uid), JobId::try_from(job_id.clone())) else { return Err(not_found()) };
    let run = world.docs.find::<Run>(&places::job(&uid, &id)).await?.ok_or_else(not_found)?.value;
    if run.status.is_final() {
        return Ok(vec![]);
    }
    Ok(repair::repair(world, &run).await?)
}

#[cfg(test)]
mod tests;
