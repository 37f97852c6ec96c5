//! One shard of a run: who works on it, what was reported, and why a late or doubled worker changes nothing.
//!
//! Two numbers fence it. `launch` rises when the dispatcher hands the shard to an execution; `attempt` rises when a
//! worker claims it. A worker of an old launch is refused its claim, a report of an old attempt is not accepted.

use crate::{
    Report, Timestamp,
    safeguard::{Safeguard, holds},
};
use serde::{Deserialize, Serialize};

/// How often a shard is handed to an execution before its remaining items are declared failed.
pub const MAX_LAUNCHES: u32 = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShardState {
    /// Waits for a GPU.
    Pending,
    /// Handed to an execution that has not claimed it.
    Launched,
    /// Claimed by a worker.
    Running,
    /// Every item has its outcome.
    Done,
}

/// The document of a shard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shard {
    pub shard: u32,
    /// How many items it holds.
    pub items: u32,
    pub state: ShardState,
    /// The same as `state == done`, for counting.
    pub done: bool,
    pub launch: u32,
    pub attempt: u32,
    /// Sequence number of the last report accepted in this attempt.
    pub seq: u32,
    pub completed: u32,
    pub failed: u32,
    /// Of the completed items, those whose results were taken over when the run was planned.
    #[serde(default)]
    pub cached: u32,
    /// Seconds of GPU tasks over all attempts.
    pub gpu_seconds: f64,
    /// The part of `gpu_seconds` that earlier attempts spent.
    pub spent_before: f64,
    /// The execution it was handed to.
    pub execution: Option<String>,
    pub worker: Option<Worker>,
    /// Object name of the last report accepted.
    pub report: Option<String>,
    pub updated_at: Timestamp,
}

/// A task of an execution, as Cloud Run names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Worker {
    pub execution: String,
    pub task: u32,
    /// 0 for the first try of the task.
    pub task_attempt: u32,
}

/// The answer to a worker that wants a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It is the worker's; reports carry this attempt.
    Granted { attempt: u32 },
    /// It is not, and the worker has nothing to do.
    Refused(&'static str),
}

impl Shard {
    pub fn new(shard: u32, items: u32, now: Timestamp) -> Self {
        Shard {
            shard,
            items,
            state: ShardState::Pending,
            done: false,
            launch: 0,
            attempt: 0,
            seq: 0,
            completed: 0,
            failed: 0,
            cached: 0,
            gpu_seconds: 0.0,
            spent_before: 0.0,
            execution: None,
            worker: None,
            report: None,
            updated_at: now,
        }
    }

    /// A shard of which the planner's report tells results that were taken over: done where that is all of them,
    /// otherwise a worker runs the rest. The planner's attempt is 0; that of the first worker is 1.
    pub fn taken_over(report: &Report, object: &str, items: u32, now: Timestamp) -> Self {
        let mut shard = Shard::new(report.shard, items, now);
        shard.accept(report, object, now);
        Shard { cached: shard.completed, ..shard }
    }

    /// Hands a pending shard to an execution as launch number `launch`. True if that changed something.
    pub fn launch(&mut self, launch: u32, execution: &str, now: Timestamp) -> bool {
        let fresh = self.state == ShardState::Pending && launch == self.launch + 1;
        if fresh {
            self.launch = launch;
            self.state = ShardState::Launched;
            self.execution = Some(execution.to_owned());
            self.worker = None;
            self.updated_at = now;
        }
        fresh
    }

    /// A worker asks for the shard it was started for. A worker may come before the dispatcher has written down the
    /// launch that started it; then the claim itself is the launch.
    pub fn claim(&mut self, worker: &Worker, launch: u32, now: Timestamp) -> Claim {
        if self.done && holds(Safeguard::DoneIsFinal) {
            return Claim::Refused("the shard is done");
        }
        let outdated = launch < self.launch || (launch > self.launch && self.state != ShardState::Pending);
        if outdated && holds(Safeguard::LaunchFence) {
            return Claim::Refused("the shard was handed to another execution");
        }
        if self.is_closing() {
            return Claim::Refused("the shard is being closed");
        }
        if launch == self.launch && self.state == ShardState::Pending {
            return Claim::Refused("the shard was taken back from this execution");
        }
        if launch == self.launch
            && let Some(owner) = &self.worker
        {
            let same_task = owner.execution == worker.execution && owner.task == worker.task;
            if (!same_task || worker.task_attempt <= owner.task_attempt) && holds(Safeguard::OneWorker) {
                return Claim::Refused("another worker holds the shard");
            }
        }
        self.launch = launch;
        self.state = ShardState::Running;
        self.execution = Some(worker.execution.clone());
        self.worker = Some(worker.clone());
        self.attempt += 1;
        self.seq = 0;
        self.spent_before = self.gpu_seconds;
        self.updated_at = now;
        Claim::Granted { attempt: self.attempt }
    }

    /// Takes a report over if it is news of the current attempt. True if that changed something.
    pub fn accept(&mut self, report: &Report, object: &str, now: Timestamp) -> bool {
        let foreign = report.attempt != self.attempt && holds(Safeguard::AttemptFence);
        let known = report.seq <= self.seq && holds(Safeguard::SequenceMonotone);
        if (self.done && holds(Safeguard::DoneIsFinal)) || foreign || known {
            return false;
        }
        let count = |status| report.outcomes.iter().filter(|outcome| outcome.status == status).count() as u32;
        self.seq = report.seq;
        self.completed = count(crate::OutcomeStatus::Completed);
        self.failed = count(crate::OutcomeStatus::Failed);
        self.gpu_seconds = self.spent_before + report.gpu_seconds;
        self.report = Some(object.to_owned());
        self.updated_at = now;
        if report.last {
            self.state = ShardState::Done;
            self.done = true;
        }
        true
    }

    /// GPU seconds that its worker has spent since its last word, in a run that ended at `end`: no more than a shard is
    /// `planned` to take.
    pub fn unheard(&self, end: Timestamp, planned: f64) -> f64 {
        let at_work = matches!(self.state, ShardState::Launched | ShardState::Running) && !self.is_closing();
        if at_work { end.seconds_since(self.updated_at).clamp(0.0, planned) } else { 0.0 }
    }

    /// Its execution is gone: the shard waits for another one. True if that changed something.
    pub fn take_back(&mut self, now: Timestamp) -> bool {
        let lost = matches!(self.state, ShardState::Launched | ShardState::Running);
        if lost {
            self.state = ShardState::Pending;
            self.execution = None;
            self.worker = None;
            self.updated_at = now;
        }
        lost
    }

    /// True from the moment the system decided to close the shard itself until its last report is read.
    pub fn is_closing(&self) -> bool {
        self.state == ShardState::Running && self.worker.is_none()
    }

    /// The attempt under which the system itself closes a shard that no worker could finish, or that no worker is to
    /// begin; no worker has it, or gets it.
    pub fn closing_attempt(&mut self, now: Timestamp) -> u32 {
        self.attempt += 1;
        self.seq = 0;
        self.spent_before = self.gpu_seconds;
        self.worker = None;
        self.state = ShardState::Running;
        self.updated_at = now;
        self.attempt
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ItemError, Outcome, Uid};
    use chrono::DateTime;

    fn now() -> Timestamp {
        DateTime::UNIX_EPOCH.into()
    }

    fn worker(execution: &str, task_attempt: u32) -> Worker {
        Worker { execution: execution.into(), task: 0, task_attempt }
    }

    fn report(attempt: u32, seq: u32, last: bool) -> Report {
        Report {
            uid: Uid::named("u1".to_owned()).unwrap(),
            job_id: "job_0123456789abcdefghjkmnpq".to_owned().try_into().unwrap(),
            shard: 0,
            attempt,
            seq,
            last,
            outcomes: vec![Outcome::failed(1, ItemError::new("x", "x"))],
            gpu_seconds: 10.0,
            model_version: "1".into(),
            written_at: now(),
            timing: None,
        }
    }

    #[test]
    fn a_second_execution_of_the_same_launch_is_refused() {
        let mut shard = Shard::new(0, 1, now());
        assert!(shard.launch(1, "e1", now()));
        assert_eq!(shard.claim(&worker("e1", 0), 1, now()), Claim::Granted { attempt: 1 });
        assert!(matches!(shard.claim(&worker("e2", 0), 1, now()), Claim::Refused(_)));
        assert!(matches!(shard.claim(&worker("e1", 0), 1, now()), Claim::Refused(_)));
        assert_eq!(shard.claim(&worker("e1", 1), 1, now()), Claim::Granted { attempt: 2 }, "Cloud Run's own retry");
    }

    #[test]
    fn a_worker_may_be_faster_than_the_dispatcher() {
        let mut shard = Shard::new(0, 1, now());
        assert_eq!(shard.claim(&worker("e1", 0), 1, now()), Claim::Granted { attempt: 1 });
        assert!(!shard.launch(1, "e1", now()), "the late dispatcher changes nothing");
        assert_eq!(shard.state, ShardState::Running);
    }

    #[test]
    fn a_zombie_attempt_changes_nothing_after_its_retry_won() {
        let mut shard = Shard::new(0, 1, now());
        shard.claim(&worker("e1", 0), 1, now());
        assert!(shard.accept(&report(1, 1, false), "r", now()));
        assert!(shard.take_back(now()));
        assert!(matches!(shard.claim(&worker("e1", 1), 1, now()), Claim::Refused(_)), "it was taken back from e1");
        assert_eq!(shard.claim(&worker("e2", 0), 2, now()), Claim::Granted { attempt: 2 });
        assert!(!shard.accept(&report(1, 2, true), "zombie", now()));
        assert!(shard.accept(&report(2, 1, true), "r2", now()));
        assert!(shard.done && shard.gpu_seconds == 20.0, "both attempts cost money");
        assert!(!shard.accept(&report(2, 2, true), "again", now()), "done is done");
    }

    #[test]
    fn a_shard_that_the_system_closes_is_no_workers_any_more() {
        let mut shard = Shard::new(0, 1, now());
        shard.claim(&worker("e1", 0), 1, now());
        shard.take_back(now());
        assert_eq!((shard.closing_attempt(now()), shard.is_closing()), (2, true));
        for (execution, launch) in [("e1", 1), ("e2", 2)] {
            assert!(matches!(shard.claim(&worker(execution, 1), launch, now()), Claim::Refused(_)));
        }
        assert!(shard.accept(&report(2, 1, true), "r", now()) && shard.done && !shard.is_closing());
    }

    #[test]
    fn reports_are_taken_in_order_and_once() {
        let mut shard = Shard::new(0, 1, now());
        shard.claim(&worker("e1", 0), 1, now());
        assert!(shard.accept(&report(1, 2, false), "b", now()));
        assert!(!shard.accept(&report(1, 2, false), "b", now()));
        assert!(!shard.accept(&report(1, 1, false), "a", now()));
        assert_eq!(shard.report.as_deref(), Some("b"));
    }
}
