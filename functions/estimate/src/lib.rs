//! `POST /api/v1/estimate`: what a prediction or a batch would take, told by the very steps that a submission goes
//! through, without one being made.

use axum::{Json, extract::State};
use domain::{Demand, Forecast, Lane, Rejected, Strategy};
use serde::Serialize;
use serde_json::Value;
use service::{
    Body, Caller, Function, IdempotencyKey, Refusals, Result, World, repeat,
    runs::{
        queue::Standing,
        quote::{Quote, Quoted, quote},
        requests::{Asked, BatchRequest, PredictRequest},
    },
};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

pub const FUNCTION: Function = Function::http("estimate", router);

/// Members that only a request for one prediction has.
const OF_A_PREDICTION: [&str; 3] = ["ligand_smiles", "ligand_name", "job_name"];

fn router() -> OpenApiRouter<World> {
    OpenApiRouter::new().routes(routes!(estimate))
}

/// The body of `POST /api/v1/predict/batch` or of `POST /api/v1/predict`.
#[derive(ToSchema)]
#[serde(untagged)]
enum EstimateRequest {
    Batch(Box<BatchRequest>),
    Prediction(Box<PredictRequest>),
}

/// What a submission of the same body would take now.
#[derive(Serialize, ToSchema)]
struct Estimate {
    model: String,
    model_version: String,
    lane: Lane,
    /// Rows that would run.
    accepted_rows: u32,
    /// Rows that would not run, duplicates among them.
    rejected_rows: u32,
    /// The first hundred of the rejected rows that are no duplicates.
    rejected: Vec<Rejected>,
    /// Accepted rows whose result an earlier run of the user has: they cost nothing, and the strategies tell of the others
    /// only.
    cached_rows: u32,
    /// The strategy of the request.
    strategy: Strategy,
    /// Every strategy, from the cheapest to the fastest. Empty where no row would run.
    strategies: Vec<StrategyEstimate>,
}

/// What one strategy would take.
#[derive(Serialize, ToSchema)]
struct StrategyEstimate {
    strategy: Strategy,
    /// GPU tasks, each of which loads the model once.
    shards: u32,
    gpu_seconds: f64,
    usd: f64,
    /// The share of the GPU time, from 0 to 1, that predicts nothing new: starting tasks, loading the model, and work that
    /// is done again because a task was lost, as the run goes when it is played through; null where it takes no GPU.
    waste: Option<f64>,
    /// Seconds from the first start to the end on GPUs that nobody else wants.
    seconds: f64,
    /// Seconds until its first ligand gets a GPU, as the queue stands; null where that lies too far ahead to say, or where
    /// none needs one.
    start_seconds: Option<f64>,
    /// Seconds until its last ligand has ended, as the queue stands; null where that lies too far ahead to say. What is
    /// submitted later and has the right of way is not foreseen.
    finish_seconds: Option<f64>,
    /// Why a submission would be refused; null where it would not.
    refusal: Option<String>,
}

/// Judges every row, plans with every strategy, and looks at the queue. Nothing is started: sent again under its
/// Idempotency-Key, the same request is answered as things then stand.
#[utoipa::path(post, path = "/api/v1/estimate", tag = "batches", request_body = EstimateRequest, params(IdempotencyKey),
    responses((status = 200, body = Estimate), Refusals))]
async fn estimate(
    caller: Caller,
    State(world): State<World>,
    IdempotencyKey(key): IdempotencyKey,
    body: Body<Value>,
) -> Result<Json<Estimate>> {
    let (uid, repeatable) = (caller.uid.clone(), repeat::repeatable(key, body.digest.clone()));
    let asked = read(caller, &world, body)?;
    repeat::note(&world, &uid, "estimate", repeatable).await?;
    let (strategy, model) = (asked.submission.strategy, asked.submission.model);
    let lane = if asked.submission.batch { Lane::Bulk } else { Lane::Interactive };
    let Quote { judged, cached, runs } = quote(&world.submitting(), asked).await?;
    let standing = Standing::read(&world, lane).await?;
    let strategies = runs.into_iter().filter_map(|quoted| told(&world, &standing, quoted));
    Ok(Json(Estimate {
        model: model.name().to_owned(),
        model_version: model.version().to_owned(),
        lane,
        accepted_rows: judged.accepted,
        rejected_rows: judged.rejected,
        rejected: judged.listed,
        cached_rows: cached,
        strategy,
        strategies: strategies.collect(),
    }))
}

fn read(caller: Caller, world: &World, body: Body<Value>) -> Result<Asked> {
    let single = OF_A_PREDICTION.iter().any(|member| body.value.get(member).is_some());
    let request = if single { EstimateRequest::Prediction(body.read()?) } else { EstimateRequest::Batch(body.read()?) };
    match request {
        EstimateRequest::Batch(batch) => batch.read(&caller, &world.settings),
        EstimateRequest::Prediction(prediction) => prediction.read(&caller),
    }
}

fn told(world: &World, standing: &Standing, Quoted { run, refusal, waste }: Quoted) -> Option<StrategyEstimate> {
    let demand = Demand::of(&run, world.settings.slots(), 0)?;
    let plan = run.plan?;
    let forecast = if plan.shards > 0 {
        standing.forecast_new(world, demand)
    } else {
        Forecast { end_seconds: Some(0.0), ..Forecast::default() }
    };
    Some(StrategyEstimate {
        strategy: run.strategy,
        shards: plan.shards,
        gpu_seconds: plan.gpu_seconds,
        usd: run.cost.estimated_usd.unwrap_or_default(),
        waste,
        seconds: plan.seconds,
        start_seconds: forecast.start_seconds,
        finish_seconds: forecast.end_seconds,
        refusal: refusal.map(|problem| problem.to_string()),
    })
}

#[cfg(test)]
mod tests;
