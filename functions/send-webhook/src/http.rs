//! One HTTP request to an endpoint that a stranger named: to an address that was judged public a moment before, without
//! redirects, proxies or retries, and with an end to how long it takes and how much of the answer is read.

use crate::sign;
use chrono::{DateTime, Utc};
use domain::{Delivery, DeliveryOutcome, Webhook};
use reqwest::{
    Client, RequestBuilder, Response,
    header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER},
    redirect, retry,
};
use service::{
    World, chain,
    webhooks::{Refusal, Target},
};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// From the first look at the URL to the last byte of the answer. Standard Webhooks recommends 15 to 30 seconds.
pub const WITHIN: Duration = Duration::from_secs(15);
/// Of them, for the connection.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// Bytes of the answer's body that are read.
const BODY: usize = 1024;
/// Characters of an error that are kept.
const ERROR: usize = 300;

/// Why there was no answer, as the endpoint's owner is told.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the URL {0}")]
    Refused(Refusal),
    /// With the cause, which names certificates and the like, and not the URL, which may hold a token.
    #[error("the request failed: {0}")]
    Request(String),
    #[error("there was no answer in time")]
    TimedOut,
}

/// Sends the delivery's message and waits for the answer so long; every failure is an outcome.
pub async fn post(world: &World, webhook: &Webhook, delivery: &Delivery, within: Duration) -> DeliveryOutcome {
    let (begun, deadline) = (world.clock.now(), Instant::now() + within);
    let answer = timeout_at(deadline, send(world, webhook, delivery, begun)).await;
    let mut outcome = match answer.unwrap_or(Err(Failure::TimedOut)) {
        Ok(mut response) => DeliveryOutcome {
            status: Some(response.status().as_u16()),
            retry_after: retry_after(response.headers(), begun),
            body: beginning(&mut response, deadline).await,
            ..DeliveryOutcome::default()
        },
        Err(failure) => {
            let text = failure.to_string().chars().take(ERROR).collect();
            DeliveryOutcome { error: Some(text), ..DeliveryOutcome::default() }
        }
    };
    outcome.milliseconds = (world.clock.now() - begun).num_milliseconds().unsigned_abs();
    outcome
}

async fn send(world: &World, webhook: &Webhook, delivery: &Delivery, now: DateTime<Utc>) -> Result<Response, Failure> {
    let target = Target::parse(&webhook.url, world.settings.webhooks_to_loopback).map_err(Failure::Refused)?;
    let request = request(&target, world).await?;
    let signature = sign::signatures(webhook.signing(now.into()), &delivery.id, now.timestamp(), &delivery.payload);
    let request = request
        .header(CONTENT_TYPE, "application/json")
        .header("webhook-id", &delivery.id)
        .header("webhook-timestamp", now.timestamp())
        .header("webhook-signature", signature)
        .body(delivery.payload.clone());
    request.send().await.map_err(failed)
}

/// A request that can reach the addresses that were judged, and nothing else: the client lives for it alone.
async fn request(target: &Target, world: &World) -> Result<RequestBuilder, Failure> {
    let addresses = target.addresses(&world.resolver).await.map_err(Failure::Refused)?;
    let mut client = Client::builder()
        .user_agent("OMTX-Hub-Webhooks/1")
        .no_proxy()
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .referer(false)
        .connect_timeout(CONNECT_WITHIN)
        .pool_max_idle_per_host(0);
    if let Some(name) = target.url().domain() {
        client = client.resolve_to_addrs(name, &addresses);
    }
    Ok(client.build().map_err(failed)?.post(target.url().clone()))
}

fn failed(error: reqwest::Error) -> Failure {
    Failure::Request(chain(&error.without_url()))
}

/// The beginning of the body, as far as it came in time; what is left of it is not read.
async fn beginning(response: &mut Response, deadline: Instant) -> Option<String> {
    let mut read = vec![];
    while read.len() < BODY
        && let Ok(Ok(Some(chunk))) = timeout_at(deadline, response.chunk()).await
    {
        read.extend_from_slice(&chunk);
    }
    read.truncate(BODY);
    (!read.is_empty()).then(|| String::from_utf8_lossy(&read).into_owned())
}

/// Seconds of a `Retry-After` header, which names them or a time.
fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<u64> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let until = |text| DateTime::parse_from_rfc2822(text).ok().map(|time| (time.to_utc() - now).num_seconds().max(0));
    let seconds = text.parse().ok().or_else(|| until(text)?.try_into().ok())?;
    Some(u64::min(seconds, u32::MAX.into()))
}
