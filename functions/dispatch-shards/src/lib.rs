//! `dispatch-shards`: starts what fits on the GPUs. It looks at the queue, never at the message that woke it: leases of
//! shards that ended are given back, free slots are granted, and every lease without an execution gets one. A lease is
//! written down before its execution is started, and its id is the claim under which it starts: whoever dies in
//! between, the next waking goes on.

mod leases;

use axum::{extract::State, http::StatusCode, routing::post};
use domain::{
    Demand, LeasedShard, MAX_LAUNCHES, Pool, Run, Shard, Timestamp,
    safeguard::{Safeguard, holds},
};
use platform::{Direction, Docs, Query, Versioned};
use serde::Deserialize;
use service::{Function, Result, Trigger, World, events::Push, places};
use utoipa_axum::router::OpenApiRouter;

pub const FUNCTION: Function = Function::on("dispatch-shards", Trigger::Message { topic: places::DISPATCH }, router);

/// Runs looked at in one waking, the oldest first.
const RUNS_SEEN: u32 = 500;

fn router() -> OpenApiRouter<World> {
    OpenApiRouter::new().route("/", post(dispatch))
}

/// A waking carries nothing.
#[derive(Deserialize)]
struct Waking {}

async fn dispatch(State(world): State<World>, _: Push<Waking>) -> Result<StatusCode> {
    loop {
        let mut pool = pool(&world.docs).await?;
        let before = pool.value.clone();
        leases::release(&world, &mut pool.value).await?;
        grant(&world, &mut pool.value).await?;
        if pool.value != before {
            match world.docs.replace(&pool).await {
                Err(error) if error.is_race() => continue,
                outcome => outcome?,
            }
        }
        leases::start_all(&world).await?;
        return Ok(StatusCode::NO_CONTENT);
    }
}

/// The pool, made where there is none yet.
async fn pool(docs: &Docs) -> Result<Versioned<Pool>> {
    if let Some(pool) = docs.find::<Pool>(&places::pool()).await? {
        return Ok(pool);
    }
    match docs.create(&places::pool(), &Pool::default()).await {
        Err(error) if !error.is_race() => Err(error.into()),
        _ => Ok(docs.get::<Pool>(&places::pool()).await?),
    }
}

async fn grant(world: &World, pool: &mut Pool) -> Result<()> {
    let capacity = world.settings.gpu_capacity;
    let free = capacity.saturating_sub(pool.in_use());
    if free == 0 && holds(Safeguard::PoolCapacity) {
        return Ok(());
    }
    let waiting = Query::group(places::JOBS).equals("dispatchable", true);
    let waiting = waiting.order_by("created_at", Direction::Ascending).limit(RUNS_SEEN);
    let mut demands = vec![];
    for run in world.docs.readable::<Run>(&waiting).await? {
        if let Some(demand) = demand(world, pool, &run.value, free).await? {
            demands.push(demand);
        }
    }
    // A task that needed all its retries still ends within this; after it, the lease is looked into.
    let longest = world.settings.task_limit.as_secs() * 2 + 600;
    let expires_at = Timestamp::from(world.clock.now()).plus_seconds(longest);
    let name = |demand: &Demand, first: LeasedShard| format!("{}-{}-{}", demand.job_id, first.shard, first.launch);
    let granted = pool.grant(capacity, world.settings.gpu_reserve, &demands, expires_at, name);
    for lease in granted {
        tracing::info!(job.id = %lease.job_id, slots = lease.held.len(), lease = lease.id, "slots granted");
    }
    Ok(())
}

/// What a run wants: its pending shards that no lease holds.
async fn demand(world: &World, pool: &Pool, run: &Run, free: u32) -> Result<Option<Demand>> {
    let held: Vec<_> = pool.leases.iter().filter(|lease| lease.job_id == run.job_id).flat_map(|l| &l.held).collect();
    let pending = Query::collection(places::shards(&run.uid, &run.job_id)).equals("state", "pending");
    let pending = world.docs.query::<Shard>(&pending.limit(free.max(1) + held.len() as u32)).await?;
    let pending: Vec<_> = pending
        .iter()
        .filter(|shard| shard.value.launch < MAX_LAUNCHES)
        .map(|shard| LeasedShard { shard: shard.value.shard, launch: shard.value.launch + 1 })
        .filter(|shard| !held.contains(&shard))
        .collect();
    Ok((!pending.is_empty() && !run.status.is_final()).then(|| Demand {
        uid: run.uid.clone(),
        job_id: run.job_id.clone(),
        lane: run.lane(),
        priority: run.priority,
        created_at: run.created_at,
        max_concurrent: run.slots(world.settings.gpu_capacity),
        pending,
    }))
}

#[cfg(test)]
mod tests;
