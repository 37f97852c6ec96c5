//! The one thing that uses a GPU: a task of a Cloud Run job that runs one shard. It claims the shard, starts the
//! model's own command-line tool, and reports every item as its files appear. It may be killed at any moment: what was
//! reported is kept, and the next attempt runs only the rest. No model's file format is known here.

mod attempt;
mod claim;
mod environment;
mod ledger;
mod process;
mod retry;
mod rounds;
mod session;
mod weights;

pub use attempt::{Attempt, ItemFile};
pub use environment::{ConfigError, read};

use async_trait::async_trait;
use attempt::Opening;
use domain::{JobId, Uid, Worker};
use models::Tools;
use platform::{Blobs, Clock, Docs};
use service::{Environment, Function, Shutdown, Trigger, Work, World};
use session::Processes;
use std::{future::Future, io, path::PathBuf, pin::Pin, process::ExitCode, time::Duration};

pub const FUNCTION: Function = Function { name: "predict-worker", trigger: Trigger::Job, work: Work::Job(job) };

/// Time for the last report once the task must stop: Cloud Run gives ten seconds.
const LAST_WORDS: Duration = Duration::from_secs(8);

/// What the worker touches of the outside world.
#[derive(Clone)]
pub struct WorkerPorts {
    pub docs: Docs,
    pub blobs: Blobs,
    pub clock: Clock,
}

/// Which shard this task was started for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    pub uid: Uid,
    pub job_id: JobId,
    pub shard: u32,
    pub launch: u32,
    pub worker: Worker,
}

/// How it works.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    pub tools: Tools,
    /// Where the weights bucket's content is kept; without it, the tools find their weights by themselves.
    pub weights: Option<PathBuf>,
    /// Folder for temporary files.
    pub scratch: PathBuf,
    /// After so long the task ends by itself, before Cloud Run ends it.
    pub deadline: Duration,
    /// At most this often a report is written, and the run is looked at for a cancellation.
    pub checkpoint: Duration,
    /// How often the tool's files are looked at.
    pub poll: Duration,
    /// A tool that prints nothing for so long hangs and is killed; by default as long as ten of its items take, and
    /// at least a quarter of an hour.
    pub stall: Option<Duration>,
}

/// How a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Every item has its outcome.
    Done,
    /// The shard is not this task's; nothing was run.
    Refused(&'static str),
    /// The run ended meanwhile, by its user or otherwise.
    Cancelled,
    /// Another attempt holds the shard now.
    Superseded,
    /// The time is up or the task was told to stop; what was found is reported, the rest waits for the next attempt.
    OutOfTime,
}

/// Why a task could not do its work. None of it is an item's fault.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the documents or objects of the run cannot be used")]
    Platform(#[from] platform::Error),
    #[error("{0:?} is no model of this worker")]
    UnknownModel(String),
    #[error("cannot start {program}")]
    Start {
        program: String,
        #[source]
        source: io::Error,
    },
    #[error("the tool of the model cannot work here: {0}")]
    Unusable(String),
    #[error("the weights cannot be used: {0}")]
    Weights(String),
    #[error("cannot use the scratch folder")]
    Scratch(#[from] io::Error),
}

impl Ended {
    /// Failure where the task is to be tried again.
    pub fn exit_code(self) -> ExitCode {
        if self == Ended::OutOfTime { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }
}

/// What runs the model on the items of a shard: its command-line tool, or, in the simulation, time that passes.
#[async_trait]
pub trait ModelRunner: Send {
    /// Gives every open item of the attempt its outcome, looking around now and then, and writes the last report.
    /// May be dropped at any moment.
    async fn run(&mut self, attempt: &mut Attempt) -> Result<Ended, Error>;
}

/// Runs one shard. Ends early when `shutdown` does. What it has found by then is always reported, also when it errs.
pub async fn work(
    ports: &WorkerPorts,
    task: &Task,
    config: &Config,
    shutdown: impl Future<Output = ()>,
) -> Result<Ended, Error> {
    attend(ports, task, &mut Processes(config), config.deadline, shutdown).await
}

/// The same with any runner.
pub async fn attend(
    ports: &WorkerPorts,
    task: &Task,
    runner: &mut dyn ModelRunner,
    deadline: Duration,
    shutdown: impl Future<Output = ()>,
) -> Result<Ended, Error> {
    let clock = &ports.clock;
    let stop = async {
        tokio::select! { biased; () = shutdown => {}, () = clock.sleep(deadline) => {} }
    };
    tokio::pin!(stop);
    let opening = tokio::select! {
        biased;
        opening = Attempt::open(ports, task) => opening?,
        () = &mut stop => return Ok(Ended::OutOfTime),
    };
    let mut attempt = match opening {
        Opening::Ready(attempt) => attempt,
        Opening::Over(ended) => return Ok(ended),
    };
    // When the time is up, dropping the run kills whatever process it has started.
    let outcome = tokio::select! {
        biased;
        outcome = runner.run(&mut attempt) => outcome,
        () = &mut stop => Ok(Ended::OutOfTime),
    };
    if !matches!(outcome, Ok(Ended::Done | Ended::Superseded)) {
        let last_words = tokio::select! {
            biased;
            written = attempt.report(false) => Some(written),
            () = clock.sleep(LAST_WORDS) => None,
        };
        match last_words {
            Some(Ok(_)) => {}
            Some(Err(error)) => tracing::error!(error = %service::chain(&error), "last report not written"),
            None => tracing::error!("last report not written in time"),
        }
    }
    outcome
}

fn job(world: World, environment: Environment, shutdown: Shutdown) -> Pin<Box<dyn Future<Output = ExitCode> + Send>> {
    Box::pin(async move {
        let (task, config) = match read(&environment) {
            Ok(read) => read,
            Err(error) => {
                tracing::error!(error = %error, "task not started");
                return ExitCode::FAILURE;
            }
        };
        let ports = WorkerPorts { docs: world.docs, blobs: world.blobs, clock: world.clock };
        match work(&ports, &task, &config, shutdown).await {
            Ok(ended) => {
                tracing::info!(job.id = %task.job_id, shard = task.shard, ended = ?ended, "task ended");
                ended.exit_code()
            }
            Err(error) => {
                let error = service::chain(&error);
                tracing::error!(job.id = %task.job_id, shard = task.shard, %error, "task failed");
                ExitCode::FAILURE
            }
        }
    })
}
