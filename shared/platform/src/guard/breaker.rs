//! The circuit breaker: closed while there are answers, open after too much silence, half-open while one call finds
//! out. It knows moments and outcomes; what a call was is not its matter.

use super::{FAILURES, OPEN, SILENCE};
use chrono::{DateTime, Utc};
use std::sync::{Mutex, MutexGuard, PoisonError};

#[derive(Default)]
pub(super) struct Breaker(Mutex<State>);

enum State {
    /// So many attempts in a row got no answer, the first of them at that moment.
    Closed {
        failures: u32,
        since: Option<DateTime<Utc>>,
    },
    Open {
        until: DateTime<Utc>,
    },
    /// One call has been let through.
    HalfOpen,
}

impl Default for State {
    fn default() -> Self {
        State::Closed { failures: 0, since: None }
    }
}

/// What an outcome did to the breaker, for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Opened,
    Closed,
}

/// The leave to make one call. Dropped unsettled, because nobody waited for the answer, it counts for nothing.
pub(super) struct Pass<'a> {
    breaker: &'a Breaker,
    /// It is the one call that finds out.
    probe: bool,
}

impl Breaker {
    /// Leave to call now, or `None` while the breaker is open.
    pub(super) fn admit(&self, now: DateTime<Utc>) -> Option<Pass<'_>> {
        let mut state = self.state();
        let probe = match *state {
            State::Closed { .. } => false,
            State::Open { until } if until <= now => true,
            State::Open { .. } | State::HalfOpen => return None,
        };
        if probe {
            *state = State::HalfOpen;
        }
        Some(Pass { breaker: self, probe })
    }

    /// Whether a call would be refused now.
    pub(super) fn is_open(&self, now: DateTime<Utc>) -> bool {
        match *self.state() {
            State::Closed { .. } => false,
            State::Open { until } => now < until,
            State::HalfOpen => true,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass<'_> {
    /// Tells whether there was an answer. Who was admitted before the breaker opened no longer moves it.
    pub(super) fn settle(mut self, answered: bool, now: DateTime<Utc>) -> Option<Turn> {
        let probe = std::mem::take(&mut self.probe);
        let mut state = self.breaker.state();
        let (next, turn) = match *state {
            State::HalfOpen if probe && answered => (State::default(), Some(Turn::Closed)),
            State::HalfOpen if probe => (State::Open { until: now + OPEN }, None),
            State::Closed { .. } if answered => (State::default(), None),
            State::Closed { failures, since } => {
                let (failures, since) = (failures + 1, since.unwrap_or(now));
                match failures >= FAILURES && now - since >= SILENCE {
                    true => (State::Open { until: now + OPEN }, Some(Turn::Opened)),
                    false => (State::Closed { failures, since: Some(since) }, None),
                }
            }
            State::Open { .. } | State::HalfOpen => return None,
        };
        *state = next;
        turn
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if self.probe {
            // The next call finds out.
            *self.breaker.state() = State::Open { until: DateTime::<Utc>::MIN_UTC };
        }
    }
}
