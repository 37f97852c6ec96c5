//! What becomes of the GPUs of a run that ended while it was at work.

use super::*;
use async_trait::async_trait;
use platform::{Execution, Executions, executions::ExecutionsCore};
use std::sync::Arc;

#[tokio::test]
async fn a_cancelled_runs_execution_is_stopped_and_its_gpus_go_to_who_waits() {
    let bench = Bench::new().await;
    let (first, second) = (bench.planned("u1", 7).await, bench.planned("u1", 7).await);
    wake(&bench).await;
    let running = if bench.run(&first).await.status == Status::Running { &first } else { &second };
    cancel(&bench, running).await;
    wake(&bench).await;
    let started = executions(&bench).await;
    assert_eq!(started.iter().filter(|execution| execution.cancelled).count(), started.len() - 1);
    assert_eq!(bench.pool().await.in_use(), 3);
    assert!(bench.pool().await.leases.iter().all(|lease| lease.job_id != running.job_id));
}

/// Cloud Run while it hears of no cancellation.
struct Deaf(Executions);

#[async_trait]
impl ExecutionsCore for Deaf {
    async fn start(&self, request: StartRequest) -> platform::Result<String> {
        self.0.start(request).await
    }

    async fn describe(&self, name: &str) -> platform::Result<Option<Execution>> {
        self.0.describe(name).await
    }

    async fn cancel(&self, _: &str) -> platform::Result<()> {
        Err(platform::Error::Unavailable { what: "Cloud Run", source: "no answer".into() })
    }
}

#[tokio::test]
async fn gpus_of_a_run_that_ended_are_given_to_nobody_before_its_stopping_was_heard() {
    let mut bench = Bench::with(|settings| settings.gpu_capacity = 2).await;
    let run = bench.planned("u1", 2).await;
    wake(&bench).await;
    let next = bench.planned("u2", 2).await;
    cancel(&bench, &run).await;
    let cloud_run = bench.world.executions.clone();
    bench.world.executions = Executions::new(Arc::new(Deaf(cloud_run.clone())));
    assert!(bench.tell(FUNCTION, waking()).await.is_server_error(), "the error is told");
    assert_eq!((tasks(&bench).await, bench.run(&next).await.status), (2, Status::Queued));
    bench.world.executions = cloud_run;
    wake(&bench).await;
    assert!(executions(&bench).await[0].cancelled && bench.run(&next).await.status == Status::Running);
}
