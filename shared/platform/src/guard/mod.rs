//! Patience with the other side of a port, and the end of it. A [`Guard`] repeats a call that got no answer, a little
//! later each time, where repeating cannot change what the call means; and after enough silence its circuit breaker
//! opens, so that callers hear at once what they would otherwise wait for. [`docs`], [`blobs`], [`bus`] and
//! [`executions`] put one in front of an adapter and say, call by call, what may be repeated. Nothing here knows an
//! adapter; whoever is guarded repeats nothing itself.

mod breaker;
mod ports;
#[cfg(test)]
mod tests;

pub use ports::{blobs, bus, docs, executions};

use crate::{Clock, Error, Result};
use breaker::Breaker;
use chrono::TimeDelta;
use rand::Rng;
use std::time::Duration;

/// The most attempts of one call.
pub const ATTEMPTS: u32 = 5;
/// The longest wait before the second attempt; it doubles with each further one (0.2, 0.4, 0.8, 1.6 s). The wait is
/// drawn from the upper half of that, so that callers who failed together do not come back together.
pub const FIRST_WAIT: Duration = Duration::from_millis(200);
/// No further attempt begins so long after the first one did: well within any handler's own time.
pub const PATIENCE: TimeDelta = TimeDelta::seconds(20);
/// The breaker opens when this many attempts in a row got no answer ...
pub const FAILURES: u32 = 10;
/// ... and at least this time lies between the first and the last of them, so that one short interruption of many
/// calls side by side opens nothing.
pub const SILENCE: TimeDelta = TimeDelta::seconds(2);
/// So long an open breaker refuses every call. Then it lets a single one through, whose outcome closes it or keeps it
/// open for as long again.
pub const OPEN: TimeDelta = TimeDelta::seconds(10);

/// One breaker, and the rules of repeating.
pub struct Guard {
    what: &'static str,
    clock: Clock,
    breaker: Breaker,
}

impl Guard {
    /// `what` names the other side in errors and logs.
    pub fn new(what: &'static str, clock: &Clock) -> Self {
        Guard { what, clock: clock.clone(), breaker: Breaker::default() }
    }

    /// For calls that mean the same however often they are made: repeated while there is no answer.
    pub async fn repeat<T, F>(&self, call: impl FnMut() -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        self.patiently(|error| matches!(error, Error::Unavailable { .. }), call).await
    }

    /// For calls that would be answered differently the second time: repeated only where the first is known to have
    /// done nothing. No answer stays [`Error::Unavailable`], and the caller looks for itself what came of it.
    pub async fn change<T, F>(&self, call: impl FnMut() -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        self.patiently(Error::is_busy, call).await
    }

    /// For calls that only their maker can repeat: the breaker watches, and that is all.
    pub async fn once<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        let Some(pass) = self.breaker.admit(self.clock.now()) else { return Err(self.refusal()) };
        let outcome = call.await;
        let silent = matches!(&outcome, Err(error @ Error::Unavailable { .. }) if !error.is_busy());
        match pass.settle(!silent, self.clock.now()) {
            Some(breaker::Turn::Opened) => tracing::error!(port = self.what, "no answer: calls now fail at once"),
            Some(breaker::Turn::Closed) => tracing::info!(port = self.what, "answers again"),
            None => {}
        }
        outcome
    }

    async fn patiently<T, F>(&self, again: impl Fn(&Error) -> bool, mut call: impl FnMut() -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let begun = self.clock.now();
        for attempt in 1..ATTEMPTS {
            match self.once(call()).await {
                Err(error) if again(&error) && !self.gives_up(&error) && self.clock.now() - begun < PATIENCE => {
                    tracing::debug!(port = self.what, attempt, "no answer: asking again");
                    self.clock.sleep(wait_after(attempt)).await;
                }
                answer => return answer,
            }
        }
        self.once(call()).await
    }

    /// Whether it is no use to wait: the breaker refused, or would refuse the next attempt.
    fn gives_up(&self, error: &Error) -> bool {
        !error.is_busy() && self.breaker.is_open(self.clock.now())
    }

    fn refusal(&self) -> Error {
        Error::unavailable(self.what, "it has not answered for a while and is not asked now")
    }
}

/// The wait after this attempt, counted from 1.
fn wait_after(attempt: u32) -> Duration {
    let longest = FIRST_WAIT * 2u32.pow(attempt - 1);
    longest.mul_f64(rand::rng().random_range(0.5..1.0))
}
