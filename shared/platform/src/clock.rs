//! Time, in the one place that may ask the system for it.

use chrono::{DateTime, TimeDelta, Utc};
use std::{sync::Arc, time::Duration};
use tokio::sync::watch;

/// The current time: the system's, or one that a test moves by hand. Cloning shares it.
#[derive(Clone, Debug, Default)]
pub struct Clock(Option<Arc<watch::Sender<DateTime<Utc>>>>);

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Clock(None)
    }

    /// A clock that stands still at `start` until [`Clock::advance`] moves it.
    pub fn manual(start: DateTime<Utc>) -> Self {
        Clock(Some(Arc::new(watch::Sender::new(start))))
    }

    /// Now, in UTC.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system's time")]
    pub fn now(&self) -> DateTime<Utc> {
        match &self.0 {
            None => std::time::SystemTime::now().into(),
            Some(time) => *time.borrow(),
        }
    }

    /// Waits until so much time has passed by this clock.
    pub async fn sleep(&self, wait: Duration) {
        match &self.0 {
            None => tokio::time::sleep(wait).await,
            Some(time) => {
                let until = *time.borrow() + wait;
                // The sender is held here: it cannot go away while somebody waits.
                let _ = time.subscribe().wait_for(|now| *now >= until).await;
            }
        }
    }

    /// Moves a manual clock forward; the system's clock takes no orders.
    pub fn advance(&self, by: TimeDelta) {
        if let Some(time) = &self.0 {
            time.send_modify(|now| *now += by);
        }
    }
}
