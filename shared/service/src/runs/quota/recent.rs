//! Accounts as this instance read them a moment ago: who only looks at something is let in by them. Whatever changes
//! something goes by the account as it is.

use super::Known;
use chrono::{DateTime, TimeDelta, Utc};
use domain::Uid;
use platform::{Docs, Result};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// How long an account is taken for what it was.
pub const RECENT: TimeDelta = TimeDelta::seconds(10);
/// Accounts that are kept before older ones are forgotten: about 10 MB.
const KEPT: usize = 10_000;

/// The accounts, and when each was read.
type Accounts = HashMap<Uid, (DateTime<Utc>, Known)>;

/// The accounts of this instance. Cloning shares them.
#[derive(Clone, Default)]
pub struct Recent(Arc<Mutex<Accounts>>);

impl Recent {
    /// The user's account as it was at most [`RECENT`] ago.
    pub async fn read(&self, docs: &Docs, uid: &Uid, now: DateTime<Utc>) -> Result<Known> {
        let is_recent = |(at, _): &(DateTime<Utc>, Known)| (TimeDelta::zero()..RECENT).contains(&(now - *at));
        if let Some((_, known)) = self.all().get(uid).filter(|entry| is_recent(entry)) {
            return Ok(known.clone());
        }
        let known = Known::read(docs, uid).await?;
        let mut all = self.all();
        if all.len() >= KEPT {
            all.retain(|_, entry| is_recent(entry));
        }
        if all.len() < KEPT {
            all.insert(uid.clone(), (now, known.clone()));
        }
        Ok(known)
    }

    fn all(&self) -> MutexGuard<'_, Accounts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
