//! `GET /api/v1/models`: which models there are and what each takes and gives.

use axum::Json;
use models::ModelCard;
use serde::Serialize;
use service::{Caller, Function, Refusals, World};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

pub const FUNCTION: Function = Function::http("list-models", router);

fn router() -> OpenApiRouter<World> {
    OpenApiRouter::new().routes(routes!(list_models))
}

#[derive(Serialize, ToSchema)]
struct ModelList {
    models: Vec<ModelCard>,
}

/// Every model with the JSON Schemas of its inputs and parameters, its limits and its scores.
#[utoipa::path(get, path = "/api/v1/models", tag = "system", responses((status = 200, body = ModelList), Refusals))]
async fn list_models(_caller: Caller) -> Json<ModelList> {
    Json(ModelList { models: models::all().iter().map(|model| model.card()).collect() })
}
