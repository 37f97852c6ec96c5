//! `GET /api/v1/webhooks/{webhook_id}/deliveries`: what was sent to an endpoint, what it answered, what is tried again.

use axum::{Json, extract::State};
use domain::{Attempt, Delivery, DeliveryState, JobId, Timestamp, WebhookId};
use platform::{Direction, Docs, Query as Documents};
use serde::Serialize;
use service::{
    Caller, Function, Path, Query, Refusals, Result, World,
    paging::{self, PageQuery},
    places, webhooks,
};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

pub const FUNCTION: Function = Function::http("list-deliveries", router);

fn router() -> OpenApiRouter<World> {
    OpenApiRouter::new().routes(routes!(list_deliveries))
}

/// One message to an endpoint.
#[derive(Serialize, ToSchema)]
struct DeliveryView {
    /// The header `webhook-id` of every attempt.
    delivery_id: String,
    /// The type of the message, e.g. `batch.completed`.
    event: String,
    /// The job or batch it is about; null for a test.
    job_id: Option<JobId>,
    state: DeliveryState,
    created_at: Timestamp,
    /// Null once it is not tried any more.
    next_attempt_at: Option<Timestamp>,
    /// In the order they were made.
    attempts: Vec<Attempt>,
}

/// A page of deliveries.
#[derive(Serialize, ToSchema)]
struct DeliveryList {
    deliveries: Vec<DeliveryView>,
    next_cursor: Option<String>,
    has_more: bool,
}

/// The messages to an endpoint, newest first; they are kept for 30 days.
#[utoipa::path(get, path = "/api/v1/webhooks/{webhook_id}/deliveries", tag = "webhooks",
    params(("webhook_id" = String, Path), PageQuery), responses((status = 200, body = DeliveryList), Refusals))]
async fn list_deliveries(
    caller: Caller,
    State(docs): State<Docs>,
    Path(id): Path<WebhookId>,
    Query(asked): Query<PageQuery>,
) -> Result<Json<DeliveryList>> {
    webhooks::find(&docs, &caller.uid, &id).await?;
    let (limit, all) = (paging::limit(asked.limit)?, places::deliveries(&caller.uid));
    let after = paging::decode(&all, asked.cursor.as_deref())?;
    let query = Documents::collection(all).equals("webhook_id", id.as_str());
    let query = query.order_by("created_at", Direction::Descending).after(after).limit(limit + 1);
    let mut found = docs.query::<Delivery>(&query).await?;
    let has_more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let last = found.last().filter(|_| has_more);
    let next_cursor = last.map(|last| paging::encode(last.value.created_at, &last.value.id));
    let deliveries = found.into_iter().map(|delivery| view(delivery.value)).collect();
    Ok(Json(DeliveryList { deliveries, next_cursor, has_more }))
}

fn view(delivery: Delivery) -> DeliveryView {
    DeliveryView {
        delivery_id: delivery.id,
        event: delivery.event,
        job_id: delivery.job_id,
        state: delivery.state,
        created_at: delivery.created_at,
        next_attempt_at: delivery.next_attempt_at,
        attempts: delivery.attempts,
    }
}

#[cfg(test)]
mod tests;
