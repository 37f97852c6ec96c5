//! The four requests that are made of the Admin API, in the shapes its clients send and expect.

use crate::executions::{Asked, Execution, Executions};
use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use chrono::SecondsFormat;
use serde::Deserialize;
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};

/// `google.cloud.run.v2.Condition.State` and `ExecutionReason`, by number, as the client asks for enumerations.
const RECONCILING: u32 = 2;
const FAILED: u32 = 3;
const SUCCEEDED: u32 = 4;
const REASON_CANCELLED: u32 = 3;
const PAGE: usize = 100;

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RunRequest {
    overrides: Overrides,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Overrides {
    container_overrides: Vec<ContainerOverride>,
    task_count: u32,
    /// Seconds, as `3600s`.
    timeout: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ContainerOverride {
    env: Vec<EnvVar>,
}

#[derive(Deserialize)]
struct EnvVar {
    name: String,
    #[serde(default)]
    value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Page {
    page_size: usize,
    page_token: String,
}

pub(crate) fn router(executions: Executions) -> Router {
    let location = "/v2/projects/{project}/locations/{region}/jobs";
    Router::new()
        .route(&format!("{location}/{{job}}"), post(run))
        .route(&format!("{location}/{{job}}/executions"), get(list))
        .route(&format!("{location}/{{job}}/executions/{{execution}}"), get(describe).post(cancel))
        .with_state(executions)
}

/// `POST …/jobs/JOB:run`
async fn run(
    State(executions): State<Executions>,
    Path((_, _, call)): Path<(String, String, String)>,
    Json(request): Json<RunRequest>,
) -> Response {
    let Some(job) = call.strip_suffix(":run") else { return refused(StatusCode::NOT_FOUND, "NOT_FOUND") };
    let Overrides { container_overrides, task_count, timeout } = request.overrides;
    let env = container_overrides.into_iter().flat_map(|container| container.env);
    let env = env.map(|env| (env.name, env.value)).collect::<BTreeMap<_, _>>();
    let timeout = timeout.strip_suffix('s').and_then(|seconds| seconds.parse().ok()).unwrap_or(600.0);
    let asked = Asked { env, tasks: task_count.max(1), timeout: Duration::from_secs_f64(timeout) };
    match executions.start(job, asked) {
        Some(execution) => {
            let mut metadata = resource(&execution, executions.location());
            metadata["@type"] = json!("type.googleapis.com/google.cloud.run.v2.Execution");
            Json(operation(&executions, &execution.name, metadata)).into_response()
        }
        None => refused(StatusCode::NOT_FOUND, "NOT_FOUND"),
    }
}

/// `GET …/executions`: the newest first.
async fn list(
    State(executions): State<Executions>,
    Path((_, _, job)): Path<(String, String, String)>,
    Query(page): Query<Page>,
) -> Response {
    let begin = page.page_token.parse().unwrap_or(0);
    let size = if page.page_size == 0 { PAGE } else { page.page_size.min(PAGE) };
    let all: Vec<_> = executions.all().into_iter().rev().filter(|execution| execution.job == job).collect();
    let listed = all.iter().skip(begin).take(size).map(|execution| resource(execution, executions.location()));
    let next = if begin + size < all.len() { (begin + size).to_string() } else { String::new() };
    Json(json!({"executions": listed.collect::<Vec<_>>(), "nextPageToken": next})).into_response()
}

/// `GET …/executions/EXECUTION`
async fn describe(
    State(executions): State<Executions>,
    Path((.., name)): Path<(String, String, String, String)>,
) -> Response {
    match executions.get(&name) {
        Some(execution) => Json(resource(&execution, executions.location())).into_response(),
        None => refused(StatusCode::NOT_FOUND, "NOT_FOUND"),
    }
}

/// `POST …/executions/EXECUTION:cancel`
async fn cancel(
    State(executions): State<Executions>,
    Path((.., call)): Path<(String, String, String, String)>,
) -> Response {
    let name = call.strip_suffix(":cancel").unwrap_or_default();
    match executions.get(name) {
        None => refused(StatusCode::NOT_FOUND, "NOT_FOUND"),
        Some(_) if !executions.cancel(name) => refused(StatusCode::BAD_REQUEST, "FAILED_PRECONDITION"),
        Some(execution) => {
            let mut metadata = resource(&execution, executions.location());
            metadata["@type"] = json!("type.googleapis.com/google.cloud.run.v2.Execution");
            Json(operation(&executions, name, metadata)).into_response()
        }
    }
}

/// A long-running operation that is not over.
fn operation(executions: &Executions, name: &str, metadata: Value) -> Value {
    json!({"name": format!("{}/operations/{name}", executions.location()), "metadata": metadata, "done": false})
}

fn resource(execution: &Execution, location: &str) -> Value {
    let time = |time: chrono::DateTime<chrono::Utc>| time.to_rfc3339_opts(SecondsFormat::Millis, true);
    let Execution { name, job, asked, succeeded, failed, cancelled, .. } = execution;
    let env: Vec<_> = asked.env.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
    let mut condition = json!({"type": "Completed", "state": RECONCILING});
    if execution.completed_at.is_some() {
        condition["state"] = json!(if *succeeded == asked.tasks { SUCCEEDED } else { FAILED });
        if *cancelled > 0 {
            condition["executionReason"] = json!(REASON_CANCELLED);
        }
    }
    let running = asked.tasks.saturating_sub(succeeded + failed + cancelled);
    let mut resource = json!({
        "name": format!("{location}/jobs/{job}/executions/{name}"), "job": job, "createTime": time(execution.created_at),
        "startTime": time(execution.created_at), "taskCount": asked.tasks, "conditions": [condition],
        "runningCount": running, "succeededCount": succeeded, "failedCount": failed, "cancelledCount": cancelled,
        "retriedCount": execution.retried,
        "template": {
            "containers": [{"image": "test", "env": env}],
            "maxRetries": execution.max_retries, "timeout": format!("{}s", asked.timeout.as_secs()),
        },
    });
    if let Some(completed_at) = execution.completed_at {
        resource["completionTime"] = json!(time(completed_at));
    }
    resource
}

fn refused(code: StatusCode, status: &str) -> Response {
    let error = json!({"code": code.as_u16(), "message": "the request was refused", "status": status});
    (code, Json(json!({ "error": error }))).into_response()
}
