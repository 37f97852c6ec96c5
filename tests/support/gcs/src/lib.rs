//! Cloud Storage for tests: as much of it as `google-cloud-storage` uses, in memory, on one port of this machine.
//! Contents travel over HTTP ([`http_plane`]), everything else over gRPC ([`grpc_plane`]), signed links over plain GET
//! and PUT ([`links`]); every object written into a watched bucket is told to its subscriber as Eventarc tells it
//! ([`notify`]). Signatures are not checked: nothing but a test may talk to it.

mod grpc_plane;
mod http_plane;
mod links;
mod multipart;
mod notify;
mod objects;
mod uploads;

pub use notify::Subscriber;
pub use objects::{Draft, Objects, Refused, Stored};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    routing::{get, post},
};
use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::{net::TcpListener, sync::mpsc, task::JoinSet};
use uploads::Uploads;

/// What a server begins with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Port 0 takes a free one.
    pub address: SocketAddr,
    /// The buckets there are.
    pub buckets: Vec<String>,
    pub subscribers: Vec<Subscriber>,
}

/// A running server. It ends when it is dropped.
pub struct Server {
    /// Where it listens, as a client's endpoint.
    pub url: String,
    /// What it holds, for a look from outside.
    pub objects: Objects,
    outstanding: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Server {
    /// Listens from when this returns. Errs where the address is taken.
    pub async fn start(options: Options) -> io::Result<Server> {
        let listener = TcpListener::bind(options.address).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let (written, news) = mpsc::unbounded_channel();
        let objects = Objects::new(options.buckets, written);
        let state = State { objects: objects.clone(), uploads: Uploads::default(), url: url.clone() };
        let outstanding = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        tasks.spawn(notify::run(news, options.subscribers, outstanding.clone()));
        tasks.spawn(async move {
            if let Err(error) = axum::serve(listener, router(state)).await {
                tracing::error!(%error, "the storage server ended");
            }
        });
        Ok(Server { url, objects, outstanding, _tasks: tasks })
    }

    /// Notifications that no subscriber has taken yet.
    pub fn outstanding(&self) -> usize {
        self.outstanding.load(Ordering::SeqCst)
    }
}

/// What every request may touch.
#[derive(Clone)]
struct State {
    objects: Objects,
    uploads: Uploads,
    url: String,
}

fn router(state: State) -> Router {
    Router::new()
        .route("/upload/storage/v1/b/{bucket}/o", post(http_plane::begin).put(http_plane::go_on))
        .route("/storage/v1/b/{bucket}/o/{object}", get(http_plane::read))
        .route("/google.storage.v2.Storage/{method}", post(grpc_plane::call))
        .route("/{bucket}/{*object}", get(links::get).put(links::put))
        .layer(DefaultBodyLimit::disable())
        .with_state(state)
}
