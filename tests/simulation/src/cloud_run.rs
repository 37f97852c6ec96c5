//! Cloud Run jobs: starts the tasks of executions, tries a failed one again, ends one at its time limit, and says when
//! an execution is over. The tasks speak the worker's own protocol; only the model is one of the simulation.

use crate::{
    faults::Fault,
    model::Model,
    store::StoredExecution,
    universe::{Pid, Universe},
};
use futures::channel::oneshot;
use local::{MAX_RETRIES, ended_notice};
use platform::{ExecutionState, embedded::Event};
use predict_worker::{Ended, WorkerPorts, attend};
use service::places;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::sync::Notify;

/// Between telling a task to end and killing it.
const GRACE: Duration = Duration::from_secs(10);

/// How an attempt of a task ended, as Cloud Run sees it.
enum Outcome {
    Well,
    Failed,
    Stopped,
}

/// Runs one task of an execution to its end.
pub async fn task(universe: Universe, execution: String, index: usize) {
    let mut well = false;
    for attempt in 0..=MAX_RETRIES {
        let cold = universe.seconds(1.0, 15.0);
        universe.clock.sleep(cold).await;
        if universe.lock().store.executions.get(&execution).is_none_or(|execution| execution.cancelled) {
            break;
        }
        match try_task(&universe, &execution, index, attempt).await {
            Outcome::Well => {
                well = true;
                break;
            }
            Outcome::Failed => {}
            Outcome::Stopped => break,
        }
    }
    let mut state = universe.lock();
    let state = &mut *state;
    state.busy -= 1;
    let now = state.now;
    let Some(stored) = state.store.executions.get_mut(&execution) else { return };
    stored.tasks[index].succeeded = Some(well);
    if stored.tasks.iter().all(|task| task.succeeded.is_some()) {
        let failed = stored.tasks.iter().any(|task| task.succeeded != Some(true));
        let ended = match (stored.cancelled, failed) {
            (true, _) => ExecutionState::Cancelled,
            (false, true) => ExecutionState::Failed,
            (false, false) => ExecutionState::Succeeded,
        };
        stored.ended = Some((ended, now));
        let notice = ended_notice(&stored.job, &execution, failed);
        state.happened.push(Event::message(places::EXECUTION_ENDED, &notice));
        state.remark("execution ended", &execution);
    }
}

async fn try_task(universe: &Universe, execution: &str, index: usize, attempt: u32) -> Outcome {
    let (environment, timeout, stop) = {
        let state = universe.lock();
        let Some(stored) = state.store.executions.get(execution) else { return Outcome::Stopped };
        (environment(universe, stored, execution, index, attempt), stored.timeout, stored.tasks[index].stop.clone())
    };
    let tenant = environment.get("RUN").and_then(|run| run.split('/').next()).map(str::to_owned);
    let pid = universe.begin("predict-worker", tenant.as_deref(), Fault::WorkerCrash);
    let (sender, mut answer) = oneshot::channel();
    let told = Arc::new(Notify::new());
    universe.spawn(Some(pid), worker(universe.clone(), pid, environment, told.clone(), sender));
    let lost = universe.strikes(Fault::Zombie).then(|| universe.seconds(5.0, 200.0));
    let unseen = async {
        match lost {
            Some(after) => universe.clock.sleep(after).await,
            None => std::future::pending().await,
        }
    };
    let outcome = tokio::select! {
        biased;
        well = &mut answer => return finished(universe, pid, well),
        () = unseen => None,
        () = universe.clock.sleep(timeout) => Some(Outcome::Failed),
        () = stop.notified() => Some(Outcome::Stopped),
    };
    crate::watch::task_ended(&mut universe.lock(), pid);
    let Some(outcome) = outcome else {
        universe.lock().note(pid, "counts as lost, and goes on", "", "");
        return Outcome::Failed;
    };
    told.notify_one();
    tokio::select! {
        biased;
        _ = &mut answer => {},
        () = universe.clock.sleep(GRACE) => universe.kill(pid),
    }
    outcome
}

fn finished(universe: &Universe, pid: Pid, well: Result<bool, oneshot::Canceled>) -> Outcome {
    crate::watch::task_ended(&mut universe.lock(), pid);
    if well == Ok(true) { Outcome::Well } else { Outcome::Failed }
}

/// What Cloud Run and the operator put into a task's environment.
fn environment(
    universe: &Universe,
    stored: &StoredExecution,
    execution: &str,
    index: usize,
    attempt: u32,
) -> BTreeMap<String, String> {
    let mut environment = stored.env.clone();
    environment.extend([
        ("CLOUD_RUN_JOB".to_owned(), stored.job.clone()),
        ("CLOUD_RUN_EXECUTION".to_owned(), execution.to_owned()),
        ("CLOUD_RUN_TASK_INDEX".to_owned(), index.to_string()),
        ("CLOUD_RUN_TASK_ATTEMPT".to_owned(), attempt.to_string()),
        ("CHECKPOINT_SECONDS".to_owned(), universe.scenario.checkpoint.to_string()),
    ]);
    environment
}

async fn worker(
    universe: Universe,
    pid: Pid,
    environment: BTreeMap<String, String>,
    told: Arc<Notify>,
    sender: oneshot::Sender<bool>,
) {
    let Ok((task, config)) = predict_worker::read(&environment) else { return };
    crate::watch::task_begins(&mut universe.lock(), pid, &task);
    let world = universe.world(pid, &universe.scenario.settings);
    let ports = WorkerPorts { docs: world.docs, blobs: world.blobs, clock: world.clock };
    let mut model = Model::new(&universe, &task, config.checkpoint);
    let outcome = attend(&ports, &task, &mut model, config.deadline, told.notified()).await;
    let seen = match &outcome {
        Ok(ended) => format!("{ended:?}"),
        Err(error) => service::chain(error),
    };
    universe.lock().note(pid, "ends", "", &seen);
    let _ = sender.send(outcome.is_ok_and(|ended| ended != Ended::OutOfTime));
}
