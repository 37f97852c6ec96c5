//! What the reconciler did: counted for operators, and the latest of it listed.

use crate::{JobId, Timestamp, Uid};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use utoipa::ToSchema;

/// How many repairs are listed.
const LISTED: usize = 20;

/// What was done about a run that did not move on by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RepairKind {
    /// The document was touched, so that an event which was lost is sent again.
    ToldAgain,
    /// A report that nobody had heard of was taken over.
    ReportFound,
    /// A shard whose execution was gone waits for another one.
    TakenBack,
    /// A shard was closed with what there was, after its last launch.
    Closed,
    /// The run moved on, although nobody had counted its shards.
    Counted,
    /// The run was ended as failed.
    GivenUp,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Repair {
    pub at: Timestamp,
    #[schema(value_type = String)]
    #[serde(deserialize_with = "Uid::stored")]
    pub uid: Uid,
    #[schema(value_type = String)]
    pub job_id: JobId,
    pub kind: RepairKind,
    /// In words.
    pub reason: String,
}

/// The document of the reconciler.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Repairs {
    /// Since the deployment began.
    pub total: BTreeMap<RepairKind, u64>,
    /// The latest, the newest first.
    pub latest: VecDeque<Repair>,
}

/// How long the record of a dead letter is kept: 30 days.
const DEAD_LETTER_SECONDS: u64 = 30 * 24 * 3600;

/// What could not be processed, for operators to look at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DeadLetterRecord {
    /// Who gave it up.
    pub subscription: String,
    /// The document or object it was about.
    pub subject: Option<String>,
    pub attempts: u32,
    pub at: Timestamp,
    /// When the record may be forgotten.
    pub expire_at: Timestamp,
}

impl DeadLetterRecord {
    pub fn new(subscription: &str, subject: Option<String>, attempts: u32, at: Timestamp) -> Self {
        let expire_at = at.plus_seconds(DEAD_LETTER_SECONDS);
        DeadLetterRecord { subscription: subscription.to_owned(), subject, attempts, at, expire_at }
    }
}

impl Repairs {
    pub fn add(&mut self, repair: Repair) {
        *self.total.entry(repair.kind).or_default() += 1;
        self.latest.push_front(repair);
        self.latest.truncate(LISTED);
    }
}
