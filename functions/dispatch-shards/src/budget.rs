//! The limit a user set on a run's cost. A shard is started only if it is expected to end within it, together with all
//! that was spent and is being spent. Where nothing more may start and nothing is at work, or where what is at work has
//! come to cost as much already, the run is stopped: its shards are closed, and it ends with what it has.

use domain::{Budget, LeasedShard, Price, Run, RunError, Shard, ShardState};
use platform::{Number, Query};
use serde_json::json;
use service::{
    Result, World, places,
    runs::{self, closing::close_open},
};
use std::collections::BTreeSet;

const PRICE: Price = Price::L4_US_CENTRAL1;

/// Of the shards that `wait`, those the run's limit allows to start. `held` are the shards that have a slot.
pub async fn keep(
    world: &World,
    run: &Run,
    held: &[LeasedShard],
    mut wait: Vec<LeasedShard>,
) -> Result<Vec<LeasedShard>> {
    let Some(limit_usd) = run.max_cost_usd else { return Ok(wait) };
    let (budget, at_work) = look(world, run, limit_usd, held).await?;
    let affordable = budget.affordable(PRICE) as usize;
    if affordable == 0 && at_work == 0 && !wait.is_empty() {
        let more = format!("another shard of about {:.2} would go beyond", PRICE.of(budget.shard_seconds));
        stop(world, run, budget.spent_seconds, &more, limit_usd).await?;
        close_open(world, &run.uid, &run.job_id).await?;
    }
    wait.truncate(affordable);
    Ok(wait)
}

/// True where nothing of the run is to be at work any more: it was stopped, or is stopped now because its shards have
/// told of as much as it may cost.
pub async fn is_stopped(world: &World, run: &Run) -> Result<bool> {
    let Some(limit_usd) = run.max_cost_usd.filter(|_| run.stopped.is_none()) else { return Ok(run.stopped.is_some()) };
    let all = Query::collection(places::shards(&run.uid, &run.job_id));
    let [spent_seconds] = world.docs.aggregate(&all, [Number::Sum("gpu_seconds")]).await?;
    let spent = PRICE.of(spent_seconds) >= limit_usd;
    if spent {
        stop(world, run, spent_seconds, "its shards are not done, and that is", limit_usd).await?;
    }
    Ok(spent)
}

/// What was spent, what is being spent, and how many shards are at work. What one more shard takes is told by those that
/// are done, and before by the plan.
async fn look(world: &World, run: &Run, limit_usd: f64, held: &[LeasedShard]) -> Result<(Budget, usize)> {
    let all = Query::collection(places::shards(&run.uid, &run.job_id));
    let [spent_seconds] = world.docs.aggregate(&all, [Number::Sum("gpu_seconds")]).await?;
    let of_done = [Number::Count, Number::Sum("gpu_seconds")];
    let [done, done_seconds] = world.docs.aggregate(&all.clone().equals("done", true), of_done).await?;
    let planned = run.plan.as_ref().map_or(0.0, |plan| plan.shard_seconds());
    // Shards whose results were known took nothing, and tell nothing.
    let known = run.plan.as_ref().map_or(0, |plan| plan.known.shards() - plan.known.gone);
    let done_by_workers = done - f64::from(known);
    let shard_seconds = if done_by_workers > 0.0 { done_seconds / done_by_workers } else { planned };
    let (mut in_flight_seconds, mut at_work) = (0.0, BTreeSet::new());
    for state in [ShardState::Launched, ShardState::Running] {
        for shard in world.docs.query::<Shard>(&all.clone().equals("state", json!(state))).await? {
            let shard = shard.value;
            in_flight_seconds += (shard_seconds - (shard.gpu_seconds - shard.spent_before)).max(0.0);
            at_work.insert(shard.shard);
        }
    }
    for leased in held {
        if at_work.insert(leased.shard) {
            in_flight_seconds += shard_seconds;
        }
    }
    Ok((Budget { limit_usd, spent_seconds, in_flight_seconds, shard_seconds }, at_work.len()))
}

async fn stop(world: &World, run: &Run, spent_seconds: f64, why: &str, limit_usd: f64) -> Result<()> {
    let spent = PRICE.of(spent_seconds);
    let message = format!("the run has cost {spent:.2} US dollars; {why} its limit of {limit_usd:.2}");
    tracing::warn!(job.id = %run.job_id, message, "run stopped");
    let reason = RunError::new("over_budget", &message);
    runs::update(&world.docs, &run.uid, &run.job_id, |run| run.stop(reason.clone())).await?;
    Ok(())
}
