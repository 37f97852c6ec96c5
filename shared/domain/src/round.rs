//! Who gets a GPU next: the one rule, used by the dispatcher that hands out slots, by the forecast of when a run will
//! start, and by the simulations that measure how fair it is.
//!
//! Interactive work goes first and may use every slot; bulk work leaves a reserve. Within a lane the next slot goes to the
//! user who holds least for their weight, and of that user to the more urgent, then the older run. Nothing is taken away
//! from who has it: a user who comes later waits for the next shard that ends, and is then ahead of all who hold more.

use crate::{
    Demand, JobId, Lane, Lease, MAX_TASKS, Priority, Slots, Timestamp, Uid,
    safeguard::{Safeguard, holds},
};
use std::{cmp::Reverse, collections::BTreeMap};

/// Slots being handed out, one by one.
#[derive(Clone, Debug)]
pub struct Round<'a> {
    slots: Slots,
    demands: &'a [Demand],
    /// By demand: shards that still wait, slots its run holds, slots it got in this round, and whose it is.
    wanted: Vec<u32>,
    held: Vec<u32>,
    taken: Vec<u32>,
    owner: Vec<usize>,
    /// Slots by user and lane.
    shares: Vec<u32>,
    in_use: u32,
    bulk: u32,
}

impl<'a> Round<'a> {
    pub(crate) fn new(slots: Slots, demands: &'a [Demand], leases: &[Lease]) -> Self {
        let mut users = BTreeMap::<(&Uid, Lane), usize>::new();
        let mut user = |demand: &'a Demand| {
            let next = users.len();
            *users.entry((&demand.uid, demand.lane)).or_insert(next)
        };
        let owner: Vec<_> = demands.iter().map(&mut user).collect();
        let held_of = |wanted: &dyn Fn(&Lease) -> bool| -> u32 {
            leases.iter().filter(|lease| wanted(lease)).map(|lease| lease.held.len() as u32).sum()
        };
        let shares_of = users
            .iter()
            .map(|((uid, lane), index)| (*index, held_of(&|lease| lease.uid == **uid && lease.lane == *lane)));
        let shares: BTreeMap<_, _> = shares_of.collect();
        Round {
            slots,
            demands,
            wanted: demands.iter().map(|demand| demand.pending).collect(),
            held: demands.iter().map(|demand| held_of(&|lease| lease.job_id == demand.job_id)).collect(),
            taken: vec![0; demands.len()],
            owner,
            shares: shares.into_values().collect(),
            in_use: held_of(&|_| true),
            bulk: held_of(&|lease| lease.lane == Lane::Bulk),
        }
    }

    /// The demand that gets the next slot; `None` where no slot is free, or nobody may have it.
    pub fn next(&self) -> Option<usize> {
        if self.in_use >= self.slots.capacity && holds(Safeguard::PoolCapacity) {
            return None;
        }
        let bulk_may = self.bulk < self.slots.for_bulk() || !holds(Safeguard::PoolCapacity);
        let candidates = self.demands.iter().enumerate().filter(|(index, demand)| {
            self.wanted[*index] > 0
                && self.held[*index] < demand.max_concurrent
                && self.taken[*index] < MAX_TASKS
                && (demand.lane == Lane::Interactive || bulk_may)
        });
        candidates.map(|(index, _)| index).min_by_key(|index| self.rank(*index))
    }

    fn rank(&self, index: usize) -> (Lane, u64, Reverse<Priority>, Timestamp, &'a JobId) {
        let demand = &self.demands[index];
        // Millionths of a slot for a weight of one.
        let share = u64::from(self.shares[self.owner[index]]) * 1_000_000 / u64::from(demand.weight.max(1));
        (demand.lane, share, Reverse(demand.priority), demand.created_at, &demand.job_id)
    }

    /// Gives a slot to the demand.
    pub fn take(&mut self, index: usize) {
        self.wanted[index] = self.wanted[index].saturating_sub(1);
        self.held[index] += 1;
        self.taken[index] += 1;
        self.shares[self.owner[index]] += 1;
        self.in_use += 1;
        self.bulk += u32::from(self.demands[index].lane == Lane::Bulk);
    }

    /// A shard of the lane has ended, and its slot is free. `index` is its run's demand, if it has one.
    pub fn give_back(&mut self, index: Option<usize>, lane: Lane) {
        if let Some(index) = index {
            self.held[index] = self.held[index].saturating_sub(1);
            self.taken[index] = self.taken[index].saturating_sub(1);
            let share = &mut self.shares[self.owner[index]];
            *share = share.saturating_sub(1);
        }
        self.in_use = self.in_use.saturating_sub(1);
        self.bulk = self.bulk.saturating_sub(u32::from(lane == Lane::Bulk));
    }

    /// Says how many shards of the demand wait, where that was not known exactly.
    pub fn wants(&mut self, index: usize, shards: u32) {
        self.wanted[index] = shards;
    }

    /// Shards of the demand that wait.
    pub fn waiting(&self, index: usize) -> u32 {
        self.wanted[index]
    }

    /// Slots given to the demand in this round.
    pub fn taken(&self, index: usize) -> u32 {
        self.taken[index]
    }
}

#[cfg(test)]
mod tests;
