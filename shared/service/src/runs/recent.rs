//! What this instance read a moment ago and need not read again. Accounts: who only looks at something is let in by
//! them. What a user's runs hold: true as long as nobody else submitted anything for that user, which the account's
//! version tells. What was learned of a model. Whatever changes something goes by the account as it is.

use super::quota::Known;
use chrono::{DateTime, TimeDelta, Utc};
use domain::{Holding, Learned, Uid};
use platform::{Docs, Result, Version};
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
    /// By user, and whether it is of batches.
    counts: Lately<(Uid, bool), Count>,
    learned: Lately<&'static str, Option<Learned>>,
}

/// What a user's runs held while the account was at this version.
#[derive(Clone, Debug)]
struct Count {
    version: Version,
    holding: Holding,
}

impl Recent {
    /// The user's account as it was at most [`RECENT`] ago.
    pub async fn account(&self, docs: &Docs, uid: &Uid, now: DateTime<Utc>) -> Result<Known> {
        if let Some((_, known)) = self.accounts.get(uid, now) {
            return Ok(known);
        }
        let known = Known::read(docs, uid).await?;
        self.accounts.put(uid.clone(), now, known.clone());
        Ok(known)
    }

    /// When what the user's runs hold was counted, and how much that is since. Runs may have ended meanwhile, so it is
    /// no less than the truth, but for what runs take beyond their estimates in that time.
    pub(super) fn holding(
        &self,
        uid: &Uid,
        batch: bool,
        version: &Version,
        now: DateTime<Utc>,
    ) -> Option<(DateTime<Utc>, Holding)> {
        let (counted, count) = self.counts.get(&(uid.clone(), batch), now)?;
        (count.version == *version).then_some((counted, count.holding))
    }

    /// Keeps what a user's runs hold since the account has this version.
    pub(super) fn keep(&self, uid: &Uid, batch: bool, version: Version, counted: DateTime<Utc>, holding: Holding) {
        self.counts.put((uid.clone(), batch), counted, Count { version, holding });
    }

    /// What was learned of the model, as it was at most [`RECENT`] ago.
    pub fn learned(&self, model: &'static str, now: DateTime<Utc>) -> Option<Option<Learned>> {
        self.learned.get(&model, now).map(|(_, learned)| learned)
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
    fn get(&self, key: &K, now: DateTime<Utc>) -> Option<(DateTime<Utc>, V)> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(key).filter(|(at, _)| is_recent(*at, now)).cloned()
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
