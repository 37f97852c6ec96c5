//! Who gets a GPU next. One small document holds the capacity and the leases; the dispatcher alone writes it.
//! Interactive work may use every slot, bulk work leaves a reserve; bulk is shared between users slot by slot, and
//! within a user the more urgent and then the older run comes first.

use crate::{
    JobId, Priority, Timestamp, Uid,
    safeguard::{Safeguard, holds},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    /// Single predictions: somebody waits for them.
    Interactive,
    /// Batches.
    Bulk,
}

/// A shard and the launch for which it holds a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeasedShard {
    pub shard: u32,
    pub launch: u32,
}

/// Slots handed to shards of one run, which one execution works on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lease {
    /// Also the claim under which the execution is started: a lease has one execution.
    pub id: String,
    pub uid: Uid,
    pub job_id: JobId,
    pub lane: Lane,
    /// In the order of the execution's tasks.
    pub tasks: Vec<LeasedShard>,
    /// The tasks of which the slot is still held.
    pub held: Vec<LeasedShard>,
    /// Known once the execution was started.
    pub execution: Option<String>,
    pub expires_at: Timestamp,
}

/// The document of a GPU pool.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Pool {
    pub leases: Vec<Lease>,
}

/// A run that wants slots.
#[derive(Clone, Debug)]
pub struct Demand {
    pub uid: Uid,
    pub job_id: JobId,
    pub lane: Lane,
    pub priority: Priority,
    pub created_at: Timestamp,
    /// Slots the run may hold at once.
    pub max_concurrent: u32,
    /// Shards that wait, each with the launch it would be, in order.
    pub pending: Vec<LeasedShard>,
}

impl Pool {
    /// Slots in use.
    pub fn in_use(&self) -> u32 {
        self.leases.iter().map(|lease| lease.held.len() as u32).sum()
    }

    /// Hands out free slots; the new leases, without executions, are added to the pool and returned.
    /// `id` names a lease after its first shard.
    pub fn grant(
        &mut self,
        capacity: u32,
        reserve: u32,
        demands: &[Demand],
        expires_at: Timestamp,
        id: impl Fn(&Demand, LeasedShard) -> String,
    ) -> Vec<Lease> {
        let mut taken: BTreeMap<usize, Vec<LeasedShard>> = BTreeMap::new();
        while let Some(index) = self.next(capacity, reserve, demands, &taken) {
            let already = taken.entry(index).or_default();
            let Some(shard) = demands[index].pending.get(already.len()) else { break };
            already.push(*shard);
        }
        let leases: Vec<Lease> = taken
            .into_iter()
            .map(|(index, tasks)| {
                let demand = &demands[index];
                Lease {
                    id: id(demand, tasks[0]),
                    uid: demand.uid.clone(),
                    job_id: demand.job_id.clone(),
                    lane: demand.lane,
                    held: tasks.clone(),
                    tasks,
                    execution: None,
                    expires_at,
                }
            })
            .collect();
        self.leases.extend(leases.iter().cloned());
        leases
    }

    /// The demand that gets the next slot.
    fn next(
        &self,
        capacity: u32,
        reserve: u32,
        demands: &[Demand],
        taken: &BTreeMap<usize, Vec<LeasedShard>>,
    ) -> Option<usize> {
        let new = |keep: &dyn Fn(&Demand) -> bool| -> u32 {
            taken.iter().filter(|(index, _)| keep(&demands[**index])).map(|(_, shards)| shards.len() as u32).sum()
        };
        let held = |keep: &dyn Fn(&Lease) -> bool| -> u32 {
            self.leases.iter().filter(|lease| keep(lease)).map(|lease| lease.held.len() as u32).sum()
        };
        let total = self.in_use() + new(&|_| true);
        let bulk = held(&|lease| lease.lane == Lane::Bulk) + new(&|demand| demand.lane == Lane::Bulk);
        let bulk_may = bulk < capacity.saturating_sub(reserve).max(1) || !holds(Safeguard::PoolCapacity);
        let candidates = demands.iter().enumerate().filter(|(index, demand)| {
            let run = held(&|lease| lease.job_id == demand.job_id) + new(&|other| other.job_id == demand.job_id);
            demand.pending.len() > taken.get(index).map_or(0, Vec::len)
                && run < demand.max_concurrent
                && (demand.lane == Lane::Interactive || bulk_may)
        });
        let of_user = |demand: &Demand| {
            held(&|lease| lease.uid == demand.uid && lease.lane == demand.lane)
                + new(&|other| other.uid == demand.uid && other.lane == demand.lane)
        };
        let rank = |demand: &Demand| {
            (demand.lane, of_user(demand), std::cmp::Reverse(demand.priority), demand.created_at, demand.job_id.clone())
        };
        if total >= capacity && holds(Safeguard::PoolCapacity) {
            return None;
        }
        candidates.min_by_key(|(_, demand)| rank(demand)).map(|(index, _)| index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;

    fn at(second: i64) -> Timestamp {
        DateTime::from_timestamp(second, 0).unwrap().into()
    }

    fn demand(user: &str, n: u32, lane: Lane, shards: u32) -> Demand {
        Demand {
            uid: user.to_owned().try_into().unwrap(),
            job_id: JobId::new(lane == Lane::Bulk, &format!("{n:024}")).unwrap(),
            lane,
            priority: Priority::Normal,
            created_at: at(i64::from(n)),
            max_concurrent: 1000,
            pending: (0..shards).map(|shard| LeasedShard { shard, launch: 1 }).collect(),
        }
    }

    fn grants(pool: &mut Pool, capacity: u32, reserve: u32, demands: &[Demand]) -> Vec<(String, usize)> {
        let leases = pool.grant(capacity, reserve, demands, at(0), |demand, _| demand.job_id.to_string());
        leases.iter().map(|lease| (lease.uid.to_string(), lease.held.len())).collect()
    }

    #[test]
    fn one_user_with_a_thousand_shards_leaves_room_for_the_others() {
        let demands =
            [demand("big", 1, Lane::Bulk, 1000), demand("a", 2, Lane::Bulk, 2), demand("b", 3, Lane::Bulk, 2)];
        let given = grants(&mut Pool::default(), 9, 0, &demands);
        assert_eq!(given, [("big".into(), 5), ("a".into(), 2), ("b".into(), 2)]);
    }

    #[test]
    fn bulk_leaves_the_reserve_and_interactive_takes_it() {
        let mut pool = Pool::default();
        assert_eq!(grants(&mut pool, 4, 1, &[demand("a", 1, Lane::Bulk, 10)]), [("a".into(), 3)]);
        assert_eq!(grants(&mut pool, 4, 1, &[demand("b", 2, Lane::Bulk, 10)]), []);
        assert_eq!(grants(&mut pool, 4, 1, &[demand("a", 3, Lane::Interactive, 1)]), [("a".into(), 1)]);
        assert_eq!(grants(&mut pool, 4, 1, &[demand("c", 4, Lane::Interactive, 1)]), []);
        assert_eq!(pool.in_use(), 4);
    }

    #[test]
    fn a_pool_of_one_serves_bulk_too() {
        assert_eq!(grants(&mut Pool::default(), 1, 1, &[demand("a", 1, Lane::Bulk, 3)]), [("a".into(), 1)]);
    }

    #[test]
    fn the_urgent_run_comes_first_and_the_users_own_limit_holds() {
        let mut urgent = demand("a", 9, Lane::Bulk, 5);
        urgent.priority = Priority::High;
        urgent.max_concurrent = 2;
        let mut pool = Pool::default();
        let leases = pool.grant(3, 0, &[demand("a", 1, Lane::Bulk, 5), urgent], at(0), |d, _| d.job_id.to_string());
        let of = |n: u32| leases.iter().find(|l| l.job_id.as_str().ends_with(&n.to_string())).unwrap().held.len();
        assert_eq!((of(9), of(1)), (2, 1));
    }
}
