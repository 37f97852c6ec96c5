//! `aggregate-run`: a run's document was written. When every item has ended, the results are written, and then the run
//! is completed in one compare-and-set. Several that do it at once write the same bytes.

use axum::{extract::State, http::StatusCode, routing::post};
use domain::{Run, Status};
use service::{
    Function, Result, Trigger, World,
    events::DocumentChange,
    runs::{self, results, rows},
};
use utoipa_axum::router::OpenApiRouter;

pub const FUNCTION: Function =
    Function::on("aggregate-run", Trigger::DocumentWritten { pattern: "users/*/jobs/*" }, router);

fn router() -> OpenApiRouter<World> {
    OpenApiRouter::new().route("/", post(aggregate_run))
}

async fn aggregate_run(State(world): State<World>, change: DocumentChange) -> Result<StatusCode> {
    if change.text("status") != Some("aggregating") {
        return Ok(StatusCode::NO_CONTENT);
    }
    let run = world.docs.find::<Run>(&change.path).await?.map(|run| run.value);
    let Some(run) = run.filter(|run| run.status == Status::Aggregating) else { return Ok(StatusCode::NO_CONTENT) };
    let rows = rows::ended(&world.docs, &world.blobs, &run).await?;
    let simulated = rows.iter().any(|row| row.simulated);
    let summary = results::write(&world.blobs, &run, rows).await?;
    let now = world.clock.now().into();
    let finish = |run: &mut Run| {
        let finishes = run.status == Status::Aggregating;
        if finishes {
            run.finish(summary.clone(), simulated, now);
        }
        finishes
    };
    runs::update(&world.docs, &run.uid, &run.job_id, finish).await?;
    tracing::info!(job.id = %run.job_id, completed = summary.completed_jobs, failed = summary.failed_jobs, "run ended");
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests;
