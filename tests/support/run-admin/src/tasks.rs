//! One task as a child process, with Cloud Run's environment, retries, time limit and way of stopping.

use crate::{
    Job,
    executions::{Ended, Execution},
};
use rustix::process::{Pid, Signal, kill_process};
use std::{io, time::Duration};
use tokio::{
    process::{Child, Command},
    sync::watch,
};

/// Between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(10);

/// Runs a task until it succeeds, has no retry left, or is cancelled.
pub(crate) async fn run(
    job: &Job,
    execution: &Execution,
    index: u32,
    mut cancelled: watch::Receiver<bool>,
    retried: impl Fn(),
) -> Ended {
    for attempt in 0..=job.max_retries {
        if *cancelled.borrow() {
            return Ended::Cancelled;
        }
        if attempt > 0 {
            retried();
        }
        let mut child = match spawn(job, execution, index, attempt) {
            Ok(child) => child,
            Err(error) => {
                tracing::error!(command = %job.command.display(), %error, "a task cannot be started");
                return Ended::Failed;
            }
        };
        let told = async {
            // Without a sender the server is gone, which is the end too.
            let _ = cancelled.wait_for(|cancelled| *cancelled).await;
        };
        let ended = tokio::select! {
            status = child.wait() => Some(status.is_ok_and(|status| status.success())),
            () = tokio::time::sleep(execution.asked.timeout) => Some(false),
            () = told => None,
        };
        stop(&mut child).await;
        let Some(succeeded) = ended else { return Ended::Cancelled };
        if succeeded {
            return Ended::Succeeded;
        }
        tracing::warn!(execution = execution.name, task = index, attempt, "a task failed");
    }
    Ended::Failed
}

#[expect(clippy::disallowed_methods, reason = "a child needs the path of this process to find its programs")]
fn spawn(job: &Job, execution: &Execution, index: u32, attempt: u32) -> io::Result<Child> {
    Command::new(&job.command)
        .args(&job.args)
        .env_clear()
        .env("PATH", std::env::var("PATH").unwrap_or_default())
        .envs(&job.env)
        .envs(&execution.asked.env)
        .env("CLOUD_RUN_JOB", &execution.job)
        .env("CLOUD_RUN_EXECUTION", &execution.name)
        .env("CLOUD_RUN_TASK_INDEX", index.to_string())
        .env("CLOUD_RUN_TASK_COUNT", execution.asked.tasks.to_string())
        .env("CLOUD_RUN_TASK_ATTEMPT", attempt.to_string())
        .kill_on_drop(true)
        .spawn()
}

/// Ends a child that has not ended by itself.
async fn stop(child: &mut Child) {
    let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    // It may have ended just now; then there is nobody to tell.
    let _ = pid.map(|pid| kill_process(pid, Signal::TERM));
    if tokio::time::timeout(GRACE, child.wait()).await.is_err() {
        let _ = child.kill().await;
    }
}
