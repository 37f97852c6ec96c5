//! Cloud Run jobs: the tasks of every started execution as child processes, retried as Cloud Run would, and a log entry
//! when the execution is over. A child ends itself when this process is gone, so that no task outlives its server
//! unseen.

use platform::{
    ExecutionState, Message,
    embedded::{Started, Store, TaskRow},
};
use serde_json::json;
use service::{places, start::stopped};
use std::{
    collections::{BTreeMap, HashMap},
    io::Read,
    path::PathBuf,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    process::{Child, Command},
    sync::{Notify, oneshot},
};

/// The hidden command under which this executable is a task.
pub const TASK: &str = "task";
/// Times a task is tried again after it failed.
pub const MAX_RETRIES: u32 = 1;
/// Between telling a task to end and killing it, as on Cloud Run.
const GRACE: Duration = Duration::from_secs(10);

/// By execution and index.
type Running = HashMap<(String, u32), Arc<Notify>>;

/// Runs tasks of one store.
#[derive(Clone)]
pub struct Runner {
    store: Store,
    executable: PathBuf,
    environment: Arc<BTreeMap<String, String>>,
    /// Tasks that run here, each with the signal that stops it.
    running: Arc<Mutex<Running>>,
}

impl Runner {
    /// Tasks are `executable task`, with this environment and what the execution adds.
    pub fn new(store: Store, executable: PathBuf, environment: BTreeMap<String, String>) -> Self {
        Runner { store, executable, environment: Arc::new(environment), running: Arc::default() }
    }

    /// Starts what was asked for and stops what is not wanted any more.
    pub async fn look(&self) -> platform::Result<()> {
        for execution in self.store.unfinished().await? {
            for task in &execution.tasks {
                self.settle(&execution, task);
            }
            let ended = |task: &TaskRow| task.succeeded.is_some();
            if execution.tasks.iter().all(ended) || (execution.cancelled && !self.any_running(&execution.name)) {
                self.end(&execution).await?;
            }
        }
        Ok(())
    }

    fn any_running(&self, execution: &str) -> bool {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).keys().any(|(name, _)| name == execution)
    }

    fn settle(&self, execution: &Started, task: &TaskRow) {
        let key = (execution.name.clone(), task.index);
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        match running.get(&key) {
            Some(stop) if execution.cancelled => stop.notify_one(),
            None if task.succeeded.is_none() && !execution.cancelled => {
                let stop = Arc::new(Notify::new());
                running.insert(key.clone(), stop.clone());
                let (runner, execution) = (self.clone(), execution.clone());
                tokio::spawn(async move {
                    if let Err(error) = runner.task(&execution, key.1, &stop).await {
                        tracing::error!(execution = key.0, task = key.1, error = %service::chain(&error), "a task was lost");
                    }
                    runner.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
                });
            }
            _ => {}
        }
    }

    async fn task(&self, execution: &Started, index: u32, stop: &Notify) -> platform::Result<()> {
        for retry in 0..=MAX_RETRIES {
            let attempt = self.store.task_begins(&execution.name, index).await? - 1;
            let ended = match self.spawn(execution, index, attempt) {
                Ok(mut child) => {
                    // Waiting would close the pipe; it is to close when the child shall end.
                    let pipe = child.stdin.take();
                    let ended = tokio::select! {
                        status = child.wait() => Some(status.is_ok_and(|status| status.success())),
                        () = tokio::time::sleep(execution.timeout) => Some(false),
                        () = stop.notified() => None,
                    };
                    drop(pipe);
                    let gone = tokio::time::timeout(GRACE, child.wait()).await.is_ok();
                    if !gone && let Err(error) = child.kill().await {
                        tracing::error!(error = %error, "a task cannot be stopped");
                    }
                    ended
                }
                Err(error) => {
                    tracing::error!(error = %error, "a task cannot be started");
                    Some(false)
                }
            };
            match ended {
                None => return self.store.task_ends(&execution.name, index, false).await,
                Some(true) => return self.store.task_ends(&execution.name, index, true).await,
                Some(false) => tracing::warn!(execution = execution.name, task = index, retry, "a task failed"),
            }
        }
        self.store.task_ends(&execution.name, index, false).await
    }

    /// The child's input is a pipe that nobody writes to: it closes when this process is gone, or drops the child.
    fn spawn(&self, execution: &Started, index: u32, attempt: u32) -> std::io::Result<Child> {
        Command::new(&self.executable)
            .arg(TASK)
            .envs(self.environment.iter())
            .envs(&execution.env)
            .env("CLOUD_RUN_JOB", &execution.job)
            .env("CLOUD_RUN_EXECUTION", &execution.name)
            .env("CLOUD_RUN_TASK_INDEX", index.to_string())
            .env("CLOUD_RUN_TASK_COUNT", execution.tasks.len().to_string())
            .env("CLOUD_RUN_TASK_ATTEMPT", attempt.to_string())
            .stdin(Stdio::piped())
            .kill_on_drop(false)
            .spawn()
    }

    async fn end(&self, execution: &Started) -> platform::Result<()> {
        let failed = execution.tasks.iter().any(|task| task.succeeded != Some(true));
        let state = match (execution.cancelled, failed) {
            (true, _) => ExecutionState::Cancelled,
            (false, true) => ExecutionState::Failed,
            (false, false) => ExecutionState::Succeeded,
        };
        let notice = ended_notice(&execution.job, &execution.name, failed);
        self.store.execution_ends(&execution.name, state, places::EXECUTION_ENDED, notice).await
    }
}

/// The message that says an execution is over: the audit log's entry for it.
pub fn ended_notice(job: &str, execution: &str, failed: bool) -> Message {
    let message = if failed { "a task of the execution failed" } else { "" };
    let entry = json!({
        "severity": if failed { "ERROR" } else { "INFO" },
        "resource": {"type": "cloud_run_job", "labels": {"job_name": job}},
        "labels": {"run.googleapis.com/execution_name": execution},
        "protoPayload": {
            "methodName": "/Jobs.RunJob",
            "resourceName": format!("namespaces/local/executions/{execution}"),
            "status": {"message": message},
        },
    });
    Message { data: entry.to_string().into_bytes(), attributes: BTreeMap::new() }
}

/// Ends when the process is told to stop, or when the one that started it is gone.
pub async fn until_orphaned() {
    let (gone, orphaned) = oneshot::channel();
    // A thread and not a task: a read that never ends must not hold up the end of the process.
    std::thread::spawn(move || {
        let mut rest = vec![];
        let _ = std::io::stdin().read_to_end(&mut rest);
        let _ = gone.send(());
    });
    tokio::select! { _ = orphaned => {}, () = stopped() => {} }
}
