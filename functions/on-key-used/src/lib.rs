//! `on-key-used`: an API key was used. Writes down when, at most once an hour, so that its owner can tell which keys are
//! needed. The functions that are asked do not write it themselves: most of them may not write documents.

use axum::{extract::State, http::StatusCode, routing::post};
use service::{
    Function, Result, Trigger, World,
    api_key::{ApiKey, KeyUsed},
    events::Push,
    places,
};
use utoipa_axum::router::OpenApiRouter;

pub const FUNCTION: Function = Function::on("on-key-used", Trigger::Message { topic: places::KEY_USED }, router);

fn router() -> OpenApiRouter<World> {
    OpenApiRouter::new().route("/", post(on_key_used))
}

async fn on_key_used(State(world): State<World>, Push { data: used, .. }: Push<KeyUsed>) -> Result<StatusCode> {
    let key = world.docs.find::<ApiKey>(&places::api_key(&used.hash)).await?;
    // A key that was revoked meanwhile is not there; one whose use is written down needs no more.
    if let Some(mut key) = key.filter(|key| key.value.use_is_due(used.at)) {
        key.value.last_used_at = Some(used.at);
        match world.docs.replace(&key).await {
            Err(error) if error.is_race() => {}
            outcome => outcome?,
        }
    }
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests;
