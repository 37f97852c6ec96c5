//! `POST /api/v1/system/repair`: what the reconciler does once a minute, at an operator's word: to one run, or to all
//! that are silent. Safe at any time: to a run that is well it does nothing.

use axum::{extract::State, http::StatusCode};
use domain::{JobId, Repair, Run, Uid};
use serde::{Deserialize, Serialize};
use service::{
    Admin, Body, Function, IdempotencyKey, Problem, Refusals, Result, World, places,
    repeat::{self, Answer, Decided, Kept},
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
    params(IdempotencyKey), responses((status = 200, body = RepairList), Refusals))]
async fn repair_runs(
    Admin(caller): Admin,
    State(world): State<World>,
    IdempotencyKey(key): IdempotencyKey,
    Body { value: asked, digest }: Body<RepairRequest>,
) -> Result<Answer> {
    let decide = |_| repair(&world, &asked);
    repeat::once(&world, &caller.uid, "repair", repeat::repeatable(key, digest), decide).await
}

async fn repair(world: &World, asked: &RepairRequest) -> Result<Decided> {
    let repairs = match (asked.uid.clone(), asked.job_id.clone()) {
        (None, None) => repair::sweep(world).await?,
        (Some(uid), Some(job_id)) => one(world, uid, job_id).await?,
        (None, _) => return Err(Problem::field("/uid", "is needed to find the run")),
        (_, None) => return Err(Problem::field("/job_id", "is needed to find the run")),
    };
    wake_dispatcher(world).await?;
    let answer = Answer::new(StatusCode::OK, &RepairList { repairs })?;
    Ok(Decided { kept: Kept::Answer(answer.clone()), answer, writes: vec![] })
}

async fn one(world: &World, uid: String, job_id: String) -> Result<Vec<Repair>> {
    let not_found = || Problem::not_found(job_id.clone());
    let (Ok(uid), Ok(id)) = (Uid::named(uid), JobId::try_from(job_id.clone())) else { return Err(not_found()) };
    let run = world.docs.find::<Run>(&places::job(&uid, &id)).await?.ok_or_else(not_found)?.value;
    if run.status.is_final() {
        return Ok(vec![]);
    }
    Ok(repair::repair(world, &run).await?)
}

#[cfg(test)]
mod tests;
