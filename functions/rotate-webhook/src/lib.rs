//! `POST /api/v1/webhooks/{webhook_id}/rotate`: a new secret for an endpoint, without a message lost.

use axum::{extract::State, http::StatusCode};
use domain::{OVERLAP_SECONDS, Webhook, WebhookId};
use service::{
    Caller, Function, IdempotencyKey, Manager, Path, Problem, Refusals, Result, World,
    repeat::{self, Answer, Decided},
    webhooks::{self, WebhookSecret},
};
use utoipa_axum::{router::OpenApiRouter, routes};

pub const FUNCTION: Function = Function::http("rotate-webhook", router);

fn router() -> OpenApiRouter<World> {
    OpenApiRouter::new().routes(routes!(rotate_webhook))
}

/// A new secret, in this answer only. For 24 hours messages carry two signatures, one of the new secret and one of the
/// old, so that the receiver can change over in its own time. An endpoint whose secret must end at once is deleted and
/// made again.
#[utoipa::path(post, path = "/api/v1/webhooks/{webhook_id}/rotate", tag = "webhooks",
    params(("webhook_id" = String, Path), IdempotencyKey), responses((status = 200, body = WebhookSecret), Refusals))]
async fn rotate_webhook(
    Manager(caller): Manager,
    State(world): State<World>,
    IdempotencyKey(key): IdempotencyKey,
    Path(id): Path<WebhookId>,
) -> Result<Answer> {
    let decide = |_| rotate(&world, &caller, &id);
    let repeatable = repeat::repeatable(key, id.to_string());
    repeat::once(&world, &caller.uid, "rotate-webhook", repeatable, decide).await
}

async fn rotate(world: &World, caller: &Caller, id: &WebhookId) -> Result<Decided> {
    let (secret, now) = (webhooks::new_secret(&world.ids), world.clock.now().into());
    let rotate = |webhook: &mut Webhook| match webhook.rotate(secret.clone(), now) {
        true => Ok(webhook.clone()),
        false => Err(Problem::conflict("too many secrets of this webhook are valid; rotate it again later")
            .retry_after(OVERLAP_SECONDS)),
    };
    let (webhook, write) = webhooks::changed(&world.docs, &caller.uid, id, rotate).await?;
    WebhookSecret::decided(&webhook, &secret, StatusCode::OK, write)
}

#[cfg(test)]
mod tests;
