//! What endpoints are sent, in the shape Standard Webhooks recommends: a type, when it happened, and data. Ids, counts
//! and paths of the API; no molecule, and no text that might quote one.

use domain::{Notice, Run};
use serde_json::{Value, json};
use service::runs::views;

/// The message of a notice about this run.
pub fn of(notice: &Notice, run: &Run) -> Value {
    let data = if run.job_id.is_batch() { batch(notice, run) } else { job(run) };
    json!({"type": notice.event.kind(), "timestamp": notice.at, "data": data})
}

fn job(run: &Run) -> Value {
    json!({
        "job_id": run.job_id,
        "job_name": run.name,
        "status": run.status,
        "model": run.model,
        "error_code": error_code(run),
        "links": {"job": format!("/api/v1/jobs/{}", run.job_id)},
    })
}

fn batch(notice: &Notice, run: &Run) -> Value {
    let path = format!("/api/v1/batches/{}", run.job_id);
    let milestone = notice.event.milestone().unwrap_or(run.progress.milestone);
    json!({
        "batch_id": run.job_id,
        "batch_name": run.name,
        "status": run.status,
        "model": run.model,
        "total_jobs": run.items,
        "completed_jobs": run.progress.completed,
        "failed_jobs": run.progress.failed,
        "rejected": run.rejected,
        "progress": {"percent": run.progress.percent, "milestone": milestone},
        "error_code": error_code(run),
        "links": {"batch": path, "results": format!("{path}/results"), "export": views::batch(run).export_links},
    })
}

fn error_code(run: &Run) -> Option<&str> {
    run.error.as_ref().map(|error| error.code.as_str())
}
