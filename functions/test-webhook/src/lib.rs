//! `POST /api/v1/webhooks/{webhook_id}/test`: a message to try an endpoint with, on the way that all messages take.

use axum::{Json, extract::State, http::StatusCode};
use domain::{Delivery, Timestamp, WebhookId};
use serde::Serialize;
use serde_json::json;
use service::{Caller, Function, Path, Problem, Refusals, Result, World, webhooks};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

pub const FUNCTION: Function = Function::http("test-webhook", router);

/// The type of the message.
const EVENT: &str = "webhook.test";

fn router() -> OpenApiRouter<World> {
    OpenApiRouter::new().routes(routes!(test_webhook))
}

/// A message on its way.
#[derive(Serialize, ToSchema)]
struct TestDelivery {
    /// Found in the endpoint's deliveries, and in the header `webhook-id`.
    #[schema(example = "msg_0a1b2c3d4e5f6g7h8j9kmnpq")]
    delivery_id: String,
}

/// Sends a message of the type `webhook.test`, once: how it went is in the endpoint's deliveries a moment later.
#[utoipa::path(post, path = "/api/v1/webhooks/{webhook_id}/test", tag = "webhooks",
    params(("webhook_id" = String, Path)), responses((status = 202, body = TestDelivery), Refusals))]
async fn test_webhook(
    caller: Caller,
    State(world): State<World>,
    Path(id): Path<WebhookId>,
) -> Result<(StatusCode, Json<TestDelivery>)> {
    let webhook = webhooks::find(&world.docs, &caller.uid, &id).await?;
    if webhook.disabled.is_some() {
        return Err(Problem::conflict("the webhook is disabled; enable it first"));
    }
    let now = Timestamp::from(world.clock.now());
    let payload = json!({"type": EVENT, "timestamp": now, "data": {"webhook_id": id}}).to_string();
    let delivery_id = format!("msg_{}", world.ids.next());
    let delivery = Delivery::new(delivery_id.clone(), caller.uid, id, EVENT, None, payload, now);
    webhooks::hand_over(&world, &delivery).await?;
    Ok((StatusCode::ACCEPTED, Json(TestDelivery { delivery_id })))
}

#[cfg(test)]
mod tests;
