//! Executions and how they stand. Starting one begins its tasks; when the last has ended, the execution has, and the
//! log says so.

use crate::{Job, Shared, tasks};
use chrono::{DateTime, Utc};
use platform::{Bus, Clock, Ids, Message};
use serde_json::json;
use std::{
    collections::BTreeMap,
    sync::{Arc, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
};

/// What a request to run a job asks for.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub env: BTreeMap<String, String>,
    pub tasks: u32,
    pub timeout: Duration,
}

/// An execution as it stands.
#[derive(Clone, Debug)]
pub(crate) struct Execution {
    pub name: String,
    pub job: String,
    pub asked: Asked,
    pub max_retries: u32,
    pub created_at: DateTime<Utc>,
    pub completed_at: Option<DateTime<Utc>>,
    pub succeeded: u32,
    pub failed: u32,
    pub cancelled: u32,
    pub retried: u32,
    cancel: watch::Sender<bool>,
}

/// How a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Succeeded,
    Failed,
    Cancelled,
}

/// All executions of one location. Cloning shares them.
#[derive(Clone)]
pub(crate) struct Executions(Arc<Inner>);

struct Inner {
    location: String,
    jobs: BTreeMap<String, Job>,
    sink: Option<(Bus, String)>,
    clock: Clock,
    ids: Ids,
    /// In the order in which they were started.
    known: Shared<Vec<Execution>>,
    running: Shared<JoinSet<()>>,
}

impl Executions {
    pub(crate) fn new(
        location: String,
        jobs: BTreeMap<String, Job>,
        sink: Option<(Bus, String)>,
        clock: Clock,
        ids: Ids,
    ) -> Self {
        let (known, running) = (Shared::default(), Shared::default());
        Executions(Arc::new(Inner { location, jobs, sink, clock, ids, known, running }))
    }

    pub(crate) fn location(&self) -> &str {
        &self.0.location
    }

    pub(crate) fn all(&self) -> Vec<Execution> {
        self.known().clone()
    }

    pub(crate) fn get(&self, name: &str) -> Option<Execution> {
        self.known().iter().find(|execution| execution.name == name).cloned()
    }

    fn known(&self) -> MutexGuard<'_, Vec<Execution>> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts an execution; `None` if there is no such job.
    pub(crate) fn start(&self, job: &str, asked: Asked) -> Option<Execution> {
        let spec = self.0.jobs.get(job)?.clone();
        let (cancel, cancelled) = watch::channel(false);
        let execution = Execution {
            name: format!("{job}-{}", &self.0.ids.next()[..5]),
            job: job.to_owned(),
            asked,
            max_retries: spec.max_retries,
            created_at: self.0.clock.now(),
            completed_at: None,
            succeeded: 0,
            failed: 0,
            cancelled: 0,
            retried: 0,
            cancel,
        };
        self.known().push(execution.clone());
        let (executions, begun) = (self.clone(), execution.clone());
        let mut running = self.0.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.spawn(async move { executions.run(spec, begun, cancelled).await });
        while running.try_join_next().is_some() {}
        Some(execution)
    }

    /// Asks an execution to stop; false if it has ended.
    pub(crate) fn cancel(&self, name: &str) -> bool {
        let known = self.known();
        let Some(execution) = known.iter().find(|execution| execution.name == name) else { return false };
        execution.completed_at.is_none() && execution.cancel.send(true).is_ok()
    }

    /// Ends everything at once, as the end of the server does.
    pub(crate) fn stop(&self) {
        self.0.running.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
    }

    async fn run(&self, spec: Job, execution: Execution, cancelled: watch::Receiver<bool>) {
        let room = Arc::new(Semaphore::new(spec.parallelism.max(1)));
        let mut tasks = JoinSet::new();
        for index in 0..execution.asked.tasks {
            let (executions, room, spec) = (self.clone(), room.clone(), spec.clone());
            let (execution, cancelled) = (execution.clone(), cancelled.clone());
            tasks.spawn(async move {
                let _place = room.acquire().await;
                let retried = || executions.change(&execution.name, |it| it.retried += 1);
                let ended = tasks::run(&spec, &execution, index, cancelled, retried).await;
                executions.change(&execution.name, |it| match ended {
                    Ended::Succeeded => it.succeeded += 1,
                    Ended::Failed => it.failed += 1,
                    Ended::Cancelled => it.cancelled += 1,
                });
            });
        }
        while tasks.join_next().await.is_some() {}
        let now = self.0.clock.now();
        self.change(&execution.name, |it| it.completed_at = Some(now));
        self.log(&execution.name).await;
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut Execution)) {
        if let Some(execution) = self.known().iter_mut().find(|execution| execution.name == name) {
            change(execution);
        }
    }

    /// The audit log's entry for an ended execution, through the log sink.
    async fn log(&self, name: &str) {
        let (Some((bus, topic)), Some(execution)) = (&self.0.sink, self.get(name)) else { return };
        let failed = execution.succeeded < execution.asked.tasks;
        let entry = json!({
            "severity": if failed { "ERROR" } else { "INFO" },
            "resource": {"type": "cloud_run_job", "labels": {"job_name": execution.job}},
            "labels": {"run.googleapis.com/execution_name": name},
            "protoPayload": {
                "methodName": "/Jobs.RunJob",
                "resourceName": format!("namespaces/test/executions/{name}"),
                "status": {"message": if failed { "a task of the execution failed" } else { "" }},
            },
        });
        let message = Message { data: entry.to_string().into_bytes(), attributes: BTreeMap::new() };
        if let Err(error) = bus.publish(topic, message).await {
            tracing::error!(execution = name, %error, "the end of an execution was not told");
        }
    }
}
