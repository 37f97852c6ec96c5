//! What a user may have under way at once on one instance, because each of it holds a connection or a thread for long.

use super::Limiter;
use crate::Problem;
use domain::Uid;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// What is counted by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Held {
    /// Open streams of events.
    Streams,
    /// Libraries that are being read.
    Libraries,
}

/// How many of each a user has; none is kept at 0.
pub(super) type Holdings = Arc<Mutex<HashMap<(Uid, Held), u32>>>;

/// One of them, until it is dropped.
#[derive(Debug)]
pub struct Hold {
    holdings: Holdings,
    key: (Uid, Held),
}

impl Held {
    /// The most that a user may have.
    const fn most(self) -> u32 {
        match self {
            Held::Streams => 20,
            Held::Libraries => 2,
        }
    }

    fn refusal(self) -> Problem {
        let (what, wait) = match self {
            Held::Streams => ("streams of events are open", 30),
            Held::Libraries => ("libraries are being read", 5),
        };
        Problem::too_many(format!("{} {what}, which is the most at once", self.most())).retry_after(wait)
    }
}

impl Limiter {
    /// One more of the user's; 429 where there are as many as there may be.
    pub fn hold(&self, uid: &Uid, held: Held) -> Result<Hold, Problem> {
        let key = (uid.clone(), held);
        let mut holdings = self.holdings.lock().unwrap_or_else(PoisonError::into_inner);
        let count = holdings.entry(key.clone()).or_default();
        if *count >= held.most() {
            return Err(held.refusal());
        }
        *count += 1;
        Ok(Hold { holdings: self.holdings.clone(), key })
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut holdings = self.holdings.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = holdings.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                holdings.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::user;

    #[test]
    fn what_is_dropped_makes_room_and_each_user_and_kind_has_its_own() {
        let limiter = Limiter::default();
        let held = [limiter.hold(&user("u1"), Held::Libraries), limiter.hold(&user("u1"), Held::Libraries)];
        assert_eq!(limiter.hold(&user("u1"), Held::Libraries).unwrap_err().status().as_u16(), 429);
        assert!(limiter.hold(&user("u2"), Held::Libraries).is_ok() && limiter.hold(&user("u1"), Held::Streams).is_ok());
        drop(held);
        assert!(limiter.hold(&user("u1"), Held::Libraries).is_ok());
        assert!(limiter.holdings.lock().unwrap().is_empty(), "nothing is kept of what is over");
    }
}
