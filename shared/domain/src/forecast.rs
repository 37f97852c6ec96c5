//! When a run will start and end, if things go as planned: the rule that hands out GPUs, played forward from now.

use crate::{Demand, Lane, Pool, Slots, Timestamp};
use std::{cmp::Reverse, collections::BinaryHeap};

/// Ends of shards that are played through at most: beyond them nothing is said.
const ENDS_SEEN: usize = 50_000;
/// A shard that takes longer than planned is taken to need this part of its planned time more.
const OVERTIME: f64 = 0.1;

/// What the queue holds for one run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Forecast {
    /// 1 for the run of its lane that is to start next; `None` where that lies too far ahead to say.
    pub position: Option<u32>,
    /// Seconds until its first shard gets a GPU; 0 where it holds one.
    pub start_seconds: Option<f64>,
    /// Seconds until its last shard has ended.
    pub end_seconds: Option<f64>,
}

/// Plays on until the last shard of `demands[run]` has ended.
///
/// It assumes that every shard takes the time it was planned to take when its run was submitted (with what was learned
/// of the model until then), that a shard which is over that time ends soon, that no shard is lost, that a GPU is there
/// the moment its slot is free, and that nobody submits, cancels or runs out of budget in the meantime. Work that comes
/// later and has the right of way (single predictions; users who hold less) makes a run end later than is said here.
pub fn forecast(pool: &Pool, slots: Slots, demands: &[Demand], run: usize, now: Timestamp) -> Forecast {
    let mut round = pool.round(slots, demands);
    let mut ends = under_way(pool, demands, now);
    let mut at_work: usize = ends.iter().filter(|Reverse((_, index, _))| *index == Some(run)).count();
    let mut started: Vec<bool> = demands.iter().map(|demand| pool.held_by(&demand.job_id).next().is_some()).collect();
    let mut told = Forecast::default();
    if at_work > 0 {
        told.start_seconds = Some(0.0);
    }
    let (mut time, mut before) = (0, 0);
    for _ in 0..ENDS_SEEN {
        while let Some(index) = round.next() {
            round.take(index);
            if !std::mem::replace(&mut started[index], true) {
                before += u32::from(demands[index].lane == demands[run].lane);
                if index == run {
                    told = Forecast { position: Some(before), start_seconds: Some(seconds(time)), end_seconds: None };
                }
            }
            at_work += usize::from(index == run);
            ends.push(Reverse((time + millis(demands[index].shard_seconds), Some(index), demands[index].lane)));
        }
        let Some(Reverse((end, index, lane))) = ends.pop() else { break };
        time = end;
        round.give_back(index, lane);
        if index == Some(run) {
            at_work -= 1;
            if at_work == 0 && round.waiting(run) == 0 {
                return Forecast { end_seconds: Some(seconds(time)), ..told };
            }
        }
    }
    told
}

/// A shard's end in milliseconds from now, its run's demand if it has one, and its lane.
type End = Reverse<(u64, Option<usize>, Lane)>;

fn under_way(pool: &Pool, demands: &[Demand], now: Timestamp) -> BinaryHeap<End> {
    let mut ends = BinaryHeap::new();
    for lease in &pool.leases {
        let index = demands.iter().position(|demand| demand.job_id == lease.job_id);
        let left = lease.shard_seconds - now.seconds_since(lease.granted_at);
        let left = millis(left.max(lease.shard_seconds * OVERTIME));
        ends.extend(lease.held.iter().map(|_| Reverse((left, index, lease.lane))));
    }
    ends
}

fn millis(seconds: f64) -> u64 {
    (seconds.max(0.001) * 1000.0) as u64
}

fn seconds(millis: u64) -> f64 {
    millis as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Lease, LeasedShard, pool::testing::demand};

    const SLOTS: Slots = Slots { capacity: 2, reserve: 0 };

    fn now() -> Timestamp {
        chrono::DateTime::UNIX_EPOCH.into()
    }

    /// Both GPUs work on shards of `demand` that were granted so many seconds ago.
    fn busy(demand: &Demand, ago: i64) -> Pool {
        let held: Vec<_> = [0, 1].map(|shard| LeasedShard { shard, launch: 1 }).to_vec();
        let granted_at = chrono::DateTime::from_timestamp(-ago, 0).unwrap().into();
        Pool {
            leases: vec![Lease {
                id: "x".into(),
                uid: demand.uid.clone(),
                job_id: demand.job_id.clone(),
                lane: demand.lane,
                tasks: held.clone(),
                held,
                execution: None,
                granted_at,
                shard_seconds: demand.shard_seconds,
                expires_at: granted_at,
            }],
        }
    }

    #[test]
    fn an_idle_pool_starts_a_run_at_once_and_its_shards_in_turns() {
        let told = forecast(&Pool::default(), SLOTS, &[demand("a", 1, Lane::Bulk, 5)], 0, now());
        assert_eq!(told, Forecast { position: Some(1), start_seconds: Some(0.0), end_seconds: Some(300.0) });
    }

    #[test]
    fn a_run_waits_for_the_next_shard_that_ends_however_many_wait_of_a_user_who_holds_more() {
        let demands = [demand("big", 1, Lane::Bulk, 10_000), demand("small", 2, Lane::Bulk, 1)];
        let told = forecast(&busy(&demands[0], 40), SLOTS, &demands, 1, now());
        assert_eq!(told, Forecast { position: Some(1), start_seconds: Some(60.0), end_seconds: Some(160.0) });
        let overdue = forecast(&busy(&demands[0], 4000), SLOTS, &demands, 1, now());
        assert_eq!(overdue.start_seconds, Some(10.0));
    }

    #[test]
    fn the_position_counts_runs_of_the_lane_that_start_before() {
        let mut demands: Vec<_> = (1..=4).map(|n| demand(&format!("u{n}"), n, Lane::Bulk, 1)).collect();
        demands.push(demand("u9", 9, Lane::Interactive, 1));
        let told: Vec<_> = (0..5).map(|run| forecast(&Pool::default(), SLOTS, &demands, run, now())).collect();
        let places: Vec<_> = told.iter().map(|told| told.position.unwrap()).collect();
        assert_eq!(places, [1, 2, 3, 4, 1]);
        let starts: Vec<_> = told.iter().map(|told| told.start_seconds.unwrap()).collect();
        assert_eq!(starts, [0.0, 100.0, 100.0, 200.0, 0.0]);
    }

    #[test]
    fn nothing_is_said_of_what_lies_too_far_ahead() {
        let demands = [demand("a", 1, Lane::Bulk, 200_000), demand("a", 2, Lane::Bulk, 1)];
        assert_eq!(forecast(&Pool::default(), SLOTS, &demands, 1, now()), Forecast::default());
    }
}
