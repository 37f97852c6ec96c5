//! `dispatch-shards`: starts what fits on the GPUs. It looks at the queue, never at the message that woke it: leases of
//! shards that ended are given back, free slots are granted, and every lease without an execution gets one. A lease is
//! written down before its execution is started, and its id is the claim under which it starts: whoever dies in
//! between, the next waking goes on.

mod budget;
mod leases;

use axum::{extract::State, http::StatusCode, routing::post};
use domain::{
    Demand, Lane, Lease, LeasedShard, MAX_LAUNCHES, Plan, Pool, Run, Shard, Timestamp,
    safeguard::{Safeguard, holds},
};
use platform::{Docs, Query, Versioned};
use serde::Deserialize;
use service::{
    Function, Result, Trigger, World, chain,
    events::Push,
    places,
    runs::{closing::close_open, queue},
};
use std::collections::BTreeMap;
use utoipa_axum::router::OpenApiRouter;

pub const FUNCTION: Function = Function::on("dispatch-shards", Trigger::Message { topic: places::DISPATCH }, router);

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
        let released = leases::release(&world, &mut pool.value).await;
        let granted = grant(&world, &mut pool.value).await;
        if pool.value != before {
            match world.docs.replace(&pool).await {
                Err(error) if error.is_race() => continue,
                outcome => outcome?,
            }
        }
        let started = leases::start_all(&world).await;
        return released.and(granted).and(started).map(|()| StatusCode::NO_CONTENT);
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

/// Hands out what is free. Which shards of a run wait is looked up only where it is the run's turn. A run of which that
/// cannot be said gets nothing and keeps no other waiting; the first error is told at the end.
async fn grant(world: &World, pool: &mut Pool) -> Result<()> {
    let slots = world.settings.slots();
    let free = slots.capacity.saturating_sub(pool.in_use());
    if free == 0 && holds(Safeguard::PoolCapacity) {
        return Ok(());
    }
    let (runs, demands) = waiting(world).await?;
    let mut round = pool.round(slots, &demands);
    let mut known = BTreeMap::<usize, Vec<LeasedShard>>::new();
    let mut failed = None;
    while let Some(index) = round.next() {
        if known.contains_key(&index) {
            round.take(index);
            continue;
        }
        let shards = startable(world, pool, &runs[index], free).await.unwrap_or_else(|error| {
            tracing::error!(job.id = %runs[index].job_id, error = %chain(&error), "a run cannot be dispatched");
            failed.get_or_insert(error);
            vec![]
        });
        round.wants(index, shards.len() as u32);
        known.insert(index, shards);
    }
    let taken: Vec<_> = known.into_iter().map(|(index, shards)| (index, shards, round.taken(index))).collect();
    let now = Timestamp::from(world.clock.now());
    let expires_at = now.plus_seconds(world.settings.lease_time().as_secs());
    for (index, mut tasks, taken) in taken {
        tasks.truncate(taken as usize);
        let Some(first) = tasks.first() else { continue };
        let demand = &demands[index];
        let id = format!("{}-{}-{}", demand.job_id, first.shard, first.launch);
        tracing::info!(job.id = %demand.job_id, slots = tasks.len(), lease = id, "slots granted");
        pool.leases.push(Lease {
            id,
            uid: demand.uid.clone(),
            job_id: demand.job_id.clone(),
            lane: demand.lane,
            held: tasks.clone(),
            tasks,
            execution: None,
            granted_at: now,
            shard_seconds: demand.shard_seconds,
            expires_at,
        });
    }
    failed.map_or(Ok(()), Err)
}

/// The runs that may want slots, and what each may want at most.
async fn waiting(world: &World) -> Result<(Vec<Run>, Vec<Demand>)> {
    let mut runs = queue::waiting(&world.docs, Lane::Interactive).await?;
    runs.extend(queue::waiting(&world.docs, Lane::Bulk).await?);
    let all_it_has = |run: &Run| {
        let demand = Demand::of(run, world.settings.slots(), 0)?;
        Some(Demand { pending: run.plan.as_ref().map_or(0, Plan::to_run), ..demand })
    };
    Ok(runs.into_iter().filter_map(|run| all_it_has(&run).map(|demand| (run, demand))).unzip())
}

/// The shards of a run that may be started now: they wait, no lease holds them, and they are within its budget.
async fn startable(world: &World, pool: &Pool, run: &Run, free: u32) -> Result<Vec<LeasedShard>> {
    let held: Vec<_> = pool.held_by(&run.job_id).collect();
    if run.stopped.is_some() {
        if held.is_empty() {
            close_open(world, &run.uid, &run.job_id).await?;
        }
        return Ok(vec![]);
    }
    let pending = Query::collection(places::shards(&run.uid, &run.job_id)).equals("state", "pending");
    let pending = world.docs.query::<Shard>(&pending.limit(free.max(1) + held.len() as u32)).await?;
    let waits = pending
        .iter()
        .filter(|shard| shard.value.launch < MAX_LAUNCHES)
        .map(|shard| LeasedShard { shard: shard.value.shard, launch: shard.value.launch + 1 })
        .filter(|shard| !held.contains(shard));
    budget::keep(world, run, &held, waits.collect()).await
}

#[cfg(test)]
mod tests;
