//! The GPUs and who holds them. One small document holds the leases; the dispatcher alone writes it, and hands out free
//! slots by the rule in `round`.

use crate::{JobId, Priority, Round, Run, Status, Timestamp, Uid};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The most tasks of one execution. Cloud Run takes 10,000, but the shards of all tasks are named in one environment
/// variable, of which it takes 32 KiB: a shard takes up to nine bytes of it.
pub const MAX_TASKS: u32 = 3000;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    /// Single predictions: somebody waits for them.
    Interactive,
    /// Batches.
    #[default]
    Bulk,
}

/// A shard and the launch for which it holds a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LeasedShard {
    pub shard: u32,
    pub launch: u32,
}

/// Slots handed to shards of one run, which one execution works on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lease {
    /// Also the claim under which the execution is started: a lease has one execution.
    pub id: String,
    #[serde(deserialize_with = "Uid::stored")]
    pub uid: Uid,
    pub job_id: JobId,
    pub lane: Lane,
    /// In the order of the execution's tasks.
    pub tasks: Vec<LeasedShard>,
    /// The tasks of which the slot is still held.
    pub held: Vec<LeasedShard>,
    /// Known once the execution was started.
    pub execution: Option<String>,
    pub granted_at: Timestamp,
    /// Seconds one of its shards is planned to take.
    pub shard_seconds: f64,
    pub expires_at: Timestamp,
}

/// The document of a GPU pool.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Pool {
    pub leases: Vec<Lease>,
}

/// How many GPUs there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slots {
    /// That may run at once.
    pub capacity: u32,
    /// Of them, kept free of bulk work.
    pub reserve: u32,
}

/// A run that wants slots.
#[derive(Clone, Debug, PartialEq)]
pub struct Demand {
    pub uid: Uid,
    pub job_id: JobId,
    pub lane: Lane,
    /// Of its user, against other users.
    pub weight: u32,
    pub priority: Priority,
    pub created_at: Timestamp,
    /// Slots the run may hold at once.
    pub max_concurrent: u32,
    /// Shards that wait for a slot.
    pub pending: u32,
    /// Seconds one of them is planned to take.
    pub shard_seconds: f64,
}

impl Slots {
    /// Slots that bulk work may hold together: at least one, however large the reserve.
    pub fn for_bulk(self) -> u32 {
        self.capacity.saturating_sub(self.reserve).max(1)
    }
}

impl Pool {
    /// Slots in use.
    pub fn in_use(&self) -> u32 {
        self.leases.iter().map(|lease| lease.held.len() as u32).sum()
    }

    /// Slots that one run holds.
    pub fn held_by(&self, job_id: &JobId) -> impl Iterator<Item = LeasedShard> {
        self.leases.iter().filter(move |lease| lease.job_id == *job_id).flat_map(|lease| lease.held.iter().copied())
    }

    /// A round of handing out its free slots.
    pub fn round<'a>(&self, slots: Slots, demands: &'a [Demand]) -> Round<'a> {
        Round::new(slots, demands, &self.leases)
    }
}

impl Demand {
    /// What a run that is cut into shards still wants, as far as its own document tells: shards that no worker holds
    /// count as waiting, but for the `held` ones to which the pool gave a slot already. `None` for a run without a plan,
    /// or all of whose items have ended.
    pub fn of(run: &Run, slots: Slots, held: u32) -> Option<Demand> {
        let plan = run.plan.as_ref().filter(|_| !run.status.is_final() && run.status != Status::Aggregating)?;
        let progress = run.progress;
        let to_run = run.items.saturating_sub(run.cached);
        let waiting = run.items.saturating_sub(progress.completed + progress.failed + progress.running).min(to_run);
        let shards = (u64::from(waiting) * u64::from(plan.to_run())).div_ceil(u64::from(to_run.max(1))) as u32;
        // Right after its first shards were handed out no worker has claimed one, and they still count as waiting.
        let unclaimed = if progress.running == 0 { held } else { 0 };
        Some(Demand {
            uid: run.uid.clone(),
            job_id: run.job_id.clone(),
            lane: run.lane,
            weight: run.weight,
            priority: run.priority,
            created_at: run.created_at,
            max_concurrent: run.slots(slots.capacity),
            pending: shards.saturating_sub(unclaimed).min(plan.to_run().saturating_sub(held)),
            shard_seconds: plan.shard_seconds(),
        })
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;
    use chrono::DateTime;

    pub fn at(second: i64) -> Timestamp {
        DateTime::from_timestamp(second, 0).unwrap().into()
    }

    /// A run of so many shards of a hundred seconds, the `n`th that was made.
    pub fn demand(user: &str, n: u32, lane: Lane, shards: u32) -> Demand {
        Demand {
            uid: Uid::named(user.to_owned()).unwrap(),
            job_id: JobId::new(lane == Lane::Bulk, &format!("{n:024}")).unwrap(),
            lane,
            weight: 1,
            priority: Priority::Normal,
            created_at: at(i64::from(n)),
            max_concurrent: 1000,
            pending: shards,
            shard_seconds: 100.0,
        }
    }
}
