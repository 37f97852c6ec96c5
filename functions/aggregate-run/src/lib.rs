//! `aggregate-run`: a run's document was written. When every item has ended, one writer at a time takes its turn, writes
//! the results under its token, and completes the run in one commit that also says so to its user. A writer that fails
//! gives its turn back; one that was too slow, or died, has it taken over, and what it still writes lies under a token
//! that nobody reads.

use axum::{extract::State, http::StatusCode, routing::post};
use domain::{JobType, Run};
use service::{
    Function, Result, Trigger, World, chain,
    events::DocumentChange,
    runs::{
        self,
        results::{self, Layout},
        reuse, rows,
    },
};
use utoipa_axum::router::OpenApiRouter;

pub const FUNCTION: Function =
    Function::on("aggregate-run", Trigger::DocumentWritten { pattern: "users/*/jobs/*" }, router);

fn router() -> OpenApiRouter<World> {
    OpenApiRouter::new().route("/", post(aggregate_run))
}

async fn aggregate_run(State(world): State<World>, change: DocumentChange) -> Result<StatusCode> {
    // A turn that was taken or given back calls nobody: who gave it back is called again for the event it failed at.
    if change.text("status") != Some("aggregating") || change.alters("aggregation") {
        return Ok(StatusCode::NO_CONTENT);
    }
    let Some(run) = world.docs.find::<Run>(&change.path).await? else { return Ok(StatusCode::NO_CONTENT) };
    let mut token = None;
    let turn = |run: &mut Run| {
        token = run.begin_aggregation(world.clock.now().into());
        token.is_some()
    };
    let run = runs::update(&world.docs, &run.value.uid, &run.value.job_id, turn).await?;
    if let (Some(run), Some(token)) = (run, token)
        && let Err(error) = aggregate(&world, &run.value, token).await
    {
        let back = |run: &mut Run| run.give_back(token, world.clock.now().into());
        if let Err(error) = runs::update(&world.docs, &run.value.uid, &run.value.job_id, back).await {
            tracing::error!(job.id = %run.value.job_id, error = %chain(&error), "a turn could not be given back");
        }
        return Err(error);
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Writes the results in the turn `token`, and ends the run with them.
async fn aggregate(world: &World, run: &Run, token: u32) -> Result<()> {
    let Layout { summary, simulated, .. } = results::write(&world.docs, &world.blobs, run, token).await?;
    let row = match run.job_type {
        JobType::Individual => rows::one(&world.docs, &world.blobs, run, 1).await?.and_then(|(_, row)| row),
        JobType::BatchParent | JobType::BatchChild => None,
    };
    let finish = |run: &mut Run| {
        let ends = run.finish(token, summary.clone(), simulated, world.clock.now().into());
        if ends {
            run.row = row.clone().map(Box::new);
        }
        ends
    };
    let Some(ended) = runs::update(&world.docs, &run.uid, &run.job_id, finish).await? else {
        tracing::info!(job.id = %run.job_id, "the run was purged while its results were written");
        runs::remove_objects(&world.blobs, &run.uid, &run.job_id).await?;
        return Ok(reuse::withdraw(&world.blobs, &run.uid, &run.job_id, run.question.as_deref()).await?);
    };
    if ended.value.results == Some(token) {
        let (completed, failed) = (summary.completed_jobs, summary.failed_jobs);
        tracing::info!(job.id = %run.job_id, token, completed, failed, "run ended");
        results::remove_older(&world.blobs, run, token).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
