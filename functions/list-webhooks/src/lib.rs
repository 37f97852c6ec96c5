//! `GET /api/v1/webhooks`: the caller's endpoints.

use axum::{Json, extract::State};
use platform::Docs;
use serde::Serialize;
use service::{
    Caller, Function, Refusals, Result, World,
    webhooks::{self, WebhookView},
};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

pub const FUNCTION: Function = Function::http("list-webhooks", router);

fn router() -> OpenApiRouter<World> {
    OpenApiRouter::new().routes(routes!(list_webhooks))
}

/// All endpoints of a user, at most ten.
#[derive(Serialize, ToSchema)]
struct WebhookList {
    webhooks: Vec<WebhookView>,
}

/// The caller's endpoints in the order they were made. One that nothing is sent to any more says since when and why in
/// `disabled`.
#[utoipa::path(get, path = "/api/v1/webhooks", tag = "webhooks", responses((status = 200, body = WebhookList), Refusals))]
async fn list_webhooks(caller: Caller, State(docs): State<Docs>) -> Result<Json<WebhookList>> {
    let webhooks = webhooks::of(&docs, &caller.uid).await?;
    Ok(Json(WebhookList { webhooks: webhooks.endpoints.iter().map(WebhookView::new).collect() }))
}

#[cfg(test)]
mod tests;
