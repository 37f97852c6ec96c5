//! Turns at writing a run's results: one writer at a time, each under a token of its own.

use crate::{
    Progress, Run, RunError, Status, Summary, Timestamp,
    safeguard::{Safeguard, holds},
};
use serde::{Deserialize, Serialize};

/// How long a turn at writing results lasts, for a run of few items.
const AGGREGATION_SECONDS: u64 = 50;
/// Items for which a turn lasts a second longer. Measured rates are far higher; a turn that is too long only makes the
/// next one wait.
const AGGREGATED_PER_SECOND: u64 = 2000;

/// Who writes the results just now. A token is never given twice: results lie under their writer's token, so that a
/// writer that lost its turn overwrites nothing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Aggregation {
    /// 1, 2, 3 …, one for every turn.
    pub token: u32,
    /// From then on somebody else may take the next turn.
    pub until: Timestamp,
}

impl Run {
    /// Takes a turn at writing the results; `None` where that is not to be done, or is in other hands until their time
    /// is up.
    pub fn begin_aggregation(&mut self, now: Timestamp) -> Option<u32> {
        let taken = self.aggregation.is_some_and(|turn| turn.until > now) && holds(Safeguard::AggregationFence);
        if self.status != Status::Aggregating || taken {
            return None;
        }
        let last = self.aggregation.map_or(0, |turn| turn.token);
        let token = if holds(Safeguard::AggregationFence) { last + 1 } else { 1 };
        let seconds = AGGREGATION_SECONDS + u64::from(self.items) / AGGREGATED_PER_SECOND;
        self.aggregation = Some(Aggregation { token, until: now.plus_seconds(seconds) });
        self.progress_at = now;
        Some(token)
    }

    /// The results lie under `token`. A run without a single result has failed. True if that changed something: a
    /// writer whose turn has passed to another one changes nothing.
    pub fn finish(&mut self, token: u32, summary: Summary, simulated: bool, now: Timestamp) -> bool {
        let turn = self.aggregation.is_some_and(|turn| turn.token == token) || !holds(Safeguard::AggregationFence);
        if self.status != Status::Aggregating || !turn {
            return false;
        }
        self.status = if summary.completed_jobs > 0 { Status::Completed } else { Status::Failed };
        if self.status == Status::Failed {
            let none =
                || RunError::new("no_results", "no item of the run has a result; each one says why in the results");
            self.error = Some(self.stopped.clone().unwrap_or_else(none));
        }
        self.progress = Progress::new(self.items, summary.completed_jobs, summary.failed_jobs, 0);
        self.simulated = Some(simulated);
        self.summary = Some(summary);
        self.results = Some(token);
        self.completed_at = Some(now);
        self.dispatchable = false;
        self.charge();
        true
    }

    /// The writer of the turn `token` failed: the next one need not wait until its time is up. True if that changed
    /// something.
    pub fn give_back(&mut self, token: u32, now: Timestamp) -> bool {
        let turn = self.aggregation.as_mut().filter(|turn| turn.token == token && turn.until > now);
        let turn = turn.filter(|_| self.status == Status::Aggregating);
        turn.map(|turn| turn.until = now).is_some()
    }
}
