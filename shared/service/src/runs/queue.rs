//! The runs that wait for GPUs, and where one stands among them.

use crate::{World, places};
use domain::{Demand, Forecast, Lane, Pool, Run, Status, Timestamp, Uid, forecast};
use platform::{Cursor, Direction, Docs, Query, Result};
use serde::Deserialize;
use serde_json::json;

/// The oldest runs of a lane, whoever has them.
const OLDEST: u32 = 500;
/// Users who are looked for one by one where many runs wait.
const USERS: usize = 200;
/// The oldest runs of each of them.
const OF_EACH: u32 = 5;

/// The runs of a lane that may want GPUs: the 500 oldest and, where many wait, the 5 oldest of up to 200 users who have
/// none among those. However many runs one user has, others are seen.
pub async fn waiting(docs: &Docs, lane: Lane) -> Result<Vec<Run>> {
    let oldest = |query: Query| in_lane(query, lane).order_by("created_at", Direction::Ascending);
    let mut runs = read(docs, &oldest(Query::group(places::JOBS)).limit(OLDEST)).await?;
    if runs.len() < OLDEST as usize / 2 {
        return Ok(runs);
    }
    let mut last = None;
    for _ in 0..USERS {
        let Some(uid) = next_user(docs, lane, last.as_ref()).await? else { break };
        if !runs.iter().any(|run| run.uid == uid) {
            runs.extend(read(docs, &oldest(Query::collection(places::jobs(&uid))).limit(OF_EACH)).await?);
        }
        last = Some(uid);
    }
    Ok(runs)
}

fn in_lane(query: Query, lane: Lane) -> Query {
    query.equals("dispatchable", true).equals("lane", json!(lane))
}

async fn read(docs: &Docs, query: &Query) -> Result<Vec<Run>> {
    Ok(docs.readable::<Run>(query).await?.into_iter().map(|run| run.value).collect())
}

#[derive(Deserialize)]
struct Owner {
    #[serde(deserialize_with = "Uid::stored")]
    uid: Uid,
}

/// The user who comes after `last`, in the order of their ids, among those with a waiting run.
async fn next_user(docs: &Docs, lane: Lane, last: Option<&Uid>) -> Result<Option<Uid>> {
    // No run's name sorts behind this one: the cursor stands after all runs of that user.
    let after = last.map(|uid| Cursor { value: Some(json!(uid)), path: places::jobs(uid).doc("~") });
    let by_user = in_lane(Query::group(places::JOBS), lane).order_by("uid", Direction::Ascending);
    let next = docs.readable::<Owner>(&by_user.after(after).limit(1)).await?;
    Ok(next.into_iter().next().map(|run| run.value.uid))
}

/// What waits for GPUs and who has them, as of now.
pub struct Standing {
    pool: Pool,
    demands: Vec<Demand>,
}

impl Standing {
    /// All that comes before new work of the lane, or beside it. Bulk work never comes before interactive work.
    pub async fn read(world: &World, lane: Lane) -> Result<Self> {
        let pool = world.docs.find::<Pool>(&places::pool()).await?.map(|pool| pool.value).unwrap_or_default();
        let mut runs = waiting(&world.docs, Lane::Interactive).await?;
        if lane == Lane::Bulk {
            runs.extend(waiting(&world.docs, Lane::Bulk).await?);
        }
        let held = |run: &Run| pool.held_by(&run.job_id).count() as u32;
        let demands = runs.iter().filter_map(|run| Demand::of(run, world.settings.slots(), held(run))).collect();
        Ok(Standing { pool, demands })
    }

    /// When a run that does not wait yet would start and end, were it made now.
    pub fn forecast_new(&self, world: &World, demand: Demand) -> Forecast {
        let demands = [self.demands.as_slice(), &[demand]].concat();
        let now = Timestamp::from(world.clock.now());
        forecast(&self.pool, world.settings.slots(), &demands, demands.len() - 1, now)
    }
}

/// Where a queued run stands, by the assumptions of [`forecast`]. Nothing is said of a run that has begun, or that
/// stands behind more runs than are looked at.
pub async fn standing(world: &World, run: &Run) -> Result<Forecast> {
    if run.status != Status::Queued {
        return Ok(Forecast::default());
    }
    let standing = Standing::read(world, run.lane).await?;
    let slots = world.settings.slots();
    if let Some(index) = standing.demands.iter().position(|demand| demand.job_id == run.job_id) {
        return Ok(forecast(&standing.pool, slots, &standing.demands, index, world.clock.now().into()));
    }
    // It is being cut into shards, and waits in a moment.
    let soon = Demand::of(run, slots, 0).filter(|_| !run.dispatchable);
    Ok(soon.map(|demand| standing.forecast_new(world, demand)).unwrap_or_default())
}
