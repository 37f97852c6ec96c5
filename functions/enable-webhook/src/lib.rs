//! `POST /api/v1/webhooks/{webhook_id}/enable`: an endpoint that was disabled listens again.

use axum::{extract::State, http::StatusCode};
use domain::{Webhook, WebhookId};
use service::{
    Caller, Function, IdempotencyKey, Manager, Path, Refusals, Result, World,
    repeat::{self, Answer, Decided, Kept},
    webhooks::{self, WebhookView},
};
use utoipa_axum::{router::OpenApiRouter, routes};

pub const FUNCTION: Function = Function::http("enable-webhook", router);

fn router() -> OpenApiRouter<World> {
    OpenApiRouter::new().routes(routes!(enable_webhook))
}

/// What happens from now on is sent to it; what happened while it was disabled is not. Enabling it twice is no error.
#[utoipa::path(post, path = "/api/v1/webhooks/{webhook_id}/enable", tag = "webhooks",
    params(("webhook_id" = String, Path), IdempotencyKey), responses((status = 200, body = WebhookView), Refusals))]
async fn enable_webhook(
    Manager(caller): Manager,
    State(world): State<World>,
    IdempotencyKey(key): IdempotencyKey,
    Path(id): Path<WebhookId>,
) -> Result<Answer> {
    let decide = |_| enable(&world, &caller, &id);
    let repeatable = repeat::repeatable(key, id.to_string());
    repeat::once(&world, &caller.uid, "enable-webhook", repeatable, decide).await
}

async fn enable(world: &World, caller: &Caller, id: &WebhookId) -> Result<Decided> {
    let now = world.clock.now().into();
    let enable = |webhook: &mut Webhook| {
        webhook.enable(now);
        Ok(WebhookView::new(webhook))
    };
    let (view, write) = webhooks::changed(&world.docs, &caller.uid, id, enable).await?;
    let answer = Answer::new(StatusCode::OK, &view)?;
    Ok(Decided { kept: Kept::Answer(answer.clone()), answer, writes: vec![write] })
}

#[cfg(test)]
mod tests;
