//! `GET /api/v1/usage`: what the caller used in a month.

mod months;

use axum::{Json, extract::State};
use domain::{Price, Timestamp};
use months::UsageQuery;
use platform::{Number, Query as DocQuery};
use serde::Serialize;
use service::{Caller, Function, Problem, Query, Refusals, Result, World, places, runs::quota::Known};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

pub const FUNCTION: Function = Function::http("get-usage", router);

fn router() -> OpenApiRouter<World> {
    OpenApiRouter::new().routes(routes!(get_usage))
}

/// The runs that were made in a month, with all they have used until now, and what they use later.
#[derive(Serialize, ToSchema)]
struct Usage {
    month: String,
    runs: u64,
    ligands: Ligands,
    gpu_seconds: f64,
    /// US dollars for these GPU seconds.
    usd: f64,
    /// GPU seconds charged to the month's budget: those of runs that were purged too, and what runs that have not ended
    /// are planned to take.
    charged_gpu_seconds: f64,
    /// GPU seconds that may be charged to a month; null where there is no limit.
    limit_gpu_seconds: Option<f64>,
    /// Every month from the caller's first run to this one, the newest first.
    months: Vec<String>,
}

/// Ligands, or designs, that have ended.
#[derive(Serialize, ToSchema)]
struct Ligands {
    completed: u64,
    failed: u64,
}

/// Runs, ligands, GPU time and cost of a month.
#[utoipa::path(get, path = "/api/v1/usage", tag = "account", params(UsageQuery),
    responses((status = 200, body = Usage), Refusals))]
async fn get_usage(caller: Caller, State(world): State<World>, Query(query): Query<UsageQuery>) -> Result<Json<Usage>> {
    let now = Timestamp::from(world.clock.now()).month();
    let month = query.month.unwrap_or_else(|| now.clone());
    if months::next(&month).is_none() {
        return Err(Problem::parameter("month", "takes a year and a month, as 2026-11"));
    }
    let of_month = DocQuery::collection(places::jobs(&caller.uid)).equals("month", month.as_str());
    let sum = Number::Sum;
    let numbers = [
        Number::Count,
        sum("progress.completed"),
        sum("progress.failed"),
        sum("cost.gpu_seconds"),
        sum("charged_gpu_seconds"),
    ];
    let [runs, completed, failed, gpu_seconds, charged] = world.docs.aggregate(&of_month, numbers).await?;
    let known = Known::read(&world.docs, &caller.uid).await?;
    let limit = f64::from(caller.tier.limits().gpu_minutes_per_month) * 60.0;
    Ok(Json(Usage {
        charged_gpu_seconds: charged + known.account.value.purged_in(&month),
        month,
        runs: runs as u64,
        ligands: Ligands { completed: completed as u64, failed: failed as u64 },
        gpu_seconds,
        usd: Price::L4_US_CENTRAL1.of(gpu_seconds),
        limit_gpu_seconds: world.settings.limits.then_some(limit),
        months: months::since_the_first_run(&world.docs, &caller, now).await?,
    }))
}

#[cfg(test)]
mod tests;
