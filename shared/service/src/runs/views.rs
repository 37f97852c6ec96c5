//! Runs as clients see them.

use domain::{
    ChildId, Cost, Forecast, Item, JobId, JobType, Lane, OutcomeStatus, Priority, Progress, ResultRow, Run, RunError,
    Source, Status, Strategy, Summary, Timestamp,
};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

/// Any job: a single prediction, a batch, or one item of a batch.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct JobView {
    pub job_id: String,
    pub job_type: JobType,
    /// The batch of a batch's item.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_id: Option<String>,
    pub status: Status,
    pub model: String,
    pub model_version: String,
    pub job_name: Option<String>,
    pub created_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub completed_at: Option<Timestamp>,
    /// Seconds until the end, if GPUs are free; null once it has ended.
    pub estimated_completion_seconds: Option<u64>,
    /// While it waits.
    pub queue: Option<Queue>,
    pub progress: Progress,
    pub results: Option<ResultRow>,
    pub error: Option<RunError>,
    pub download_links: Option<DownloadLinks>,
    #[schema(value_type = Object)]
    pub input: Value,
    #[schema(value_type = Object)]
    pub parameters: Value,
    /// Null for an item of a batch, whose cost is the batch's.
    pub cost: Option<Cost>,
    /// True if any value came from a stand-in and not from the model; null before the first result.
    pub simulated: Option<bool>,
    /// True if an earlier run of the user has the result: no GPU is used for it.
    pub cached: bool,
}

/// Where a run waits.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Queue {
    pub lane: Lane,
    /// 1 for the run of its lane that is to start next; null where it was not looked up.
    pub position: Option<u32>,
    /// Seconds until its first ligand gets a GPU, if the shards before it take as long as planned, none is lost, and
    /// nobody with the right of way comes; null where it was not looked up.
    pub estimated_start_seconds: Option<u64>,
}

impl Queue {
    /// The same with what the queue holds for the run.
    pub fn with(self, forecast: Forecast) -> Self {
        let estimated_start_seconds = forecast.start_seconds.map(|seconds| seconds.ceil() as u64);
        Queue { position: forecast.position, estimated_start_seconds, ..self }
    }
}

/// Paths that redirect to short-lived links.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct DownloadLinks {
    /// Null where the model writes PDB only.
    pub cif: Option<String>,
    pub pdb: String,
    pub json: String,
}

/// A batch.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct BatchView {
    pub batch_id: String,
    pub batch_name: Option<String>,
    pub job_type: JobType,
    pub status: Status,
    pub model: String,
    pub model_version: String,
    pub created_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub completed_at: Option<Timestamp>,
    /// Seconds until the end, if GPUs are free; null once it has ended.
    pub estimated_completion_seconds: Option<u64>,
    pub queue: Option<Queue>,
    pub total_jobs: u32,
    pub completed_jobs: u32,
    pub failed_jobs: u32,
    pub running_jobs: u32,
    pub progress: Progress,
    /// Those of a cancelled batch that were not run.
    pub cancelled_jobs: u32,
    pub summary: Option<Summary>,
    /// The batch whose failed ligands this one runs again.
    pub retry_of: Option<String>,
    /// The batch that runs this one's failed ligands again.
    pub retried_by: Option<String>,
    /// Once the results are written.
    pub export_links: Option<ExportLinks>,
    pub rejected: RejectedView,
    pub error: Option<RunError>,
    /// Why some ligands were not run, in a batch that ends with partial results.
    pub stopped: Option<RunError>,
    pub source: Source,
    pub priority: Priority,
    pub strategy: Strategy,
    pub max_concurrent: Option<u32>,
    #[schema(value_type = Object)]
    pub input: Value,
    #[schema(value_type = Object)]
    pub parameters: Value,
    pub cost: Cost,
    /// True if any value came from a stand-in and not from the model; null before the first result.
    pub simulated: Option<bool>,
    /// Of `total_jobs`, those whose result an earlier run of the user has: no GPU is used for them.
    pub cached: u32,
}

/// Paths that redirect to short-lived links.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ExportLinks {
    pub csv: String,
    pub json: String,
    pub zip: String,
    pub parquet: String,
    pub sdf: String,
}

/// Rows of the library that were not run.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RejectedView {
    /// Duplicates among them.
    pub invalid_count: u32,
    /// Path that redirects to `rejected.csv`.
    pub link: Option<String>,
}

/// A run as a job; `results` are those of a single prediction.
pub fn job(run: &Run, results: Option<ResultRow>) -> JobView {
    let id = run.job_id.to_string();
    JobView {
        download_links: results.as_ref().and_then(|row| links(&id, row)),
        job_id: id,
        job_type: run.job_type,
        batch_id: None,
        status: run.status,
        model: run.model.clone(),
        model_version: run.model_version.clone(),
        job_name: run.name.clone(),
        created_at: run.created_at,
        started_at: run.started_at,
        completed_at: run.completed_at,
        estimated_completion_seconds: seconds_left(run),
        queue: queue(run),
        progress: run.progress,
        results: results.map(shown),
        error: run.error.clone(),
        input: input(run, run.ligand_smiles.as_deref()),
        parameters: run.parameters.clone(),
        cost: Some(run.cost),
        simulated: run.simulated,
        cached: run.job_type == JobType::Individual && run.cached > 0,
    }
}

/// The model's inputs with the ligand among them.
fn input(run: &Run, smiles: Option<&str>) -> Value {
    let mut input = run.input.clone();
    if let (Some(object), Some(smiles)) = (input.as_object_mut(), smiles) {
        object.insert("ligand_smiles".into(), json!(smiles));
    }
    input
}

/// One item of a batch as a job.
pub fn child(run: &Run, id: &ChildId, item: &Item, results: Option<ResultRow>) -> JobView {
    let status = match (&results, run.status) {
        (Some(row), _) if row.status == OutcomeStatus::Completed => Status::Completed,
        (Some(_), _) => Status::Failed,
        (None, Status::Cancelled) => Status::Cancelled,
        (None, Status::Failed) => Status::Failed,
        (None, Status::Queued) => Status::Queued,
        (None, _) => Status::Running,
    };
    let done = u32::from(status == Status::Completed);
    let failed = u32::from(status == Status::Failed);
    let error = match &results {
        Some(row) => row.error.clone().map(|error| RunError { code: error.code, message: error.message }),
        None => run.error.clone(),
    };
    let job_id = run.job_id.child(id.index);
    JobView {
        download_links: results.as_ref().and_then(|row| links(&job_id, row)),
        job_id,
        job_type: JobType::BatchChild,
        batch_id: Some(run.job_id.to_string()),
        status,
        job_name: Some(item.name.clone()),
        estimated_completion_seconds: seconds_left(run).filter(|_| !status.is_final()),
        queue: None,
        progress: Progress::new(1, done, failed, u32::from(status == Status::Running)),
        error,
        simulated: results.as_ref().map(|row| row.simulated),
        cached: results.as_ref().is_some_and(|row| row.cached),
        results: results.map(shown),
        input: input(run, item.smiles.as_deref()),
        cost: None,
        ..job(run, None)
    }
}

/// A run as a batch.
pub fn batch(run: &Run) -> BatchView {
    let id = run.job_id.to_string();
    let export = |format: &str| format!("/api/v1/batches/{id}/export?format={format}");
    let written = run.results.is_some();
    BatchView {
        batch_name: run.name.clone(),
        job_type: run.job_type,
        status: run.status,
        model: run.model.clone(),
        model_version: run.model_version.clone(),
        created_at: run.created_at,
        started_at: run.started_at,
        completed_at: run.completed_at,
        estimated_completion_seconds: seconds_left(run),
        queue: queue(run),
        total_jobs: run.items,
        completed_jobs: run.progress.completed,
        failed_jobs: run.progress.failed,
        running_jobs: run.progress.running,
        cancelled_jobs: run.progress.cancelled,
        retry_of: run.retry_of.as_ref().map(JobId::to_string),
        retried_by: run.retried_by.as_ref().map(JobId::to_string),
        progress: run.progress,
        summary: run.summary.clone(),
        export_links: written.then(|| ExportLinks {
            csv: export("csv"),
            json: export("json"),
            zip: export("zip"),
            parquet: export("parquet"),
            sdf: export("sdf"),
        }),
        rejected: RejectedView { invalid_count: run.rejected, link: (run.rejected > 0).then(|| export("rejected")) },
        error: run.error.clone(),
        stopped: run.stopped.clone(),
        source: run.source.clone(),
        priority: run.priority,
        strategy: run.strategy,
        max_concurrent: run.max_concurrent,
        input: run.input.clone(),
        parameters: run.parameters.clone(),
        cost: run.cost,
        simulated: run.simulated,
        cached: run.cached,
        batch_id: id,
    }
}

/// A row without what is ours alone.
pub fn shown(mut row: ResultRow) -> ResultRow {
    row.files.clear();
    row
}

fn links(id: &str, row: &ResultRow) -> Option<DownloadLinks> {
    let file = |kind: &str| format!("/api/v1/jobs/{id}/files/{kind}");
    let cif = row.files.contains_key("cif").then(|| file("cif"));
    row.has_structure.then(|| DownloadLinks { cif, pdb: file("pdb"), json: file("json") })
}

fn queue(run: &Run) -> Option<Queue> {
    (run.status == Status::Queued).then_some(Queue { lane: run.lane, position: None, estimated_start_seconds: None })
}

fn seconds_left(run: &Run) -> Option<u64> {
    let plan = run.plan.as_ref().filter(|_| !run.status.is_final())?;
    let unfinished = run.items.saturating_sub(run.progress.completed + run.progress.failed);
    Some((plan.seconds * plan.left(unfinished)).ceil() as u64)
}
