//! `on-shard-report`: a worker wrote a report. The shard's document takes it over if it is news, and the run is looked
//! at in any case: a report that arrives twice must not be the one that nobody counted. A shard that is done teaches what
//! its model takes. The last words of a worker whose run was purged meanwhile are removed, with what else it left.

use axum::{extract::State, http::StatusCode, routing::post};
use domain::{
    Run,
    safeguard::{Safeguard, holds},
};
use service::{
    Function, Result, Trigger, World,
    events::Finalized,
    places,
    runs::{
        self, costs,
        shards::{evaluate, take_news, wake_dispatcher},
    },
};
use utoipa_axum::router::OpenApiRouter;

pub const FUNCTION: Function =
    Function::on("on-shard-report", Trigger::ObjectFinalized { bucket: places::REPORTS }, router);

fn router() -> OpenApiRouter<World> {
    OpenApiRouter::new().route("/", post(on_shard_report))
}

async fn on_shard_report(State(world): State<World>, object: Finalized) -> Result<StatusCode> {
    let named = places::parse_report(object.path.name()).filter(|_| object.path.bucket() == places::REPORTS);
    let Some((uid, job, shard)) = named else {
        tracing::warn!(object = %object.path, "this object is no report");
        return Ok(StatusCode::NO_CONTENT);
    };
    let taken = take_news(&world, &uid, &job, shard).await?;
    if taken.is_none() && world.docs.find::<Run>(&places::job(&uid, &job)).await?.is_none() {
        tracing::info!(job.id = %job, "a report of a purged run");
        runs::remove_objects(&world.blobs, &uid, &job).await?;
        return Ok(StatusCode::NO_CONTENT);
    }
    let news = taken.as_ref().is_some_and(|(_, news)| *news);
    if news || holds(Safeguard::ReevaluateOnDuplicate) {
        evaluate(&world, &uid, &job).await?;
    }
    let Some((shard, _)) = taken.filter(|(shard, _)| shard.done) else { return Ok(StatusCode::NO_CONTENT) };
    wake_dispatcher(&world).await?;
    if news {
        costs::learn(&world, &uid, &job, &shard).await;
    }
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests;
