//! `reconcile`: once a minute, looks for runs that have been silent for a while, finds out why, and mends them. And for
//! messages to users' endpoints that are due, and has them sent. And for runs that are to be looked at once more, because
//! they were purged or ended early.

mod webhooks;

use axum::{extract::State, http::StatusCode, routing::post};
use service::{
    Function, Result, Trigger, World,
    runs::{self, repair, shards::wake_dispatcher},
};
use std::time::Duration;
use utoipa_axum::router::OpenApiRouter;

pub const FUNCTION: Function = Function::on("reconcile", Trigger::Schedule { every: Duration::from_secs(60) }, router);

fn router() -> OpenApiRouter<World> {
    OpenApiRouter::new().route("/", post(reconcile))
}

async fn reconcile(State(world): State<World>) -> Result<StatusCode> {
    let swept = repair::sweep(&world).await;
    let woken = webhooks::wake_due(&world, world.clock.now().into()).await;
    let looked = runs::look_again(&world).await;
    // The dispatcher is woken in any case, and last: what was just taken back waits for no other waking.
    wake_dispatcher(&world).await?;
    swept?;
    woken?;
    looked?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests;
