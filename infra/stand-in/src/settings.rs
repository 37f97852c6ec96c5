//! What the environment asks of the stand-in: how slow to be and which records to fail.
//! The only place that reads the environment.

use std::collections::HashMap;
use std::time::Duration;

use crate::{Failure, options};

/// Every fault that can be asked for; each needs the ids it strikes.
const FAULTS: [&str; 10] = [
    "oom-structure",
    "oom-affinity",
    "featurizer",
    "featurizer-affinity",
    "runtime-error",
    "crash",
    "hang",
    "truncated",
    "skip",
    "clash",
];

/// Seconds to spend and faults to commit.
#[derive(Debug, Default)]
pub struct Settings {
    load: Duration,
    item: Duration,
    faults: HashMap<String, Vec<String>>,
}

impl Settings {
    /// Reads `STAND_IN_LOAD_SECONDS`, `STAND_IN_ITEM_SECONDS` and `STAND_IN_FAULTS`.
    /// An unreadable value is a usage error: a typing mistake must not pass for success.
    pub fn from_env() -> Result<Self, Failure> {
        Ok(Self {
            load: seconds("STAND_IN_LOAD_SECONDS")?,
            item: seconds("STAND_IN_ITEM_SECONDS")?,
            faults: faults(&variable("STAND_IN_FAULTS"))?,
        })
    }

    /// Whether `fault` was asked for on this record, structure or design.
    pub fn strikes(&self, fault: &str, id: &str) -> bool {
        let ids = self.faults.get(fault);
        ids.is_some_and(|ids| ids.iter().any(|struck| struck == id))
    }

    /// Takes as long as loading a model's weights.
    pub fn load_model(&self) {
        std::thread::sleep(self.load);
    }

    /// Takes as long as one record does in one phase; hangs there for ever if asked to.
    pub fn work_on(&self, id: &str) {
        while self.strikes("hang", id) {
            std::thread::sleep(Duration::from_secs(3600));
        }
        std::thread::sleep(self.item);
    }

    /// Dies as on a segmentation fault or the kernel's memory killer, if asked to.
    pub fn crash_on(&self, id: &str) {
        if self.strikes("crash", id) {
            std::process::abort();
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a stand-in for foreign tools takes its instructions from the environment, because their command lines have no room for them"
)]
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

fn seconds(name: &str) -> Result<Duration, Failure> {
    let text = variable(name);
    if text.is_empty() {
        return Ok(Duration::ZERO);
    }
    let parsed = text.trim().parse().ok();
    parsed
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| options::usage(format!("{name} is not a number of seconds: {text}")))
}

/// Parses `fault=ID[,ID…]`, separated by `;`.
fn faults(text: &str) -> Result<HashMap<String, Vec<String>>, Failure> {
    let mut faults: HashMap<String, Vec<String>> = HashMap::new();
    for entry in text.split(';').map(str::trim).filter(|e| !e.is_empty()) {
        let (name, ids) = entry.split_once('=').filter(|(name, _)| FAULTS.contains(name)).ok_or_else(|| {
            let known = FAULTS.join(", ");
            options::usage(format!("unknown fault in STAND_IN_FAULTS: {entry} (known: {known})"))
        })?;
        let ids = ids.split(',').map(|id| id.trim().to_owned());
        faults.entry(name.to_owned()).or_default().extend(ids);
    }
    Ok(faults)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_strikes_only_the_ids_it_names() {
        let settings = Settings { faults: faults("crash=a; oom-affinity=b,c;crash=d").unwrap(), ..Settings::default() };
        assert!(settings.strikes("crash", "a") && settings.strikes("crash", "d"));
        assert!(settings.strikes("oom-affinity", "c"));
        assert!(!settings.strikes("oom-affinity", "a") && !settings.strikes("hang", "a"));
    }

    #[test]
    fn a_misspelt_fault_is_refused() {
        assert!(faults("oom_structure=a").is_err());
        assert!(faults("crash").is_err());
    }
}
