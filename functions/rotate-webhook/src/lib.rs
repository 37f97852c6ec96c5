//! `POST /api/v1/webhooks/{webhook_id}/rotate`: a new secret for an endpoint, without a message lost.

use axum::{Json, extract::State};
use domain::{OVERLAP_SECONDS, Webhook, WebhookId};
use service::{
    Caller, Function, Path, Problem, Refusals, Result, World,
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
    params(("webhook_id" = String, Path)), responses((status = 200, body = WebhookSecret), Refusals))]
async fn rotate_webhook(
    caller: Caller,
    State(world): State<World>,
    Path(id): Path<WebhookId>,
) -> Result<Json<WebhookSecret>> {
    let (secret, now) = (webhooks::new_secret(&world.ids), world.clock.now().into());
    let rotate = |webhook: &mut Webhook| match webhook.rotate(secret.clone(), now) {
        true => Ok(webhook.clone()),
        false => Err(Problem::conflict("too many secrets of this webhook are valid; rotate it again later")
            .retry_after(OVERLAP_SECONDS)),
    };
    let webhook = webhooks::change(&world.docs, &caller.uid, &id, rotate).await?;
    tracing::info!(webhook.id = %id, "webhook has a new secret");
    Ok(Json(WebhookSecret::new(&webhook, &secret)))
}

#[cfg(test)]
mod tests;
