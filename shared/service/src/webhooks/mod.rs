//! What several functions do with webhooks: keep a user's endpoints, judge where a message may go, and hand a message
//! to the function that sends it. The rules of endpoints and deliveries are in `domain`; sending and signing are
//! `send-webhook`'s alone. The document of endpoints holds secrets: it lies where no browser reads, and no view shows
//! them.

mod address;
mod resolver;
mod target;

pub use resolver::Resolver;
pub use target::{Refusal, Target};

use crate::{
    Problem, World, places,
    repeat::{Answer, Decided, Kept},
};
use axum::http::StatusCode;
use base64::{Engine, prelude::BASE64_STANDARD};
use domain::{Delivery, Disabled, EventKind, Secret, Timestamp, Uid, Webhook, WebhookId, Webhooks};
use platform::{Docs, Error, Ids, Message, Versioned, Write};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// The message that wakes `send-webhook`: which delivery to look at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Due {
    #[serde(deserialize_with = "Uid::stored")]
    pub uid: Uid,
    pub delivery: String,
}

/// An endpoint as its user sees it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct WebhookView {
    pub webhook_id: WebhookId,
    pub url: String,
    pub description: Option<String>,
    /// What it is told of.
    pub events: Vec<EventKind>,
    pub created_at: Timestamp,
    /// Null while messages are sent to it.
    pub disabled: Option<Disabled>,
}

/// An endpoint with its secret, shown this once.
#[derive(Serialize, ToSchema)]
pub struct WebhookSecret {
    #[serde(flatten)]
    pub webhook: WebhookView,
    /// Verifies the signatures of its messages. It is not shown again: null where the request is a repeated one.
    #[schema(example = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")]
    secret: Option<String>,
}

impl WebhookView {
    pub fn new(webhook: &Webhook) -> Self {
        WebhookView {
            webhook_id: webhook.id.clone(),
            url: webhook.url.clone(),
            description: webhook.description.clone(),
            events: webhook.events.clone(),
            created_at: webhook.created_at,
            disabled: webhook.disabled,
        }
    }
}

impl WebhookSecret {
    /// What the request comes to that made `secret`: shown in this answer, not in what is remembered of it.
    pub fn decided(webhook: &Webhook, secret: &Secret, status: StatusCode, write: Write) -> Result<Decided, Problem> {
        let answer = |secret| Answer::new(status, &WebhookSecret { webhook: WebhookView::new(webhook), secret });
        let (shown, kept) = (answer(Some(secret.reveal().to_owned()))?, answer(None)?);
        Ok(Decided { answer: shown, kept: Kept::Answer(kept), writes: vec![write] })
    }
}

/// A secret of 32 bytes that hold 240 random bits; Standard Webhooks asks for 24 to 64 bytes.
pub fn new_secret(ids: &Ids) -> Secret {
    let random = Sha256::digest(format!("{}{}", ids.next(), ids.next()));
    Secret::new(format!("whsec_{}", BASE64_STANDARD.encode(random)))
}

/// A user's endpoints; none where none was ever made.
pub async fn of(docs: &Docs, uid: &Uid) -> platform::Result<Webhooks> {
    let found = docs.find::<Webhooks>(&places::webhooks(uid)).await?;
    Ok(found.map(|found| found.value).unwrap_or_default())
}

/// The endpoint, or a 404, whoever else may have one of that name.
pub async fn find(docs: &Docs, uid: &Uid, id: &WebhookId) -> Result<Webhook, Problem> {
    of(docs, uid).await?.find(id).cloned().ok_or_else(|| Problem::not_found(id.as_str()))
}

/// Reads a user's endpoints, lets `change` alter them, and writes them back, again until nobody was faster.
pub async fn update<T, F>(docs: &Docs, uid: &Uid, change: F) -> Result<T, Problem>
where
    F: Fn(&mut Webhooks) -> Result<T, Problem>,
{
    loop {
        let (outcome, write) = updated(docs, uid, &change).await?;
        match docs.commit(vec![write]).await {
            Err(error) if error.is_race() => continue,
            written => return Ok(written.map(|()| outcome)?),
        }
    }
}

/// One try of [`update`]: what `change` comes to, and the write that makes it so if nobody was faster.
pub async fn updated<T, F>(docs: &Docs, uid: &Uid, change: F) -> Result<(T, Write), Problem>
where
    F: Fn(&mut Webhooks) -> Result<T, Problem>,
{
    let path = places::webhooks(uid);
    let (mut webhooks, version) = match docs.find::<Webhooks>(&path).await? {
        Some(Versioned { value, version, .. }) => (value, Some(version)),
        None => (Webhooks::default(), None),
    };
    let outcome = change(&mut webhooks)?;
    let write = match version {
        Some(version) => Write::replace(path, &webhooks, version)?,
        None => Write::create(path, &webhooks)?,
    };
    Ok((outcome, write))
}

/// One try at changing one endpoint; 404 where there is none of this name.
pub async fn changed<T, F>(docs: &Docs, uid: &Uid, id: &WebhookId, change: F) -> Result<(T, Write), Problem>
where
    F: Fn(&mut Webhook) -> Result<T, Problem>,
{
    let one = |webhooks: &mut Webhooks| match webhooks.find_mut(id) {
        Some(webhook) => change(webhook),
        None => Err(Problem::not_found(id.as_str())),
    };
    updated(docs, uid, one).await
}

/// Writes a delivery down, once, and has it sent. Whoever dies in between is made up for by the sweep, which finds what
/// is due.
pub async fn hand_over(world: &World, delivery: &Delivery) -> platform::Result<()> {
    match world.docs.create(&places::delivery(&delivery.uid, &delivery.id), delivery).await {
        Ok(()) | Err(Error::AlreadyExists(_)) => {}
        Err(error) => return Err(error),
    }
    wake(world, &delivery.uid, &delivery.id).await
}

/// Has the delivery looked at; harmless where it is not due.
pub async fn wake(world: &World, uid: &Uid, delivery: &str) -> platform::Result<()> {
    let due = Due { uid: uid.clone(), delivery: delivery.to_owned() };
    let data = serde_json::to_vec(&due).map_err(|error| Error::internal("writing a message", error))?;
    world.bus.publish(places::WEBHOOKS, Message { data, attributes: BTreeMap::new() }).await
}
