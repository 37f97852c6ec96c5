//! `send-webhook`: makes the attempt of a delivery that is due, and no other. The attempt is claimed before the call
//! goes out and its outcome written down after it, each only if nobody else has been there meanwhile: told twice, or
//! beside itself, it sends once; dead in between, it leaves an attempt that is due again a minute later. What is due
//! and unheard of is found by `reconcile`.

mod http;
mod sign;

use axum::{extract::State, http::StatusCode, routing::post};
use domain::{
    Attempting, Delivery, DeliveryOutcome, DisabledNotice, DisabledReason, Timestamp, Verdict, Webhook, Webhooks,
};
use platform::{DocPath, Versioned, Write};
use service::{
    Function, Result, Trigger, World,
    events::Push,
    places,
    webhooks::{self, Due},
};
use utoipa_axum::router::OpenApiRouter;

pub const FUNCTION: Function = Function::on("send-webhook", Trigger::Message { topic: places::WEBHOOKS }, router);

fn router() -> OpenApiRouter<World> {
    OpenApiRouter::new().route("/", post(send_webhook))
}

async fn send_webhook(State(world): State<World>, Push { data: due, .. }: Push<Due>) -> Result<StatusCode> {
    let path = places::delivery(&due.uid, &due.delivery);
    if let Some((delivery, webhook)) = claim(&world, &path).await? {
        let outcome = http::post(&world, &webhook, &delivery, http::WITHIN).await;
        tracing::info!(
            webhook.id = %webhook.id, delivery.id = delivery.id, attempt = delivery.attempts.len(),
            status = outcome.status, error = outcome.error, "webhook attempted"
        );
        record(&world, &path, delivery.attempts.len(), outcome).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// The delivery with its due attempt claimed, and the endpoint; `None` where nothing is to be sent now.
async fn claim(world: &World, path: &DocPath) -> Result<Option<(Delivery, Webhook)>> {
    loop {
        let Some(mut read) = world.docs.find::<Delivery>(path).await? else { return Ok(None) };
        let now = world.clock.now().into();
        if !read.value.is_due(now) {
            return Ok(None);
        }
        let webhooks = webhooks::of(&world.docs, &read.value.uid).await?;
        let listens = |webhook: &&Webhook| webhook.disabled.is_none();
        let webhook = webhooks.find(&read.value.webhook_id).filter(listens).cloned();
        let attempting = match webhook {
            Some(_) => read.value.claim(now),
            None => {
                read.value.drop_it();
                Attempting::NotDue
            }
        };
        let disables =
            (attempting == Attempting::Exhausted).then_some(DisabledReason::Failing).filter(|_| !read.value.is_test());
        match store(world, &read, disables, now).await {
            Err(error) if error.is_race() => continue,
            stored => stored?,
        }
        let granted = matches!(attempting, Attempting::Granted(_));
        return Ok(webhook.filter(|_| granted).map(|webhook| (read.value, webhook)));
    }
}

/// Writes down how the attempt went. An endpoint that is to hear nothing more is disabled in the same commit.
async fn record(world: &World, path: &DocPath, attempt: usize, outcome: DeliveryOutcome) -> Result<()> {
    loop {
        let Some(mut read) = world.docs.find::<Delivery>(path).await? else { return Ok(()) };
        let now = world.clock.now().into();
        let disables = match read.value.record(attempt, outcome.clone(), now) {
            Verdict::Late => return Ok(()),
            Verdict::Gone => Some(DisabledReason::Gone),
            Verdict::Exhausted => Some(DisabledReason::Failing).filter(|_| !read.value.is_test()),
            Verdict::Delivered | Verdict::Again => None,
        };
        match store(world, &read, disables, now).await {
            Err(error) if error.is_race() => continue,
            stored => return Ok(stored?),
        }
    }
}

/// The delivery and, where there is a reason to, its disabled endpoint and what its owner is told of it: all or nothing.
async fn store(
    world: &World,
    read: &Versioned<Delivery>,
    disables: Option<DisabledReason>,
    now: Timestamp,
) -> platform::Result<()> {
    let delivery = &read.value;
    let mut writes = vec![Write::replace(read.path.clone(), delivery, read.version.clone())?];
    if let Some(reason) = disables
        && let Some(mut webhooks) = world.docs.find::<Webhooks>(&places::webhooks(&delivery.uid)).await?
        && let Some(webhook) = webhooks.value.find_mut(&delivery.webhook_id)
        && webhook.disable(reason, delivery.created_at, now)
    {
        tracing::warn!(webhook.id = %webhook.id, ?reason, "webhook disabled");
        let notice = DisabledNotice::new(delivery.webhook_id.clone(), reason, now);
        writes.push(Write::create(places::notice(&delivery.uid, &notice.id()), &notice)?);
        writes.push(Write::replace(webhooks.path, &webhooks.value, webhooks.version)?);
    }
    world.docs.commit(writes).await
}

#[cfg(test)]
mod tests;
