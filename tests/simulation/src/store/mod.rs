//! The four ports in memory. Every call is a point at which anything else may go first, at which the process may die,
//! and after which nobody may know whether it was done.

mod blobs;
mod bus;
mod docs;
mod executions;
#[cfg(test)]
mod tests;

pub use blobs::insert;
pub use docs::StoredDoc;
pub use executions::StoredExecution;

use crate::{
    executor::pause,
    universe::{Fate, Pid, State, Universe},
};
use bytes::Bytes;
use platform::{Error, ObjectMeta, Result};
use serde_json::Value;
use service::places;
use std::collections::BTreeMap;

/// Everything that is stored.
#[derive(Default)]
pub struct Store {
    pub docs: BTreeMap<String, StoredDoc>,
    /// By bucket and name, with `/` between them.
    pub objects: BTreeMap<String, (ObjectMeta, Bytes)>,
    pub executions: BTreeMap<String, StoredExecution>,
    /// The name of the execution that a claim started.
    pub claims: BTreeMap<String, String>,
    /// The last version or generation given.
    pub version: i64,
}

impl Store {
    /// The leases of the pool of GPUs, as they are written.
    pub fn leases(&self) -> &[Value] {
        let pool = self.docs.get(places::pool().as_str());
        pool.and_then(|pool| pool.body.get("leases")?.as_array()).map_or(&[], Vec::as_slice)
    }

    fn next_version(&mut self) -> i64 {
        self.version += 1;
        self.version
    }
}

/// One process's way to the store.
pub struct Port {
    pub universe: Universe,
    pub pid: Pid,
}

impl Port {
    /// One call: others may go first, then it is done, or not, or done and not answered.
    async fn call<T>(
        &self,
        what: &'static str,
        writes: bool,
        about: &str,
        effect: impl FnOnce(&mut State, Pid) -> Result<T>,
    ) -> Result<T> {
        let (fate, slow) = self.universe.lock().fate(self.pid, writes);
        match slow {
            None => pause().await,
            Some(slow) => self.universe.clock.sleep(slow).await,
        }
        let outcome = {
            let mut state = self.universe.lock();
            crate::watch::called(&mut state, self.pid, what, about);
            let outcome = match fate {
                Fate::Refused | Fate::DiesBefore => Err(unavailable()),
                Fate::Done | Fate::Unheard | Fate::DiesAfter => effect(&mut state, self.pid),
            };
            let seen = match (&outcome, fate) {
                (_, Fate::DiesBefore) => "dies before it",
                (_, Fate::DiesAfter) => "dies after it",
                (_, Fate::Refused) => "not answered, not done",
                (_, Fate::Unheard) => "not answered, but done",
                (Ok(_), _) => "",
                (Err(Error::NotFound(_)), _) => "not found",
                (Err(error), _) if error.is_race() => "lost the race",
                (Err(_), _) => "error",
            };
            state.note(self.pid, what, about, seen);
            if matches!(fate, Fate::DiesBefore | Fate::DiesAfter) {
                state.killed.push(self.pid);
            }
            outcome
        };
        match fate {
            Fate::DiesBefore | Fate::DiesAfter => std::future::pending().await,
            Fate::Unheard if outcome.is_ok() => Err(unavailable()),
            _ => outcome,
        }
    }
}

fn unavailable() -> Error {
    Error::Unavailable { what: "the simulated cloud", source: "no answer".into() }
}
