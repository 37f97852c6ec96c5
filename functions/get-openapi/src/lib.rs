//! `GET /api/v1/openapi.json`: the contract. `openapi.json` beside this crate is made from the types of every function
//! (`cargo run -- openapi`); a test fails when it is out of date.

use axum::http::header;
use service::{Function, World};
use utoipa_axum::{router::OpenApiRouter, routes};

pub const FUNCTION: Function = Function::http("get-openapi", router);

/// The contract as it is served.
pub const CONTRACT: &str = include_str!("../openapi.json");

fn router() -> OpenApiRouter<World> {
    OpenApiRouter::new().routes(routes!(get_openapi))
}

/// The contract of this API, OpenAPI 3.1. Needs no token.
#[utoipa::path(get, path = "/api/v1/openapi.json", tag = "system", security(()),
    responses((status = 200, description = "OpenAPI 3.1", content_type = "application/json", body = String)))]
async fn get_openapi() -> ([(header::HeaderName, &'static str); 1], &'static str) {
    ([(header::CONTENT_TYPE, "application/json")], CONTRACT)
}
