//! `on-notice`: a user is to be told of something. Every endpoint of theirs that wants to hear of it gets a delivery,
//! created once under an id made from the notice and the endpoint, so that hearing of a notice twice sends nothing
//! twice.

mod payload;

use axum::{extract::State, http::StatusCode, routing::post};
use domain::{Delivery, Notice, Run};
use platform::Ids;
use service::{Function, Result, Trigger, World, events::DocumentChange, places, webhooks};
use utoipa_axum::router::OpenApiRouter;

pub const FUNCTION: Function =
    Function::on("on-notice", Trigger::DocumentWritten { pattern: "users/*/notices/*" }, router);

fn router() -> OpenApiRouter<World> {
    OpenApiRouter::new().route("/", post(on_notice))
}

async fn on_notice(State(world): State<World>, change: DocumentChange) -> Result<StatusCode> {
    if change.text("job_id").is_none() {
        // It tells of an endpoint that was disabled, which is for its owner alone.
        return Ok(StatusCode::NO_CONTENT);
    }
    let Some(notice) = world.docs.find::<Notice>(&change.path).await? else { return Ok(StatusCode::NO_CONTENT) };
    let notice = notice.value;
    let webhooks = webhooks::of(&world.docs, &notice.uid).await?;
    let wants = webhooks.endpoints.iter().filter(|webhook| webhook.wants(notice.event.kind(), notice.at));
    let wants: Vec<_> = wants.collect();
    // A run that was purged meanwhile has nothing to be told of any more.
    let run = world.docs.find::<Run>(&places::job(&notice.uid, &notice.job_id)).await?;
    let Some(run) = run.filter(|_| !wants.is_empty()) else { return Ok(StatusCode::NO_CONTENT) };
    let payload = payload::of(&notice, &run.value).to_string();
    for webhook in wants {
        let id = format!("msg_{}", Ids::derived(&[notice.uid.as_str(), &notice.id(), webhook.id.as_str()]));
        let (uid, job) = (notice.uid.clone(), Some(notice.job_id.clone()));
        let (event, now) = (notice.event.kind().as_str(), world.clock.now().into());
        let delivery = Delivery::new(id, uid, webhook.id.clone(), event, job, payload.clone(), now);
        webhooks::hand_over(&world, &delivery).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests;
