//! What this instance read or wrote a moment ago and need not read again. Accounts: who only looks at something is let in
//! by them, and who submits a prediction, because the commit finds out whether the account still is what it was. What was
//! learned of a model. Whatever else changes something goes by the account as it is.

use super::quota::Known;
use chrono::{DateTime, TimeDelta, Utc};
use domain::{Learned, Uid};
use platform::{Docs, Result};
use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
};

/// How long something is taken for what it was.
pub const RECENT: TimeDelta = TimeDelta::seconds(10);
/// Things of one kind that are kept before older ones are forgotten: about 10 MB of accounts.
const KEPT: usize = 10_000;

/// What this instance knows. Cloning shares it.
#[derive(Clone, Default)]
pub struct Recent {
    accounts: Lately<Uid, Known>,
    learned: Lately<&'static str, Option<Learned>>,
}

impl Recent {
    /// The user's account as it was at most [`RECENT`] ago.
    pub async fn account(&self, docs: &Docs, uid: &Uid, now: DateTime<Utc>) -> Result<Known> {
        if let Some(known) = self.accounts.get(uid, now) {
            return Ok(known);
        }
        let known = Known::read(docs, uid).await?;
        self.accounts.put(uid.clone(), now, known.clone());
        Ok(known)
    }

    /// Keeps the account as it was just written.
    pub(super) fn keep_account(&self, uid: Uid, now: DateTime<Utc>, known: Known) {
        self.accounts.put(uid, now, known);
    }

    /// What was learned of the model, as it was at most [`RECENT`] ago.
    pub fn learned(&self, model: &'static str, now: DateTime<Utc>) -> Option<Option<Learned>> {
        self.learned.get(&model, now)
    }

    /// Keeps what was learned of the model.
    pub fn keep_learned(&self, model: &'static str, now: DateTime<Utc>, learned: Option<Learned>) {
        self.learned.put(model, now, learned);
    }
}

/// Values by key, and when each was read.
type Read<K, V> = HashMap<K, (DateTime<Utc>, V)>;

/// Values that were read lately.
struct Lately<K, V>(Arc<Mutex<Read<K, V>>>);

impl<K: Eq + Hash, V: Clone> Lately<K, V> {
    fn get(&self, key: &K, now: DateTime<Utc>) -> Option<V> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(key).filter(|(at, _)| is_recent(*at, now)).map(|(_, value)| value.clone())
    }

    fn put(&self, key: K, at: DateTime<Utc>, value: V) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= KEPT {
            all.retain(|_, (other, _)| is_recent(*other, at));
        }
        if all.len() < KEPT {
            all.insert(key, (at, value));
        }
    }
}

impl<K, V> Clone for Lately<K, V> {
    fn clone(&self) -> Self {
        Lately(self.0.clone())
    }
}

impl<K, V> Default for Lately<K, V> {
    fn default() -> Self {
        Lately(Arc::default())
    }
}

fn is_recent(at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    (TimeDelta::zero()..RECENT).contains(&(now - at))
}
