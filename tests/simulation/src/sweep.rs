//! Many worlds, spread over the machine's processors: each world lives on one thread.

use crate::{Fault, Options, Outcome, Race, simulate};
use std::{
    ops::Range,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

/// Failing worlds that are kept.
const KEPT: usize = 20;

/// What many worlds came to.
#[derive(Default)]
pub struct Figures {
    pub worlds: u64,
    /// Worlds in which something happened that must not.
    pub violated: u64,
    /// The first of them.
    pub failures: Vec<Outcome>,
    /// Runs that users were told of.
    pub runs: u64,
    /// Polls of tasks.
    pub steps: u64,
    /// Seconds that passed in the worlds.
    pub seconds: i64,
    /// How often each fault happened, in the order of [`Fault::ALL`].
    pub faults: [u64; Fault::ALL.len()],
    /// How often each race was run, in the order of [`Race::ALL`].
    pub races: [u64; Race::ALL.len()],
}

/// Runs the worlds of the seeds; if `first`, only until one fails.
pub fn sweep(seeds: Range<u64>, options: Options, first: bool) -> Figures {
    let (next, found) = (AtomicU64::new(seeds.start), AtomicBool::new(false));
    let figures = Mutex::new(Figures::default());
    let work = || {
        while !(first && found.load(Ordering::Relaxed)) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                break;
            }
            let outcome = simulate(seed, options);
            found.fetch_or(!outcome.violations.is_empty(), Ordering::Relaxed);
            figures.lock().unwrap_or_else(PoisonError::into_inner).add(outcome);
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    let mut figures = figures.into_inner().unwrap_or_else(PoisonError::into_inner);
    figures.failures.sort_by_key(|outcome| outcome.seed);
    figures
}

impl Figures {
    fn add(&mut self, outcome: Outcome) {
        self.worlds += 1;
        self.runs += u64::from(outcome.runs);
        self.steps += outcome.steps;
        self.seconds += outcome.seconds;
        for (sum, count) in self.faults.iter_mut().zip(outcome.faults) {
            *sum += u64::from(count);
        }
        for (sum, count) in self.races.iter_mut().zip(outcome.races) {
            *sum += u64::from(count);
        }
        if !outcome.violations.is_empty() {
            self.violated += 1;
            if self.failures.len() < KEPT {
                self.failures.push(outcome);
            }
        }
    }

    /// Faults of one kind in a world, on average.
    pub fn average(&self, fault: Fault) -> f64 {
        self.faults[fault as usize] as f64 / self.worlds.max(1) as f64
    }
}
