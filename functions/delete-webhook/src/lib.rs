//! `DELETE /api/v1/webhooks/{webhook_id}`: an endpoint is forgotten, with its secrets.

use axum::{extract::State, http::StatusCode};
use domain::{WebhookId, Webhooks};
use platform::Docs;
use service::{Caller, Function, Path, Problem, Refusals, Result, World, webhooks};
use utoipa_axum::{router::OpenApiRouter, routes};

pub const FUNCTION: Function = Function::http("delete-webhook", router);

fn router() -> OpenApiRouter<World> {
    OpenApiRouter::new().routes(routes!(delete_webhook))
}

/// Nothing more is sent to it, not even what failed before and waits to be tried again.
#[utoipa::path(delete, path = "/api/v1/webhooks/{webhook_id}", tag = "webhooks", params(("webhook_id" = String, Path)),
    responses((status = 204, description = "deleted"), Refusals))]
async fn delete_webhook(caller: Caller, State(docs): State<Docs>, Path(id): Path<WebhookId>) -> Result<StatusCode> {
    let remove = |webhooks: &mut Webhooks| match webhooks.remove(&id) {
        true => Ok(()),
        false => Err(Problem::not_found(id.as_str())),
    };
    webhooks::update(&docs, &caller.uid, remove).await?;
    tracing::info!(webhook.id = %id, "webhook deleted");
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests;
