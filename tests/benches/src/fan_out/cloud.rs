//! Eventarc, Pub/Sub and Cloud Run jobs in memory: every event goes to the router of every function that listens, again
//! where it is refused, and every task is a worker whose model needs no time.

use crate::{Outcome, made_up, place::now};
use async_trait::async_trait;
use axum::Router;
use chrono::{DateTime, Utc};
use domain::Run;
use hub::ALL;
use platform::{
    Clock, ExecutionState, Ids,
    embedded::{Change, Delivery, Event, Started, Store},
};
use predict_worker::{Attempt, Ended, Error, ModelRunner, WorkerPorts, attend};
use service::{Settings, World, places, serve, tokens::Verifier};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{sync::mpsc, task::JoinSet};
use tower::ServiceExt;

/// GPUs of the pool.
const GPUS: u32 = 64;
/// Events that one function works on at once; the dispatcher, of which there is one instance, works on one.
const SIDE_BY_SIDE: usize = 16;
/// How long nothing may happen until what happened is looked for, and a refused event waits.
const TICK: Duration = Duration::from_millis(5);

/// What happened.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Documents that were created.
    pub documents: u64,
    /// Writes of documents, created ones among them.
    pub writes: u64,
    pub objects: u64,
    pub planned: Option<DateTime<Utc>>,
    pub last_report: Option<DateTime<Utc>>,
    pub aggregating: Option<DateTime<Utc>>,
    pub completed: Option<DateTime<Utc>>,
}

/// Events on their way, by function.
type Waiting = HashMap<String, VecDeque<Event>>;

pub struct Cloud {
    store: Store,
    routers: BTreeMap<&'static str, Router>,
    ports: WorkerPorts,
    run: Arc<Run>,
    seen: Arc<Mutex<Seen>>,
}

impl Cloud {
    pub fn new(store: &Store, verifier: Verifier, run: &Run) -> Self {
        let clock = Clock::system();
        let settings = Settings { gpu_capacity: GPUS, gpu_reserve: 0, limits: false, ..Settings::default() };
        let world = World::embedded(store, clock.clone(), Ids::random(), verifier, settings);
        let routers = ALL.iter().filter_map(|f| Some((f.name, serve(f.routes()?, world.clone())))).collect();
        let ports = WorkerPorts { docs: store.docs(), blobs: store.blobs(), clock };
        Cloud { store: store.clone(), routers, ports, run: Arc::new(run.clone()), seen: Arc::default() }
    }

    /// Keeps everything going until the run has ended.
    pub async fn run(&self) -> Outcome<Seen> {
        let (done, mut ended) = mpsc::unbounded_channel::<(String, Option<Event>)>();
        let (mut waiting, mut busy) = (Waiting::new(), HashMap::<String, usize>::new());
        let (mut started, mut tasks) = (BTreeSet::new(), JoinSet::new());
        while self.seen.lock().unwrap_or_else(PoisonError::into_inner).completed.is_none() {
            for (function, event) in self.happened().await? {
                waiting.entry(function).or_default().push_back(event);
            }
            for execution in self.store.unfinished().await? {
                if started.insert(execution.name.clone()) {
                    tasks.spawn(execute(self.store.clone(), self.ports.clone(), self.run.clone(), execution));
                }
            }
            for (function, events) in &mut waiting {
                let most = if function == "dispatch-shards" { 1 } else { SIDE_BY_SIDE };
                let busy = busy.entry(function.clone()).or_default();
                while *busy < most
                    && let Some(event) = events.pop_front()
                {
                    *busy += 1;
                    let Some(router) = self.routers.get(function.as_str()).cloned() else { continue };
                    tokio::spawn(deliver(router, function.clone(), event, done.clone()));
                }
            }
            tokio::select! {
                () = self.store.changed() => {}
                () = tokio::time::sleep(TICK) => {}
                Some((function, refused)) = ended.recv() => {
                    *busy.entry(function.clone()).or_default() -= 1;
                    waiting.entry(function).or_default().extend(refused);
                }
                Some(task) = tasks.join_next() => task??,
            }
        }
        Ok(self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    /// What was written and published since it was last asked, for each function that listens.
    async fn happened(&self) -> Outcome<Vec<(String, Event)>> {
        let news = Arc::new(Mutex::new(vec![]));
        let (told, seen) = (news.clone(), self.seen.clone());
        let job = places::job(&self.run.uid, &self.run.job_id);
        let note = move |event: &Event| {
            seen.lock().unwrap_or_else(PoisonError::into_inner).note(event, job.as_str());
            let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
            told.extend(local::subscribers(event).into_iter().map(|function| (function, event.clone())));
            vec![]
        };
        self.store.route(note).await?;
        Ok(std::mem::take(&mut news.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl Seen {
    fn note(&mut self, event: &Event, job: &str) {
        match event {
            Event::Object(meta) => {
                self.objects += 1;
                if meta.path.bucket() == places::REPORTS {
                    self.last_report = self.last_report.max(Some(meta.created_at));
                }
            }
            Event::Document { path, before, after: Some(after) } => {
                self.writes += 1;
                self.documents += u64::from(before.is_none());
                if path.as_str() == job {
                    let (now, is) = (now(), |status: &str| after["status"] == status);
                    if after["plan"]["ready"] == true {
                        self.planned.get_or_insert(now);
                    }
                    if is("aggregating") {
                        self.aggregating.get_or_insert(now);
                    }
                    if is("completed") {
                        self.completed.get_or_insert(now);
                    }
                }
            }
            Event::Document { .. } | Event::Message { .. } => {}
        }
    }
}

/// Makes one attempt; says which function it was, and gives back what was refused.
async fn deliver(router: Router, function: String, event: Event, done: mpsc::UnboundedSender<(String, Option<Event>)>) {
    let change = Change { at: now(), event };
    let delivery = Delivery { id: 0, subscriber: function.clone(), attempts: 0, change, error: String::new() };
    let Ok(answer) = router.oneshot(local::request(&delivery)).await;
    let taken = answer.status().is_success();
    if !taken {
        tokio::time::sleep(TICK).await;
    }
    // Nobody listens once the run has ended.
    let _ = done.send((function, (!taken).then_some(delivery.change.event)));
}

/// Runs the tasks of an execution one after the other, and ends it.
async fn execute(store: Store, ports: WorkerPorts, run: Arc<Run>, execution: Started) -> Outcome<()> {
    for task in &execution.tasks {
        let mut environment = execution.env.clone();
        environment.extend([
            ("CLOUD_RUN_EXECUTION".to_owned(), execution.name.clone()),
            ("CLOUD_RUN_TASK_INDEX".to_owned(), task.index.to_string()),
            ("CLOUD_RUN_TASK_ATTEMPT".to_owned(), "0".to_owned()),
        ]);
        let (task, config) = predict_worker::read(&environment)?;
        let mut model = NoTime { run: run.clone(), shard: task.shard };
        attend(&ports, &task, &mut model, config.deadline, std::future::pending()).await?;
    }
    let notice = local::ended_notice(&execution.job, &execution.name, false);
    let (state, topic) = (ExecutionState::Succeeded, places::EXECUTION_ENDED);
    Ok(store.execution_ends(&execution.name, state, topic, notice).await?)
}

/// A model that has all its results at once.
struct NoTime {
    run: Arc<Run>,
    shard: u32,
}

#[async_trait]
impl ModelRunner for NoTime {
    async fn run(&mut self, attempt: &mut Attempt) -> Result<Ended, Error> {
        for item in attempt.open_items() {
            attempt.record(made_up::outcome(&self.run, self.shard, item.index)?);
        }
        Ok(attempt.finish().await?)
    }
}
