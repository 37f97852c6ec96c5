//! `on-execution-ended`: Cloud Run's audit log says that an execution is over. If it is, shards it held and did not
//! finish are given to another one, or closed.

use axum::{extract::State, http::StatusCode, routing::post};
use domain::{Lease, Pool};
use serde::Deserialize;
use service::{
    Function, Result, Trigger, World,
    events::Push,
    places,
    runs::shards::{evaluate, lost, wake_dispatcher},
};
use std::collections::BTreeMap;
use utoipa_axum::router::OpenApiRouter;

pub const FUNCTION: Function =
    Function::on("on-execution-ended", Trigger::Message { topic: places::EXECUTION_ENDED }, router);

fn router() -> OpenApiRouter<World> {
    OpenApiRouter::new().route("/", post(on_execution_ended))
}

/// The part of a log entry that says which execution it is about, and how it went.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogEntry {
    #[serde(default)]
    labels: BTreeMap<String, String>,
    proto_payload: Audit,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Audit {
    /// `namespaces/PROJECT/executions/NAME`
    #[serde(default)]
    resource_name: String,
    #[serde(default)]
    status: AuditStatus,
}

#[derive(Default, Deserialize)]
struct AuditStatus {
    #[serde(default)]
    message: String,
}

async fn on_execution_ended(
    State(world): State<World>,
    Push { data: entry, .. }: Push<LogEntry>,
) -> Result<StatusCode> {
    let label = entry.labels.get("run.googleapis.com/execution_name").map(String::as_str);
    let name = label.or_else(|| entry.proto_payload.resource_name.rsplit('/').next()).unwrap_or_default();
    let pool = world.docs.find::<Pool>(&places::pool()).await?.map(|pool| pool.value).unwrap_or_default();
    let is_it = |lease: &&Lease| lease.execution.as_deref().is_some_and(|known| known.rsplit('/').next() == Some(name));
    let Some(lease) = pool.leases.iter().find(is_it) else {
        tracing::info!(execution = name, "an execution ended that holds no lease");
        return Ok(StatusCode::NO_CONTENT);
    };
    let execution = lease.execution.as_deref().unwrap_or_default();
    if world.executions.describe(execution).await?.is_some_and(|execution| execution.completed_at.is_none()) {
        tracing::warn!(execution, "an execution is said to have ended and goes on");
        return Ok(StatusCode::NO_CONTENT);
    }
    let message = &entry.proto_payload.status.message;
    let reason = if message.is_empty() { "its execution ended" } else { message };
    for leased in &lease.held {
        lost(&world, &lease.uid, &lease.job_id, leased.shard, leased.launch, reason).await?;
    }
    evaluate(&world, &lease.uid, &lease.job_id).await?;
    wake_dispatcher(&world).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests;
