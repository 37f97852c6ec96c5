//! `POST /api/v1/webhooks`: an endpoint of the caller's that is told of what happens to their runs.

use axum::{Json, extract::State, http::StatusCode};
use domain::{EventKind, MAX_WEBHOOKS, Webhook, WebhookId};
use serde::Deserialize;
use service::{
    Body, Caller, Function, Problem, Refusals, Result, World,
    webhooks::{self, Target, WebhookSecret},
};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

pub const FUNCTION: Function = Function::http("create-webhook", router);

/// Characters of a description.
const MAX_DESCRIPTION: usize = 200;

fn router() -> OpenApiRouter<World> {
    OpenApiRouter::new().routes(routes!(create_webhook))
}

/// A new endpoint.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct WebhookRequest {
    /// An https URL on the public internet.
    #[schema(example = "https://example.org/hooks/omtx", max_length = 2048)]
    url: String,
    /// What it is told of.
    #[schema(min_items = 1)]
    events: Vec<EventKind>,
    #[schema(max_length = 200)]
    description: Option<String>,
}

/// Makes an endpoint, of which a user has at most ten. The secret that verifies its messages is in this answer only.
#[utoipa::path(post, path = "/api/v1/webhooks", tag = "webhooks", request_body = WebhookRequest,
    responses((status = 201, body = WebhookSecret), Refusals))]
async fn create_webhook(
    caller: Caller,
    State(world): State<World>,
    Body { value, .. }: Body<WebhookRequest>,
) -> Result<(StatusCode, Json<WebhookSecret>)> {
    let mut events = value.events;
    events.sort();
    events.dedup();
    if events.is_empty() {
        return Err(Problem::field("/events", "names no event"));
    }
    if value.description.as_ref().is_some_and(|text| text.chars().count() > MAX_DESCRIPTION) {
        return Err(Problem::field("/description", format!("has more than {MAX_DESCRIPTION} characters")));
    }
    let url = judge(&world, &value.url).await?;
    let id = WebhookId::new(&world.ids.next()).map_err(Problem::internal)?;
    let secret = webhooks::new_secret(&world.ids);
    let mut webhook = Webhook::new(id, url, events, secret.clone(), world.clock.now().into());
    webhook.description = value.description;
    let add = |webhooks: &mut domain::Webhooks| match webhooks.add(webhook.clone()) {
        true => Ok(()),
        false => Err(Problem::conflict(format!("there are {MAX_WEBHOOKS} webhooks already; delete one first"))),
    };
    webhooks::update(&world.docs, &caller.uid, add).await?;
    tracing::info!(webhook.id = %webhook.id, "webhook made");
    Ok((StatusCode::CREATED, Json(WebhookSecret::new(&webhook, &secret))))
}

/// The URL as it will be called, if it may be.
async fn judge(world: &World, url: &str) -> Result<String> {
    let refused = |refusal: webhooks::Refusal| Problem::field("/url", refusal.to_string());
    let target = Target::parse(url, world.settings.webhooks_to_loopback).map_err(refused)?;
    target.addresses(&world.resolver).await.map_err(refused)?;
    Ok(target.url().to_string())
}

#[cfg(test)]
mod tests;
