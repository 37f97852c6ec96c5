//! The run: one prediction or one batch, the document everything meets in, and the moves it may make.

use crate::{
    Aggregation, Cost, Item, JobId, Lane, Plan, Progress, Ranking, ResultRow, Strategy, Summary, Timestamp, Uid,
    safeguard::{Safeguard, holds},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// Where a run stands. It only ever moves to the right, or to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Accepted; no worker has begun.
    Queued,
    Running,
    /// Every item has ended; the results are being written.
    Aggregating,
    Completed,
    Failed,
    Cancelled,
}

impl Status {
    pub fn is_final(self) -> bool {
        matches!(self, Status::Completed | Status::Failed | Status::Cancelled)
    }

    /// As the API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Queued => "queued",
            Status::Running => "running",
            Status::Aggregating => "aggregating",
            Status::Completed => "completed",
            Status::Failed => "failed",
            Status::Cancelled => "cancelled",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobType {
    Individual,
    BatchParent,
    BatchChild,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    Low,
    #[default]
    Normal,
    High,
}

/// Where a run came from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A request to the API.
    Api,
    /// A library dropped into the uploads bucket: its object name.
    Upload(String),
}

/// Why a run failed as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RunError {
    /// Stable code, e.g. `no_valid_ligand`.
    pub code: String,
    pub message: String,
}

impl RunError {
    /// The message is cut to 2,000 characters: it is part of a small document.
    pub fn new(code: &str, message: &str) -> Self {
        RunError { code: code.to_owned(), message: message.chars().take(2000).collect() }
    }
}

/// The document of a run. Small, because every write of it is an event; what is large (library, structures of
/// targets, results) lies in objects.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    pub job_id: JobId,
    #[serde(deserialize_with = "Uid::stored")]
    pub uid: Uid,
    pub job_type: JobType,
    pub status: Status,
    pub name: Option<String>,
    pub model: String,
    pub model_version: String,
    pub created_at: Timestamp,
    pub started_at: Option<Timestamp>,
    /// When the last item ended; also the time written into the results, so that writing them again changes nothing.
    pub ended_at: Option<Timestamp>,
    pub completed_at: Option<Timestamp>,
    pub source: Source,
    /// The model's inputs but the ligands, in canonical form.
    pub input: Value,
    /// The ligand of a single prediction as it was asked for, to show it; a batch's are in its library.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ligand_smiles: Option<String>,
    /// The one item of a single prediction; a batch's are in its library.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<Item>,
    /// The result of a single prediction that has ended; a batch's are in its results.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<Box<ResultRow>>,
    /// Names of the input objects that the worker stages beside them (`msa.a3m`, `target.pdb` …).
    pub input_files: Vec<String>,
    pub parameters: Value,
    /// Residues of the target, for the cost profile.
    pub target_residues: u32,
    pub items: u32,
    pub rejected: u32,
    /// Of the items, those whose result an earlier run of its user had: they take no GPU.
    #[serde(default)]
    pub cached: u32,
    /// What its results answer, for later runs that ask the same ([`question`](crate::question)); absent where none may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
    /// The lane its shards wait in.
    #[serde(default)]
    pub lane: Lane,
    /// Of its user, where GPUs are shared between users.
    #[serde(default = "one")]
    pub weight: u32,
    pub priority: Priority,
    pub strategy: Strategy,
    pub max_concurrent: Option<u32>,
    /// What it may cost, in US dollars: no shard is started that would go beyond, and what is at work is stopped when it
    /// has come to cost as much.
    pub max_cost_usd: Option<f64>,
    pub ranking: Ranking,
    pub plan: Option<Plan>,
    /// True from the planning to the last report, while a shard may come to wait for a GPU: what the dispatcher looks for.
    pub dispatchable: bool,
    pub progress: Progress,
    pub progress_at: Timestamp,
    /// The last milestone its user was told of.
    #[serde(default)]
    pub told: u8,
    pub cost: Cost,
    /// The latest turn at writing the results.
    #[serde(default)]
    pub aggregation: Option<Aggregation>,
    /// The token under which the results lie, once they are written.
    #[serde(default)]
    pub results: Option<u32>,
    /// The month whose budget the run is charged to, that of its making: `2026-11`.
    #[serde(default)]
    pub month: String,
    /// GPU seconds it is charged with: until it ends at least those planned, then those it took.
    #[serde(default)]
    pub charged_gpu_seconds: f64,
    pub summary: Option<Summary>,
    /// Why some of its items were not run, where the system gave them up; the run still ends with the others' results.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<RunError>,
    /// The batch whose failed ligands this one runs again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_of: Option<JobId>,
    /// The batch that runs this one's failed ligands again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retried_by: Option<JobId>,
    /// True if any result came from a stand-in; unknown before the first result.
    pub simulated: Option<bool>,
    pub error: Option<RunError>,
    /// The trace of the request that made the run (W3C `traceparent`): its events and executions go on in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// Raised by the reconciler so that a lost event is told again.
    pub nudges: u32,
    /// The last dead letter that raised them, by its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub letter: Option<String>,
}

impl JobType {
    /// The lane in which shards of such a run wait.
    pub fn lane(self) -> Lane {
        if self == JobType::Individual { Lane::Interactive } else { Lane::Bulk }
    }
}

fn one() -> u32 {
    1
}

impl Run {
    /// GPUs it may hold at once.
    pub fn slots(&self, capacity: u32) -> u32 {
        let limit = if self.strategy == Strategy::Sequential { 1 } else { self.max_concurrent.unwrap_or(capacity) };
        limit.clamp(1, capacity.max(1))
    }

    /// The first shard was handed out. True if that changed something.
    pub fn start(&mut self, now: Timestamp) -> bool {
        let starts = self.status == Status::Queued;
        if starts {
            self.status = Status::Running;
            self.started_at = Some(now);
            self.nudges = 0;
        }
        starts
    }

    /// Every item has ended. True if that changed something: of several that see it, one moves it on.
    pub fn all_reported(&mut self, now: Timestamp) -> bool {
        let moves = matches!(self.status, Status::Queued | Status::Running);
        if moves {
            self.status = Status::Aggregating;
            self.started_at.get_or_insert(now);
            self.ended_at = Some(now);
            self.nudges = 0;
            self.dispatchable = false;
        }
        moves
    }

    /// True where it ended without its results being written: its workers may not have stopped.
    pub fn has_ended_early(&self) -> bool {
        self.status.is_final() && self.results.is_none()
    }

    /// No further shard is to be started. True if that changed something.
    pub fn stop(&mut self, reason: RunError) -> bool {
        let stops = matches!(self.status, Status::Queued | Status::Running) && self.stopped.is_none();
        if stops {
            self.stopped = Some(reason);
        }
        stops
    }

    /// Renews what the run is charged with; whoever changes its plan, its cost or its end calls this.
    pub fn charge(&mut self) {
        let planned = self.plan.as_ref().filter(|_| !self.status.is_final()).map_or(0.0, |plan| plan.gpu_seconds);
        self.charged_gpu_seconds = planned.max(self.cost.gpu_seconds);
    }

    /// Is charged with what its workers spent and did not live to tell. True if that changed something.
    pub fn charge_unheard(&mut self, gpu_seconds: f64) -> bool {
        let charged = self.charged_gpu_seconds.max(self.cost.gpu_seconds + gpu_seconds);
        std::mem::replace(&mut self.charged_gpu_seconds, charged) != charged
    }

    /// The run cannot go on. True if that changed something.
    pub fn fail(&mut self, error: RunError, now: Timestamp) -> bool {
        self.end(Status::Failed, Some(error), now)
    }

    /// The user does not want it any more. True if that changed something.
    pub fn cancel(&mut self, now: Timestamp) -> bool {
        self.end(Status::Cancelled, None, now)
    }

    fn end(&mut self, status: Status, error: Option<RunError>, now: Timestamp) -> bool {
        let moves = !self.status.is_final() || !holds(Safeguard::FinalStatus);
        if moves {
            self.status = status;
            self.error = error;
            self.completed_at = Some(now);
            self.dispatchable = false;
            self.count(self.progress.completed, self.progress.failed, 0);
            self.charge();
        }
        moves
    }

    /// Takes over how many items have ended. In a run that ended early the others have ended with it: as cancelled, or
    /// as failed.
    pub fn count(&mut self, completed: u32, failed: u32, running: u32) {
        let left = self.items.saturating_sub(completed + failed);
        self.progress = match self.status {
            Status::Cancelled => Progress::new(self.items, completed, failed, 0).with_cancelled(left),
            Status::Failed => Progress::new(self.items, completed, failed + left, 0),
            _ => Progress::new(self.items, completed, failed, running.min(left)),
        };
    }
}
