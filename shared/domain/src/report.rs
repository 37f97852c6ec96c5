//! What a worker says about its shard.

use crate::{JobId, Molecule, Scores, Timestamp, Uid, results::pic50};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A checkpoint of one attempt at one shard. Each report tells everything the attempt knows, so the latest one is
/// enough; the last one has an outcome for every item of the shard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    #[serde(deserialize_with = "Uid::stored")]
    pub uid: Uid,
    pub job_id: JobId,
    pub shard: u32,
    /// The claim under which this was written.
    pub attempt: u32,
    /// 1, 2, 3 … within the attempt.
    pub seq: u32,
    /// True where no item is left to run.
    pub last: bool,
    pub outcomes: Vec<Outcome>,
    /// Seconds this attempt has held its task so far.
    pub gpu_seconds: f64,
    pub model_version: String,
    pub written_at: Timestamp,
    /// For learning what the model takes; absent where it was not measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timing: Option<Timing>,
}

/// What a worker measured of its own attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// What the model ran on: `l4`, or `cpu`.
    pub device: String,
    /// Seconds from the claim until the tool said that its model was loaded; absent where it says no such thing.
    pub load_seconds: Option<f64>,
    /// How many times the tool was started: more than once where it had to be started again for some items.
    pub starts: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeStatus {
    Completed,
    #[default]
    Failed,
}

impl OutcomeStatus {
    /// As the API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            OutcomeStatus::Completed => "completed",
            OutcomeStatus::Failed => "failed",
        }
    }
}

/// How one item ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The item's index.
    pub index: u32,
    pub status: OutcomeStatus,
    /// What the model gave; nothing stands for what it did not give. A failed item has none.
    #[serde(default)]
    pub scores: Scores,
    /// Object names in the artifacts bucket by kind (`cif`, `confidence` …).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ItemError>,
    /// True if a stand-in and not the model made the values.
    #[serde(default)]
    pub simulated: bool,
    /// True if it was computed by an earlier run of the user and taken over.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cached: bool,
    /// Which molecule it is about, where it has a result and that was worked out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub molecule: Option<Molecule>,
    /// What is needed to repeat it: seed, position in the process's input, versions.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub provenance: BTreeMap<String, String>,
}

impl Outcome {
    /// A score by its name in the API, as the item's row will show it.
    pub fn score(&self, name: &str) -> Option<f64> {
        match (self.status, name) {
            (OutcomeStatus::Failed, _) => None,
            (OutcomeStatus::Completed, "pic50") => self.scores.get("affinity").map(pic50),
            (OutcomeStatus::Completed, name) => self.scores.get(name),
        }
    }

    /// An item that ended without a result.
    pub fn failed(index: u32, error: ItemError) -> Self {
        Outcome {
            index,
            status: OutcomeStatus::Failed,
            scores: Scores::default(),
            files: BTreeMap::new(),
            error: Some(error),
            simulated: false,
            cached: false,
            molecule: None,
            provenance: BTreeMap::new(),
        }
    }
}

/// Why an item has no result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ItemError {
    /// Stable code, e.g. `out_of_memory`.
    pub code: String,
    /// In words, for the chemist.
    pub message: String,
}

impl ItemError {
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        ItemError { code: code.to_owned(), message: message.into() }
    }
}
