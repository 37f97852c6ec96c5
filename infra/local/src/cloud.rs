//! The process that is the cloud: opens the data folder, takes it for itself, and keeps deliveries, timers and tasks
//! going until it is told to stop.

use crate::{access::Access, deliver, tasks::Runner, tools};
use axum::{Router, body::Body, http::Request};
use hub::ALL;
use platform::{
    Clock, Ids,
    embedded::{Links, Store},
};
use service::{Settings, Trigger, World, serve};
use std::{
    collections::{BTreeMap, HashMap},
    fs::{File, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tower::ServiceExt;
use url::Url;

/// Whose API key is printed.
pub const LOCAL_USER: &str = "local";

/// Deliveries under way at once.
const DELIVERIES: usize = 32;
/// How often writes of other processes, and timers, are looked for.
const TICK: Duration = Duration::from_millis(50);
/// A GPU task's limit.
const TASK_LIMIT: Duration = Duration::from_secs(3600);

/// How a cloud is set up.
pub struct CloudOptions {
    pub data: PathBuf,
    /// Where the HTTP server is, or will be, reached.
    pub address: Url,
    /// The executable that runs a task when its first argument is [`crate::TASK`].
    pub executable: PathBuf,
    /// What the operator set; workers inherit it.
    pub environment: BTreeMap<String, String>,
}

/// One data folder and everything that works on it.
#[derive(Clone)]
pub struct Cloud {
    pub world: World,
    pub store: Store,
    pub access: Arc<Access>,
    pub links: Links,
    runner: Runner,
    routers: Arc<HashMap<&'static str, Router>>,
    data: PathBuf,
}

impl Cloud {
    /// Opens the folder, making what is missing in it.
    pub fn open(options: CloudOptions) -> io::Result<Self> {
        let CloudOptions { data, address, executable, mut environment } = options;
        let access = Access::open(&data)?;
        let data = data.canonicalize()?;
        let clock = Clock::system();
        let storage = address.join("storage/").map_err(io::Error::other)?;
        let link_key = access.link_key()?;
        let links = Links::signed(storage.clone(), link_key.clone().into_bytes());
        let store = Store::open(&data, clock.clone(), links.clone()).map_err(io::Error::other)?;
        environment.extend(tools::commands(&environment, &executable));
        let settings = settings(&environment)?;
        let world = World::embedded(&store, clock, Ids::random(), access.verifier(), settings);
        environment.extend(access.environment()?.map(|(name, value)| (name.to_owned(), value)));
        environment.insert("STORE_URL".into(), format!("file:{}", data.display()));
        environment.insert("STORAGE_URL".into(), storage.to_string());
        environment.insert("LINK_KEY".into(), link_key);
        let routers = ALL.iter().filter_map(|f| Some((f.name, serve(f.routes()?, world.clone())))).collect();
        let runner = Runner::new(store.clone(), executable, environment);
        Ok(Cloud { world, store, access: Arc::new(access), links, runner, routers: Arc::new(routers), data })
    }

    /// Takes the folder for this process: one process at a time plays the cloud. `None` if another one does.
    pub fn lock(&self) -> io::Result<Option<File>> {
        let file = File::options().create(true).truncate(false).write(true).open(self.data.join("lock"))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Keeps everything going. Ends only when it is dropped, or the store fails.
    pub async fn run(&self) -> platform::Result<()> {
        let under_way = Arc::new(Mutex::new(Vec::<i64>::new()));
        let mut timers = Timers::new(self);
        loop {
            timers.fire(self);
            self.store.route(deliver::subscribers).await?;
            self.runner.look().await?;
            let busy = under_way.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let room = DELIVERIES.saturating_sub(busy.len());
            for delivery in self.store.due(self.world.clock.now(), busy, room).await? {
                let id = delivery.id;
                under_way.lock().unwrap_or_else(PoisonError::into_inner).push(id);
                let (cloud, under_way) = (self.clone(), under_way.clone());
                tokio::spawn(async move {
                    let outcome = deliver::attempt(&cloud.store, &cloud.world.clock, &cloud.routers, delivery).await;
                    if let Err(error) = outcome {
                        tracing::error!(error = %service::chain(&error), "a delivery could not be written down");
                    }
                    under_way.lock().unwrap_or_else(PoisonError::into_inner).retain(|other| *other != id);
                    cloud.store.wake();
                });
            }
            let _ = tokio::time::timeout(TICK, self.store.changed()).await;
        }
    }
}

/// Cloud Scheduler.
struct Timers(Vec<(&'static str, Duration, tokio::time::Instant)>);

impl Timers {
    /// Every timer fires at once after a start: what was lost with the process before is found.
    fn new(cloud: &Cloud) -> Self {
        let now = tokio::time::Instant::now();
        let scheduled = ALL.iter().filter_map(|function| match function.trigger {
            Trigger::Schedule { every } if cloud.routers.contains_key(function.name) => {
                Some((function.name, every, now))
            }
            _ => None,
        });
        Timers(scheduled.collect())
    }

    fn fire(&mut self, cloud: &Cloud) {
        let now = tokio::time::Instant::now();
        for (name, every, due) in self.0.iter_mut().filter(|(.., due)| *due <= now) {
            *due = now + *every;
            let Some(router) = cloud.routers.get(name).cloned() else { continue };
            let name = *name;
            tokio::spawn(async move {
                let mut request = Request::new(Body::empty());
                *request.method_mut() = axum::http::Method::POST;
                let Ok(response) = router.oneshot(request).await;
                if !response.status().is_success() {
                    tracing::warn!(function = name, status = %response.status(), "a scheduled call failed");
                }
            });
        }
    }
}

/// The operator's settings, with what suits one machine where nothing is set.
fn settings(environment: &BTreeMap<String, String>) -> io::Result<Settings> {
    let mut environment = environment.clone();
    for (name, value) in [
        ("GPU_CAPACITY", "2"),
        ("GPU_RESERVE", "0"),
        ("STUCK_SECONDS", "30"),
        ("CORS_ORIGINS", "*"),
        ("WEBHOOKS_TO_LOOPBACK", "1"),
    ] {
        environment.entry(name.to_owned()).or_insert_with(|| value.to_owned());
    }
    environment.entry("TASK_SECONDS".to_owned()).or_insert_with(|| TASK_LIMIT.as_secs().to_string());
    let mut wrong = vec![];
    let settings = service::start::settings(&environment, &mut wrong);
    if wrong.is_empty() { Ok(settings) } else { Err(io::Error::other(wrong.join("; "))) }
}
