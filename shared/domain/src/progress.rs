//! How far a run is.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The percentages users are told about.
pub const MILESTONES: [u8; 6] = [10, 25, 50, 75, 90, 100];

/// Counts of items and the share that has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Progress {
    pub total: u32,
    pub completed: u32,
    pub failed: u32,
    /// Items in shards that a worker holds and that have not ended.
    pub running: u32,
    /// Items that were not run because the run was cancelled.
    #[serde(default)]
    pub cancelled: u32,
    /// Completed and failed items, 0 to 100 with one decimal, never rounded up.
    pub percent: f64,
    /// The last of 10, 25, 50, 75, 90, 100 that was reached; 0 before the first.
    pub milestone: u8,
}

impl Progress {
    pub fn new(total: u32, completed: u32, failed: u32, running: u32) -> Self {
        let ended = u64::from(completed) + u64::from(failed);
        let tenths = if total == 0 { 1000 } else { (ended * 1000 / u64::from(total)).min(1000) };
        let milestone = MILESTONES.into_iter().rev().find(|m| tenths >= u64::from(*m) * 10).unwrap_or(0);
        Progress { total, completed, failed, running, cancelled: 0, percent: tenths as f64 / 10.0, milestone }
    }

    /// The same, with items that were not run.
    pub fn with_cancelled(self, cancelled: u32) -> Self {
        Progress { cancelled, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_milestone_is_reached_only_when_it_is() {
        let at = |done| Progress::new(1000, done, 0, 0);
        assert_eq!((at(99).milestone, at(100).milestone, at(249).milestone), (0, 10, 10));
        assert_eq!((at(999).milestone, at(999).percent), (90, 99.9));
        assert_eq!(Progress::new(1000, 600, 400, 0).milestone, 100);
        assert_eq!(Progress::new(3, 2, 0, 1).percent, 66.6);
    }
}
