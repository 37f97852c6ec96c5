//! Time, in the one place that may ask the system for it.

use chrono::{DateTime, TimeDelta, Utc};
use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

/// The current time: the system's, or one that a test moves by hand. Cloning shares it.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    manual: Option<Manual>,
    /// What this copy shows beyond the time it shares.
    ahead: TimeDelta,
}

/// Time that stands still until it is moved, and who waits for it.
#[derive(Clone, Debug)]
struct Manual(Arc<Mutex<Hands>>);

#[derive(Debug)]
struct Hands {
    now: DateTime<Utc>,
    sleepers: BTreeMap<(DateTime<Utc>, u64), Waker>,
    named: u64,
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Clock::default()
    }

    /// A clock that stands still at `start` until [`Clock::advance`] moves it.
    pub fn manual(start: DateTime<Utc>) -> Self {
        let hands = Hands { now: start, sleepers: BTreeMap::new(), named: 0 };
        Clock { manual: Some(Manual(Arc::new(Mutex::new(hands)))), ahead: TimeDelta::zero() }
    }

    /// The same clock as a machine shows it that is wrong by so much. Both move together.
    pub fn ahead_by(&self, ahead: TimeDelta) -> Self {
        Clock { manual: self.manual.clone(), ahead }
    }

    /// Now, in UTC.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system's time")]
    pub fn now(&self) -> DateTime<Utc> {
        let shared = match &self.manual {
            None => std::time::SystemTime::now().into(),
            Some(manual) => manual.lock().now,
        };
        shared + self.ahead
    }

    /// Waits until so much time has passed.
    pub async fn sleep(&self, duration: Duration) {
        match &self.manual {
            None => tokio::time::sleep(duration).await,
            Some(manual) => manual.sleep(duration).await,
        }
    }

    /// Moves a manual clock forward and wakes who has slept long enough; the system's clock takes no orders.
    pub fn advance(&self, by: TimeDelta) {
        if let Some(manual) = &self.manual {
            manual.advance(|hands| Some(hands.now + by));
        }
    }

    /// Moves a manual clock to the moment for which the first sleeper waits. False if nobody sleeps.
    pub fn advance_to_next(&self) -> bool {
        let next = |hands: &Hands| hands.sleepers.first_key_value().map(|((due, _), _)| *due);
        self.manual.as_ref().is_some_and(|manual| manual.advance(next))
    }
}

impl Manual {
    fn lock(&self) -> MutexGuard<'_, Hands> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        let mut hands = self.lock();
        hands.named += 1;
        let due = hands.now + TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX / 2);
        Sleep { manual: self.clone(), key: (due, hands.named) }
    }

    fn advance(&self, to: impl FnOnce(&Hands) -> Option<DateTime<Utc>>) -> bool {
        let mut hands = self.lock();
        let Some(to) = to(&hands) else { return false };
        hands.now = hands.now.max(to);
        let now = hands.now;
        let mut woken = vec![];
        while let Some(first) = hands.sleepers.first_entry().filter(|first| first.key().0 <= now) {
            woken.push(first.remove());
        }
        drop(hands);
        woken.into_iter().for_each(Waker::wake);
        true
    }
}

struct Sleep {
    manual: Manual,
    key: (DateTime<Utc>, u64),
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut hands = self.manual.lock();
        if hands.now >= self.key.0 {
            return Poll::Ready(());
        }
        hands.sleepers.insert(self.key, context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.manual.lock().sleepers.remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::{FutureExt, poll};

    #[tokio::test]
    async fn who_sleeps_by_a_manual_clock_wakes_when_it_was_moved_far_enough() {
        let clock = Clock::manual(DateTime::UNIX_EPOCH);
        let wrong = clock.ahead_by(TimeDelta::minutes(10));
        let mut short = Box::pin(wrong.sleep(Duration::from_secs(5)));
        let mut long = Box::pin(clock.sleep(Duration::from_secs(60)));
        assert!(poll!(&mut short).is_pending() && poll!(&mut long).is_pending());
        assert!(clock.advance_to_next());
        assert_eq!((clock.now().timestamp(), wrong.now().timestamp()), (5, 605));
        assert!(poll!(&mut short).is_ready() && poll!(&mut long).is_pending());
        drop(long);
        assert!(!clock.advance_to_next(), "nobody waits any more");
        assert!(clock.sleep(Duration::ZERO).now_or_never().is_some());
    }
}
