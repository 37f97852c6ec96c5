//! That no run stands still: how long each has, while nobody works for it and GPUs that it may have are free.

use crate::universe::{State, Universe};
use chrono::{DateTime, Utc};
use serde_json::Value;
use std::{collections::BTreeSet, time::Duration};

/// The time between two sweeps, in seconds.
const SWEEP: i64 = 60;
/// By how much two clocks may differ, in seconds.
const SKEW: i64 = 1200;

/// Notes which runs may rightly stand still now; the first that did for longer than anything explains, and for how long.
pub fn broken(universe: &Universe) -> Option<(String, i64)> {
    let settings = &universe.scenario.settings;
    let seconds = |duration: Duration| duration.as_secs() as i64;
    let bound = 2 * SWEEP + seconds(settings.stuck_after) + seconds(settings.lease_time()) + SKEW;
    let mut state = universe.lock();
    let (now, until) = (state.now, state.faults.until());
    let (working, full) = (at_work(&state), gpus_in_use(&state) >= settings.gpu_capacity - settings.gpu_reserve);
    for (run, still) in &mut state.watch.unfinished {
        if now < until || working.contains(run) || (full && still.waits_for_gpu) {
            still.since = now;
        }
    }
    let stood = |since: DateTime<Utc>| (now - since).num_seconds();
    let longest = state.watch.unfinished.iter().max_by_key(|(_, still)| stood(still.since))?;
    let seconds = stood(longest.1.since);
    (seconds > bound).then(|| (longest.0.clone(), seconds))
}

/// Runs that an execution works for, as `users/UID/jobs/ID`.
fn at_work(state: &State) -> BTreeSet<String> {
    let under_way = state.store.executions.values().filter(|execution| execution.ended.is_none());
    let runs = under_way.filter_map(|execution| execution.env.get("RUN")?.split_once('/'));
    runs.map(|(uid, job)| format!("users/{uid}/jobs/{job}")).collect()
}

fn gpus_in_use(state: &State) -> u32 {
    let held = |lease: &Value| lease.get("held").and_then(Value::as_array).map_or(0, Vec::len) as u32;
    state.store.leases().iter().map(held).sum()
}
