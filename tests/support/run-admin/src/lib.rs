//! Cloud Run jobs for tests: as much of the Admin API (v2, JSON over HTTP) as `google-cloud-run-v2` is used for here
//! ([`api`]), with tasks as child processes ([`tasks`]) and the audit log's entry on a bus when an execution ends. It
//! keeps Cloud Run's habits: a repeated request starts a second execution, a task that fails is tried again, a task
//! that is to stop gets SIGTERM and ten seconds.

mod api;
mod executions;
mod tasks;

use executions::Executions;
use platform::{Bus, Clock, Ids};
use std::{collections::BTreeMap, io, net::SocketAddr, path::PathBuf, sync::Arc};
use tokio::{net::TcpListener, task::JoinSet};

/// What a task of a job runs.
#[derive(Clone, Debug)]
pub struct Job {
    pub command: PathBuf,
    pub args: Vec<String>,
    /// What the container has before an execution adds to it; nothing else is inherited but `PATH`.
    pub env: BTreeMap<String, String>,
    /// Times a task is tried again after it failed.
    pub max_retries: u32,
    /// The most tasks of one execution that run at once.
    pub parallelism: usize,
}

/// What a server begins with.
pub struct Options {
    /// Port 0 takes a free one.
    pub address: SocketAddr,
    pub project: String,
    pub region: String,
    /// By name.
    pub jobs: BTreeMap<String, Job>,
    /// Where the log sink publishes the entry of an ended execution, and under which topic.
    pub sink: Option<(Bus, String)>,
}

/// A running server. It ends, and its tasks with it, when it is dropped.
pub struct Server {
    /// Where it listens, as a client's endpoint.
    pub url: String,
    executions: Executions,
    _serving: JoinSet<()>,
}

impl Server {
    /// Listens from when this returns. Errs where the address is taken.
    pub async fn start(options: Options) -> io::Result<Server> {
        let listener = TcpListener::bind(options.address).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let location = format!("projects/{}/locations/{}", options.project, options.region);
        let executions = Executions::new(location, options.jobs, options.sink, Clock::system(), Ids::random());
        let mut serving = JoinSet::new();
        let router = api::router(executions.clone());
        serving.spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "the jobs server ended");
            }
        });
        Ok(Server { url, executions, _serving: serving })
    }

    /// How many executions were ever started.
    pub fn started(&self) -> usize {
        self.executions.all().len()
    }

    /// How many have not ended.
    pub fn running(&self) -> usize {
        self.executions.all().iter().filter(|execution| execution.completed_at.is_none()).count()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.executions.stop();
    }
}

/// What all parts of a server share.
type Shared<T> = Arc<std::sync::Mutex<T>>;
