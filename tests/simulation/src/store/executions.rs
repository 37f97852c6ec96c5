//! Executions in memory. Starting one writes it down; `cloud_run` runs its tasks.

use super::Port;
use crate::cloud_run;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use domain::safeguard::{Safeguard, holds};
use platform::{Error, Execution, ExecutionState, Result, StartRequest, executions::ExecutionsCore};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::sync::Notify;

/// An execution as it is kept.
pub struct StoredExecution {
    pub job: String,
    pub env: BTreeMap<String, String>,
    pub timeout: Duration,
    pub cancelled: bool,
    pub tasks: Vec<StoredTask>,
    pub ended: Option<(ExecutionState, DateTime<Utc>)>,
}

/// One task of an execution.
#[derive(Clone, Default)]
pub struct StoredTask {
    /// Whether it ended well; absent before its end.
    pub succeeded: Option<bool>,
    /// Rung when the task is to stop.
    pub stop: Arc<Notify>,
}

#[async_trait]
impl ExecutionsCore for Port {
    async fn start(&self, request: StartRequest) -> Result<String> {
        if !(1..=10_000).contains(&request.tasks) {
            return Err(Error::Invalid(format!("an execution of {} tasks; 1 to 10,000 fit", request.tasks)));
        }
        let claim = request.claim.clone();
        let universe = self.universe.clone();
        self.call("start", true, &claim, |state, _| {
            if let Some(name) = state.store.claims.get(&request.claim).filter(|_| holds(Safeguard::StartClaim)) {
                return Ok(name.clone());
            }
            let name = format!("{}-{}", request.job, state.store.next_version());
            state.store.claims.insert(request.claim, name.clone());
            let tasks: Vec<_> = (0..request.tasks).map(|_| StoredTask::default()).collect();
            for index in 0..tasks.len() {
                state.busy += 1;
                let task = cloud_run::task(universe.clone(), name.clone(), index);
                state.spawned.push((Box::pin(task), None));
            }
            let StartRequest { job, env, timeout, .. } = request;
            let execution = StoredExecution { job, env, timeout, cancelled: false, tasks, ended: None };
            state.store.executions.insert(name.clone(), execution);
            Ok(name)
        })
        .await
    }

    async fn describe(&self, name: &str) -> Result<Option<Execution>> {
        self.call("describe", false, name, |state, _| {
            Ok(state.store.executions.get(name).map(|execution| {
                let ended = |well| execution.tasks.iter().filter(|task| task.succeeded == Some(well)).count() as u32;
                Execution {
                    name: name.to_owned(),
                    state: execution.ended.map_or(ExecutionState::Running, |(state, _)| state),
                    succeeded: ended(true),
                    failed: ended(false),
                    completed_at: execution.ended.map(|(_, at)| at),
                }
            }))
        })
        .await
    }

    async fn cancel(&self, name: &str) -> Result<()> {
        self.call("cancel", true, name, |state, _| {
            if let Some(execution) = state.store.executions.get_mut(name).filter(|execution| execution.ended.is_none())
            {
                execution.cancelled = true;
                execution.tasks.iter().for_each(|task| task.stop.notify_one());
            }
            Ok(())
        })
        .await
    }
}
