//! `DELETE /api/v1/api-keys/{key_id}`: revokes a key, from the next request on.

use axum::{extract::State, http::StatusCode};
use platform::{Docs, Write};
use service::{Function, Manager, Path, Problem, Refusals, Result, World, api_key};
use utoipa_axum::{router::OpenApiRouter, routes};

pub const FUNCTION: Function = Function::http("delete-api-key", router);

fn router() -> OpenApiRouter<World> {
    OpenApiRouter::new().routes(routes!(delete_api_key))
}

/// Revokes one of the caller's keys. It may be the one that is used for this.
#[utoipa::path(delete, path = "/api/v1/api-keys/{key_id}", tag = "account", params(("key_id" = String, Path)),
    responses((status = 204, description = "It is not taken any more"), Refusals))]
async fn delete_api_key(
    Manager(caller): Manager,
    State(docs): State<Docs>,
    Path(id): Path<String>,
) -> Result<StatusCode> {
    let keys = api_key::of_user(&docs, &caller.uid).await?;
    let key = keys.into_iter().find(|key| key.value.id == id);
    let path = key.ok_or_else(|| Problem::not_found("this API key"))?.path;
    // Whatever was written into it meanwhile, it goes.
    docs.commit(vec![Write::Delete { path, version: None }]).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests;
