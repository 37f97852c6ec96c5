//! The port of GPU work: start an execution of a job, look at it, stop it. Made so that the Cloud Run Admin API fits.

use crate::Result;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// What to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartRequest {
    /// The job's name.
    pub job: String,
    /// Whoever starts with the same claim again gets the execution that the first call started.
    pub claim: String,
    /// Added to the environment of every task.
    pub env: BTreeMap<String, String>,
    /// Tasks side by side, 1 to 10,000; each learns its index from `CLOUD_RUN_TASK_INDEX`.
    pub tasks: u32,
    /// Of one task; it is killed after that.
    pub timeout: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExecutionState {
    Running,
    Succeeded,
    Failed,
    Cancelled,
}

/// How an execution stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Execution {
    pub name: String,
    pub state: ExecutionState,
    /// Tasks that ended well.
    pub succeeded: u32,
    /// Tasks that failed with no retry left.
    pub failed: u32,
    pub completed_at: Option<DateTime<Utc>>,
}

/// What an adapter implements. Callers use [`Executions`].
#[async_trait]
pub trait ExecutionsCore: Send + Sync {
    async fn start(&self, request: StartRequest) -> Result<String>;
    async fn describe(&self, name: &str) -> Result<Option<Execution>>;
    async fn cancel(&self, name: &str) -> Result<()>;
}

/// The handle functions hold.
#[derive(Clone)]
pub struct Executions(Arc<dyn ExecutionsCore>);

impl Executions {
    pub fn new(core: Arc<dyn ExecutionsCore>) -> Self {
        Executions(core)
    }

    /// Starts, or finds, the execution of this claim; its name.
    pub async fn start(&self, request: StartRequest) -> Result<String> {
        self.0.start(request).await
    }

    /// How it stands, or `None` if there is none of that name.
    pub async fn describe(&self, name: &str) -> Result<Option<Execution>> {
        self.0.describe(name).await
    }

    /// Asks it to stop; one that has ended stays as it ended.
    pub async fn cancel(&self, name: &str) -> Result<()> {
        self.0.cancel(name).await
    }
}
