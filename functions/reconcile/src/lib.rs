//! `reconcile`: once a minute, looks for runs that have been silent for a while and finds out why. A lost event is told
//! again by touching the document; shards are rebuilt from the reports bucket; an execution that is gone loses its
//! shards. What does not help twenty times ends as a failed run that says so. Webhooks that are due are sent again.

mod webhooks;

use axum::{extract::State, http::StatusCode, routing::post};
use domain::{Lease, Pool, Run, RunError, Shard, ShardState, Status, Timestamp};
use platform::{Direction, Error, Query};
use serde_json::json;
use service::{
    Function, Result, Trigger, World, chain, places,
    runs::{
        self,
        shards::{evaluate, lost, refresh, wake_dispatcher},
    },
};
use std::time::Duration;
use utoipa_axum::router::OpenApiRouter;

pub const FUNCTION: Function = Function::on("reconcile", Trigger::Schedule { every: Duration::from_secs(60) }, router);

/// Runs of one status looked at in one sweep, the oldest first.
const RUNS_SEEN: u32 = 500;
/// So often a document is touched before its run is given up.
const MAX_NUDGES: u32 = 20;

fn router() -> OpenApiRouter<World> {
    OpenApiRouter::new().route("/", post(reconcile))
}

async fn reconcile(State(world): State<World>) -> Result<StatusCode> {
    let swept = sweep(&world).await.and(webhooks::wake_due(&world, world.clock.now().into()).await);
    // The dispatcher is woken in any case, and last: what was just taken back waits for no other waking.
    wake_dispatcher(&world).await?;
    swept?;
    Ok(StatusCode::NO_CONTENT)
}

async fn sweep(world: &World) -> platform::Result<()> {
    let now = Timestamp::from(world.clock.now());
    look_into_leases(world).await?;
    for status in [Status::Queued, Status::Running, Status::Aggregating] {
        let unfinished = Query::group(places::JOBS).equals("status", json!(status));
        let unfinished = unfinished.order_by("created_at", Direction::Ascending).limit(RUNS_SEEN);
        for run in world.docs.query::<Run>(&unfinished).await? {
            let silent = now.seconds_since(run.value.progress_at) >= world.settings.stuck_after.as_secs_f64();
            if silent && let Err(error) = look_into(world, &run.value, now).await {
                // One run that cannot be helped neither keeps the others waiting nor stays for ever; an outage is not
                // its fault.
                tracing::error!(job.id = %run.value.job_id, error = %chain(&error), "a silent run cannot be helped");
                if !matches!(error, Error::Unavailable { .. }) {
                    nudge(world, &run.value, now).await?;
                }
            }
        }
    }
    Ok(())
}

/// Executions that ended unheard give their shards back, also in a run that others keep busy.
async fn look_into_leases(world: &World) -> platform::Result<()> {
    let pool = world.docs.find::<Pool>(&places::pool()).await?.map(|pool| pool.value).unwrap_or_default();
    for lease in &pool.leases {
        if let Err(error) = look_into_lease(world, lease).await {
            tracing::error!(job.id = %lease.job_id, error = %chain(&error), "a lease cannot be looked into");
        }
    }
    Ok(())
}

async fn look_into_lease(world: &World, lease: &Lease) -> platform::Result<()> {
    let Some(execution) = &lease.execution else { return Ok(()) };
    let Some(reason) = gone(world, execution).await? else { return Ok(()) };
    let mut outcome = Ok(());
    for held in &lease.held {
        outcome = outcome.and(lost(world, &lease.uid, &lease.job_id, held.shard, held.launch, reason).await);
    }
    outcome
}

/// Why an execution works on nothing any more; `None` while it may.
async fn gone(world: &World, execution: &str) -> platform::Result<Option<&'static str>> {
    Ok(match world.executions.describe(execution).await? {
        Some(execution) if execution.completed_at.is_none() => None,
        Some(_) => Some("its execution ended"),
        None => Some("its execution is unknown"),
    })
}

async fn look_into(world: &World, run: &Run, now: Timestamp) -> platform::Result<()> {
    let planned = run.plan.as_ref().is_some_and(|plan| plan.ready);
    if run.status == Status::Aggregating || !planned {
        return nudge(world, run, now).await;
    }
    for state in [ShardState::Launched, ShardState::Running] {
        let handed_out = Query::collection(places::shards(&run.uid, &run.job_id)).equals("state", json!(state));
        for shard in world.docs.query::<Shard>(&handed_out).await? {
            repair(world, run, shard.value).await?;
        }
    }
    evaluate(world, &run.uid, &run.job_id).await
}

/// Takes over what the shard's worker reported; if its execution is gone, gives the shard to another one.
async fn repair(world: &World, run: &Run, shard: Shard) -> platform::Result<()> {
    let Some(shard) = refresh(world, &run.uid, &run.job_id, shard.shard).await? else { return Ok(()) };
    let Some(execution) = shard.execution.as_ref().filter(|_| !shard.done) else { return Ok(()) };
    let Some(reason) = gone(world, execution).await? else { return Ok(()) };
    lost(world, &run.uid, &run.job_id, shard.shard, shard.launch, reason).await
}

/// Touches the document, so that the event which was lost, or whose handler failed, is sent again.
async fn nudge(world: &World, run: &Run, now: Timestamp) -> platform::Result<()> {
    let stands = run.status;
    let change = |run: &mut Run| {
        if run.status != stands {
            return false;
        }
        run.nudges += 1;
        run.progress_at = now;
        // Where every item has ended, the results are there to be written: that is never given up.
        if run.nudges > MAX_NUDGES && stands != Status::Aggregating {
            let message = format!("the run stood in {} and did not move on", stands.as_str());
            return run.fail(RunError::new("stuck", &message), now);
        }
        true
    };
    runs::update(&world.docs, &run.uid, &run.job_id, change).await?;
    tracing::warn!(job.id = %run.job_id, status = stands.as_str(), "a silent run was touched");
    Ok(())
}

#[cfg(test)]
mod tests;
