//! One long call of a function: an event is brought to its process, and its time, its processor time and the most memory
//! it held are taken.

use crate::{
    Outcome,
    load::{Request, expect, send},
    process::{Environment, Service, cpu, memory},
};
use axum::{body::Body, http};
use std::time::Duration;

/// What it came to.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    pub time: Duration,
    /// In seconds, over all threads.
    pub cpu: f64,
    /// In MiB.
    pub peak: f64,
}

/// Starts the function, brings it the event and waits for its answer.
pub async fn step(name: &str, environment: &Environment, event: http::Request<Body>) -> Outcome<Step> {
    let service = Service::function(name, environment)?;
    let request = on_the_wire(event).await?;
    let before = cpu(service.id())?;
    let done = send(service.address, 1.0, std::slice::from_ref(&request)).await?;
    let (cpu, peak) = (cpu(service.id())? - before, memory(service.id())?.1);
    let (times, answers): (Vec<_>, Vec<_>) = done.into_iter().unzip();
    expect(name, 204, &answers)?;
    Ok(Step { time: times[0], cpu, peak })
}

/// An event as the bytes that Google would send.
async fn on_the_wire(event: http::Request<Body>) -> Outcome<Request> {
    let (parts, body) = event.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await?;
    let headers = parts.headers.iter().map(|(name, value)| Ok((name.as_str(), value.to_str()?)));
    let headers = headers.filter(|header| !matches!(header, Ok(("content-length", _)))).collect::<Outcome<Vec<_>>>()?;
    Ok(Request::bytes("POST", "/", &headers, &body))
}
