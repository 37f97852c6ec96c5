//! `GET /api/v1/api-keys`: the caller's keys and when each was last used. The keys themselves are kept nowhere.

use axum::{Json, extract::State};
use platform::Docs;
use serde::Serialize;
use service::{
    Function, Manager, Refusals, Result, World,
    api_key::{self, KeyView},
};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

pub const FUNCTION: Function = Function::http("list-api-keys", router);

fn router() -> OpenApiRouter<World> {
    OpenApiRouter::new().routes(routes!(list_api_keys))
}

/// The keys, the newest first: twenty at the most.
#[derive(Serialize, ToSchema)]
struct KeyList {
    api_keys: Vec<KeyView>,
}

/// The caller's API keys.
#[utoipa::path(get, path = "/api/v1/api-keys", tag = "account", responses((status = 200, body = KeyList), Refusals))]
async fn list_api_keys(Manager(caller): Manager, State(docs): State<Docs>) -> Result<Json<KeyList>> {
    let keys = api_key::of_user(&docs, &caller.uid).await?;
    Ok(Json(KeyList { api_keys: keys.iter().map(|key| KeyView::from(&key.value)).collect() }))
}

#[cfg(test)]
mod tests;
