//! The objects themselves, and the rules of writing one: preconditions, checksums, generations that only rise.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use platform::Clock;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::mpsc::UnboundedSender;

/// An object that is there.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    pub bucket: String,
    pub name: String,
    pub content: Bytes,
    pub content_type: String,
    pub metadata: BTreeMap<String, String>,
    pub generation: i64,
    pub crc32c: u32,
    pub created_at: DateTime<Utc>,
}

/// An object that is to be written.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    pub bucket: String,
    pub name: String,
    pub content_type: String,
    pub metadata: BTreeMap<String, String>,
    /// What the sender says the checksum is.
    pub crc32c: Option<u32>,
    /// The generation that must be there; 0 stands for none.
    pub if_generation: Option<i64>,
}

/// Why nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    NoBucket,
    Precondition,
    Checksum,
}

/// All buckets. Cloning shares them.
#[derive(Clone)]
pub struct Objects(Arc<Inner>);

struct Inner {
    buckets: Mutex<Buckets>,
    written: UnboundedSender<Stored>,
    clock: Clock,
}

struct Buckets {
    names: BTreeMap<String, BTreeMap<String, Stored>>,
    last_generation: i64,
}

impl Objects {
    pub(crate) fn new(names: Vec<String>, written: UnboundedSender<Stored>) -> Self {
        let names = names.into_iter().map(|name| (name, BTreeMap::new())).collect();
        let buckets = Mutex::new(Buckets { names, last_generation: 0 });
        Objects(Arc::new(Inner { buckets, written, clock: Clock::system() }))
    }

    fn lock(&self) -> MutexGuard<'_, Buckets> {
        self.0.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The current object of the name.
    pub fn get(&self, bucket: &str, name: &str) -> Option<Stored> {
        self.lock().names.get(bucket)?.get(name).cloned()
    }

    /// Everything in a bucket in the order of names; `None` if there is no such bucket.
    pub fn all(&self, bucket: &str) -> Option<Vec<Stored>> {
        Some(self.lock().names.get(bucket)?.values().cloned().collect())
    }

    /// True if the draft's precondition holds now.
    pub(crate) fn may_write(&self, draft: &Draft) -> Result<(), Refused> {
        self.lock().check(draft)
    }

    /// Writes the object, or nothing.
    pub fn put(&self, draft: Draft, content: Bytes) -> Result<Stored, Refused> {
        let crc32c = crc32c::crc32c(&content);
        if draft.crc32c.is_some_and(|said| said != crc32c) {
            return Err(Refused::Checksum);
        }
        let created_at = self.0.clock.now();
        let stored = {
            let mut buckets = self.lock();
            buckets.check(&draft)?;
            let generation = created_at.timestamp_micros().max(buckets.last_generation + 1);
            buckets.last_generation = generation;
            let Draft { bucket, name, content_type, metadata, .. } = draft;
            let stored = Stored { bucket, name, content, content_type, metadata, generation, crc32c, created_at };
            let objects = buckets.names.get_mut(&stored.bucket).ok_or(Refused::NoBucket)?;
            objects.insert(stored.name.clone(), stored.clone());
            stored
        };
        // Nobody listens any more when the server ends.
        let _ = self.0.written.send(stored.clone());
        Ok(stored)
    }

    /// Removes the object; what was removed.
    pub fn delete(&self, bucket: &str, name: &str) -> Option<Stored> {
        self.lock().names.get_mut(bucket)?.remove(name)
    }
}

impl Buckets {
    fn check(&self, draft: &Draft) -> Result<(), Refused> {
        let objects = self.names.get(&draft.bucket).ok_or(Refused::NoBucket)?;
        let current = objects.get(&draft.name).map_or(0, |object| object.generation);
        match draft.if_generation {
            Some(expected) if expected != current => Err(Refused::Precondition),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_needs_the_generation_it_names_and_a_right_checksum() {
        let (written, mut news) = tokio::sync::mpsc::unbounded_channel();
        let objects = Objects::new(vec!["b".into()], written);
        let draft = |if_generation| Draft { bucket: "b".into(), name: "n".into(), if_generation, ..Default::default() };
        let first = objects.put(draft(Some(0)), "1".into()).unwrap();
        assert_eq!(objects.put(draft(Some(0)), "2".into()), Err(Refused::Precondition));
        let second = objects.put(draft(Some(first.generation)), "2".into()).unwrap();
        assert!(second.generation > first.generation);
        let wrong = Draft { crc32c: Some(1), ..draft(None) };
        assert_eq!(objects.put(wrong, "3".into()), Err(Refused::Checksum));
        let elsewhere = Draft { bucket: "c".into(), ..draft(None) };
        assert_eq!(objects.put(elsewhere, "4".into()), Err(Refused::NoBucket));
        let told: Vec<_> = std::iter::from_fn(|| news.try_recv().ok()).map(|stored| stored.content).collect();
        assert_eq!(told, ["1", "2"], "only what was written is told");
    }
}
