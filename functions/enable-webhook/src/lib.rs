//! `POST /api/v1/webhooks/{webhook_id}/enable`: an endpoint that was disabled listens again.

use axum::{Json, extract::State};
use domain::{Webhook, WebhookId};
use service::{
    Caller, Function, Path, Refusals, Result, World,
    webhooks::{self, WebhookView},
};
use utoipa_axum::{router::OpenApiRouter, routes};

pub const FUNCTION: Function = Function::http("enable-webhook", router);

fn router() -> OpenApiRouter<World> {
    OpenApiRouter::new().routes(routes!(enable_webhook))
}

/// What happens from now on is sent to it; what happened while it was disabled is not. Enabling it twice is no error.
#[utoipa::path(post, path = "/api/v1/webhooks/{webhook_id}/enable", tag = "webhooks",
    params(("webhook_id" = String, Path)), responses((status = 200, body = WebhookView), Refusals))]
async fn enable_webhook(
    caller: Caller,
    State(world): State<World>,
    Path(id): Path<WebhookId>,
) -> Result<Json<WebhookView>> {
    let now = world.clock.now().into();
    let enable = |webhook: &mut Webhook| {
        webhook.enable(now);
        Ok(WebhookView::new(webhook))
    };
    let view = webhooks::change(&world.docs, &caller.uid, &id, enable).await?;
    tracing::info!(webhook.id = %id, "webhook enabled");
    Ok(Json(view))
}

#[cfg(test)]
mod tests;
