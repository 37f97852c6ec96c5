//! The one state that all processes of a simulated world share: what is stored, what time it is, what goes wrong, what
//! was seen. Everything in it is decided by the seed.

use crate::{
    executor::Task,
    faults::{Fault, Faults},
    scenario::Scenario,
    store::{Port, Store},
    trace::{Trace, clock_face},
    watch::Watch,
};
use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::jwk::JwkSet;
use platform::{Blobs, Bus, Clock, Docs, Executions, Ids, embedded::Event};
use rand::{Rng, SeedableRng, rngs::SmallRng};
use service::{Limiter, Settings, World, runs::recent::Recent, tokens::Verifier, webhooks::Resolver};
use std::{
    fmt::Display,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Some processes make a few calls, some hundreds: a crash comes within so many of them, as powers of two.
const LIVES: Range<u32> = 3..10;

/// A process by its number.
pub type Pid = usize;

/// When every world begins.
pub fn beginning() -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000, 0).unwrap_or_default()
}

/// A handler's or a worker's process.
pub struct Process {
    pub name: &'static str,
    /// Whose data it may touch; anybody's, if it works for all.
    pub tenant: Option<Arc<str>>,
    /// How long each of its calls takes.
    slow: Option<Duration>,
    /// After so many calls it dies; before or after the last one is done.
    doom: Option<(u32, bool)>,
    calls: u32,
    /// By how much its clock is wrong.
    ahead: TimeDelta,
    /// The write that was the latest when it listed reports last.
    pub listed: i64,
    /// Nothing ever happens to it.
    safe: bool,
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Done,
    Refused,
    Unheard,
    DiesBefore,
    DiesAfter,
}

/// The shared state.
pub struct State {
    pub now: DateTime<Utc>,
    pub random: SmallRng,
    pub store: Store,
    pub faults: Faults,
    pub trace: Trace,
    pub watch: Watch,
    /// What was written and published and nobody was told of yet.
    pub happened: Vec<Event>,
    pub processes: Vec<Process>,
    pub spawned: Vec<(Task, Option<Pid>)>,
    pub killed: Vec<Pid>,
    /// Tasks and clients that are still at work.
    pub busy: u32,
}

/// A handle to the shared state.
#[derive(Clone)]
pub struct Universe {
    state: Arc<Mutex<State>>,
    pub clock: Clock,
    pub scenario: Arc<Scenario>,
    verifier: Arc<Verifier>,
    resolver: Resolver,
}

impl Universe {
    pub fn new(scenario: Scenario, faults: Faults, random: SmallRng, trace: Trace) -> Self {
        let watch = Watch::new(&scenario);
        let state = State {
            now: beginning(),
            random,
            store: Store::default(),
            faults,
            trace,
            watch,
            happened: vec![],
            processes: vec![],
            spawned: vec![],
            killed: vec![],
            busy: 0,
        };
        Universe {
            state: Arc::new(Mutex::new(state)),
            clock: Clock::manual(beginning()),
            scenario: Arc::new(scenario),
            verifier: Arc::new(Verifier::new("issuer".into(), "audience".into(), JwkSet { keys: vec![] })),
            resolver: Resolver::system(),
        }
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves the time on.
    pub fn tick(&self, by: TimeDelta) {
        self.clock.advance(by);
        self.lock().now = self.clock.now();
    }

    /// Moves the time to the next moment for which somebody waits. False if nobody does.
    pub fn skip(&self) -> bool {
        let moved = self.clock.advance_to_next();
        self.lock().now = self.clock.now();
        moved
    }

    /// True if the fault strikes here and now.
    pub fn strikes(&self, fault: Fault) -> bool {
        self.lock().strikes(fault)
    }

    /// True where a sweep would find nothing to look after, and mostly is not worth its time: no run is unfinished, and
    /// nothing is kept to be looked at once more. One in eight takes place all the same.
    pub fn idle(&self) -> bool {
        let mut state = self.lock();
        let state = &mut *state;
        let kept = |name: &String| {
            ["ended_early/", "purged/"].iter().any(|folder| name.starts_with(folder)) || name.contains("/deliveries/")
        };
        let nothing =
            state.watch.unfinished.is_empty() && state.store.leases().is_empty() && !state.store.docs.keys().any(kept);
        nothing && state.random.random_ratio(7, 8)
    }

    /// The time, and the version of the latest write.
    pub fn written_last(&self) -> (DateTime<Utc>, i64) {
        let state = self.lock();
        (state.now, state.store.version)
    }

    /// A number of seconds between two bounds.
    pub fn seconds(&self, from: f64, to: f64) -> Duration {
        Duration::from_secs_f64(self.lock().random.random_range(from..=to))
    }

    /// Begins a process that may touch the tenant's data, or everybody's.
    pub fn begin(&self, name: &'static str, tenant: Option<&str>, crash: Fault) -> Pid {
        let mut state = self.lock();
        let state = &mut *state;
        let doom = state.strikes(crash).then(|| {
            let within = state.random.random_range(LIVES);
            (state.random.random_range(0..1 << within), state.random.random())
        });
        let slowest = if crash == Fault::WorkerCrash { 15 } else { 120 };
        let slow = state.strikes(Fault::Slow).then(|| Duration::from_secs(state.random.random_range(1..slowest)));
        let skewed = state.strikes(Fault::Skew);
        let ahead = if skewed { state.random.random_range(-600..=600) } else { 0 };
        state.processes.push(Process {
            name,
            tenant: tenant.map(Arc::from),
            slow,
            doom,
            calls: 0,
            ahead: TimeDelta::seconds(ahead),
            listed: 0,
            safe: false,
        });
        state.processes.len() - 1
    }

    /// A process to which nothing happens.
    pub fn begin_safe(&self, name: &'static str, tenant: Option<&str>) -> Pid {
        let pid = self.begin(name, tenant, Fault::Crash);
        let process = &mut self.lock().processes[pid];
        (process.slow, process.doom, process.ahead) = (None, None, TimeDelta::zero());
        process.safe = true;
        pid
    }

    pub fn port(&self, pid: Pid) -> Port {
        Port { universe: self.clone(), pid }
    }

    /// The world as this process sees it.
    pub fn world(&self, pid: Pid, settings: &Arc<Settings>) -> World {
        let port = Arc::new(self.port(pid));
        let (ahead, seed) = {
            let mut state = self.lock();
            (state.processes[pid].ahead, state.random.random())
        };
        World {
            docs: Docs::new(port.clone()),
            blobs: Blobs::new(port.clone()),
            bus: Bus::new(port.clone()),
            executions: Executions::new(port),
            clock: self.clock.ahead_by(ahead),
            ids: Ids::seeded(seed),
            verifier: self.verifier.clone(),
            resolver: self.resolver.clone(),
            limiter: Limiter::default(),
            recent: Recent::default(),
            settings: settings.clone(),
        }
    }

    /// Lets a task of the process run.
    pub fn spawn(&self, pid: Option<Pid>, task: impl Future<Output = ()> + Send + 'static) {
        self.lock().spawned.push((Box::pin(task), pid));
    }

    /// Ends a process where it stands.
    pub fn kill(&self, pid: Pid) {
        let mut state = self.lock();
        state.killed.push(pid);
        state.note(pid, "killed", "", "");
    }
}

impl State {
    pub fn strikes(&mut self, fault: Fault) -> bool {
        self.faults.strikes(fault, self.now, &mut self.random)
    }

    /// What becomes of the process's next call, and how long it takes.
    pub fn fate(&mut self, pid: Pid, writes: bool) -> (Fate, Option<Duration>) {
        let process = &mut self.processes[pid];
        process.calls += 1;
        let slow = process.slow;
        if let Some((at, after)) = process.doom
            && process.calls > at
        {
            return (if after { Fate::DiesAfter } else { Fate::DiesBefore }, slow);
        }
        let safe = process.safe;
        let fate = if safe {
            Fate::Done
        } else if self.strikes(Fault::Refused) {
            Fate::Refused
        } else if writes && self.strikes(Fault::Unheard) {
            Fate::Unheard
        } else {
            Fate::Done
        };
        (fate, slow)
    }

    /// Writes down what a process did and how it went.
    pub fn note(&mut self, pid: Pid, what: &'static str, about: &str, outcome: impl Display) {
        let passed = (self.now - beginning()).num_milliseconds();
        self.trace.mix([pid as u64, passed as u64, what.len() as u64], about);
        let name = self.processes.get(pid).map_or("", |process| process.name);
        self.trace.line(|| format!("{} {name}#{pid} {what} {about} {outcome}", clock_face(passed)));
    }

    /// Writes down what happened to the world itself.
    pub fn remark(&mut self, what: &'static str, about: impl Display) {
        self.note(usize::MAX, what, &about.to_string(), "");
    }
}

/// The chance of a seed.
pub fn chance(seed: u64) -> SmallRng {
    SmallRng::seed_from_u64(seed)
}
