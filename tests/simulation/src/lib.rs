//! The deterministic simulation of the whole hub. One seed makes a world: its users, its GPUs, its faults, and the
//! order in which everything happens. In it run the functions' own handlers and the worker's own protocol; only the
//! cloud below them is played. When everything has come to rest, every ligand must be accounted for, whatever happened.
//! See the README for what is simulated and which bounds hold.

mod clients;
mod cloud_run;
mod eventarc;
mod executor;
mod faults;
mod model;
mod scenario;
mod stillness;
mod store;
mod stranger;
mod sweep;
mod trace;
mod universe;
mod verdict;
mod watch;

pub use faults::{Counts, Fault};
pub use sweep::{Figures, sweep};
pub use watch::{Race, Races};

use chrono::TimeDelta;
use domain::safeguard::{self, Safeguard};
use executor::Executor;
use faults::Faults;
use rand::Rng;
use scenario::Scenario;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use trace::Trace;
use universe::{Universe, beginning, chance};

/// A world is made of small things that do not last: a quarter of its time went into allocating them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Steps after which a world is said to go in circles.
const MOST_STEPS: u64 = 400_000;

/// What one world came to.
#[derive(Debug)]
pub struct Outcome {
    pub seed: u64,
    pub options: Options,
    /// Tells two executions apart that differ in anything.
    pub digest: u64,
    pub violations: Vec<String>,
    pub faults: Counts,
    pub races: Races,
    /// Polls of tasks.
    pub steps: u64,
    /// Seconds that passed in the world.
    pub seconds: i64,
    pub runs: u32,
    pub lines: Vec<String>,
}

impl Outcome {
    /// The command that shows this world again, with its trace.
    pub fn replay(&self) -> String {
        let named = |flag: &str, safeguard: Option<Safeguard>| {
            safeguard.map_or_else(String::new, |safeguard| format!(" --{flag} {safeguard:?}"))
        };
        let (without, weather) = (named("without", self.options.without), named("weather", self.options.weather));
        format!("cargo run -p simulation -- --seed {}{without}{weather}", self.seed)
    }
}

/// How a world is run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// A safeguard to do without, in the weather in which that shows.
    pub without: Option<Safeguard>,
    /// The weather in which doing without a safeguard would show; otherwise the seed's own.
    pub weather: Option<Safeguard>,
    /// Whether to keep the trace.
    pub trace: bool,
}

/// Runs the world of a seed to its end and judges it.
pub fn simulate(seed: u64, options: Options) -> Outcome {
    safeguard::without(options.without);
    let mut random = chance(seed);
    let scenario = Scenario::draw(&mut random);
    let until = beginning() + TimeDelta::seconds(random.random_range(300..2400));
    let faults = match options.without.or(options.weather) {
        None => Faults::draw(&mut random, until),
        Some(safeguard) => Faults::only(faults::against(safeguard), until),
    };
    let trace = if options.trace { Trace::kept() } else { Trace::default() };
    let universe = Universe::new(scenario, faults, random, trace);
    let mut simulation = Simulation { universe, executor: Executor::default(), steps: 0 };
    let ran = catch_unwind(AssertUnwindSafe(|| simulation.run()));
    safeguard::without(None);
    simulation.outcome(seed, options, ran.is_err())
}

struct Simulation {
    universe: Universe,
    executor: Executor,
    steps: u64,
}

impl Simulation {
    fn run(&mut self) {
        let universe = self.universe.clone();
        self.finish(async move { clients::register(&universe).await });
        clients::begin(&self.universe);
        eventarc::schedule(&self.universe);
        let mut rested_at = None;
        loop {
            while self.step() {}
            let ticks = self.universe.lock().watch.ticks;
            match (self.rests(), rested_at) {
                (true, Some(since)) if ticks >= since + 2 => break,
                (true, None) => {
                    // Purged runs are looked after once more; nothing happens until then.
                    self.universe.tick(TimeDelta::hours(2));
                    rested_at = Some(ticks);
                    continue;
                }
                _ => {}
            }
            if self.stuck() || !self.universe.skip() {
                break;
            }
        }
        self.universe.lock().watch.end();
        let universe = self.universe.clone();
        self.finish(async move { verdict::judge(&universe).await });
    }

    /// Lets one ready task go on. False if there is none.
    fn step(&mut self) -> bool {
        let (happened, spawned, killed) = {
            let mut state = self.universe.lock();
            let state = &mut *state;
            (std::mem::take(&mut state.happened), std::mem::take(&mut state.spawned), std::mem::take(&mut state.killed))
        };
        for process in killed {
            self.executor.kill(process);
        }
        let more = !happened.is_empty();
        for event in happened {
            eventarc::route(&self.universe, event);
        }
        for (task, process) in spawned {
            self.executor.spawn(task, process);
        }
        if more {
            return true;
        }
        let universe = &self.universe;
        let stepped = self.executor.step(|ready| universe.lock().random.random_range(0..ready));
        if stepped {
            self.steps += 1;
            self.universe.tick(TimeDelta::milliseconds(2));
        }
        stepped && self.steps < MOST_STEPS
    }

    /// Runs a task to its end, and whatever else is ready.
    fn finish(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        let done = Arc::new(AtomicBool::new(false));
        let ended = done.clone();
        self.universe.spawn(None, async move {
            task.await;
            ended.store(true, Ordering::Relaxed);
        });
        while !done.load(Ordering::Relaxed) && self.step() {}
    }

    /// True where nobody is at work and every run has ended. Then the weather has nothing left to spoil and clears up.
    fn rests(&mut self) -> bool {
        let mut state = self.universe.lock();
        let busy = state.busy > 0 || !self.executor.is_free();
        let now = state.now;
        if busy {
            drop(state);
            return false;
        }
        state.faults.stop(now);
        drop(state);
        !verdict::unfinished(&self.universe)
    }

    /// True where a run stands still for longer than anything explains, which is a violation.
    fn stuck(&self) -> bool {
        let still = stillness::broken(&self.universe);
        let circles = (self.steps >= MOST_STEPS).then(|| "the world goes in circles".to_owned());
        let stuck = circles.or(still.map(|(run, seconds)| format!("{run} has stood still for {seconds} s")));
        let mut state = self.universe.lock();
        let now = state.now;
        stuck.is_some_and(|what| {
            state.watch.violated(now, what);
            true
        })
    }

    fn outcome(self, seed: u64, options: Options, panicked: bool) -> Outcome {
        let mut state = self.universe.lock();
        let now = state.now;
        if panicked {
            state.watch.violated(now, "a panic".to_owned());
        }
        Outcome {
            seed,
            options,
            digest: state.trace.digest(),
            violations: std::mem::take(&mut state.watch.violations),
            faults: state.faults.counts,
            races: state.watch.races,
            steps: self.steps,
            seconds: (now - beginning()).num_seconds(),
            runs: state.watch.told.len() as u32,
            lines: state.trace.take_lines(),
        }
    }
}
