//! What the faults are for: that things meet which rarely do. Counted, so that a test can ask that they met.

use super::text;
use crate::{universe::State, watch::number};
use domain::{MAX_LAUNCHES, Timestamp};
use platform::{BlobPath, docs::Body};
use serde_json::Value;
use std::collections::BTreeSet;

/// A meeting of two things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Race {
    /// A run was cancelled whose results were to be written.
    CancelledWhileAggregating,
    /// A run was purged while a worker was at work for it.
    PurgedWhileWorkedOn,
    /// Somebody wrote an object for a run that had been purged.
    WrittenAfterPurge,
    /// An event or a message was given up.
    DeadLetter,
    /// A run was ended because nobody could process its events.
    Unprocessable,
    /// A lease ran out while shards were held under it.
    LeaseExpired,
    /// A shard was closed after its last launch.
    LaunchesUsedUp,
    /// A writer of results failed and gave its turn back.
    TurnGivenBack,
    /// A turn at writing results passed to another writer.
    TurnTakenOver,
}

impl Race {
    /// Every one there is.
    pub const ALL: [Race; 9] = [
        Race::CancelledWhileAggregating,
        Race::PurgedWhileWorkedOn,
        Race::WrittenAfterPurge,
        Race::DeadLetter,
        Race::Unprocessable,
        Race::LeaseExpired,
        Race::LaunchesUsedUp,
        Race::TurnGivenBack,
        Race::TurnTakenOver,
    ];
}

/// How often each race was run.
pub type Races = [u32; Race::ALL.len()];

/// Counts a race.
pub fn met(state: &mut State, race: Race) {
    state.watch.races[race as usize] += 1;
}

pub(super) fn of_run(state: &mut State, id: &str, before: Option<&Body>, after: Option<&Body>) {
    let Some(before) = before else { return };
    let Some(after) = after else {
        state.watch.removed.insert(id.to_owned());
        if state.watch.running.values().any(|work| work.job == id) {
            met(state, Race::PurgedWhileWorkedOn);
        }
        return;
    };
    let moves = (text(before, "status"), text(after, "status"));
    if moves == ("aggregating", "cancelled") {
        met(state, Race::CancelledWhileAggregating);
    }
    let error = after.get("error").and_then(|error| error.get("code")?.as_str());
    if error == Some("unprocessable") && moves.0 != moves.1 {
        met(state, Race::Unprocessable);
    }
    let turn = |body: &Body| body.get("aggregation").and_then(Value::as_object).cloned();
    if let (Some(from), Some(to)) = (turn(before), turn(after)) {
        let again = number(&from, "token") != number(&to, "token");
        if again && text(&from, "until") == state.watch.given_back.as_str() {
            return;
        }
        if again {
            met(state, Race::TurnTakenOver);
        } else if text(&to, "until") < text(&from, "until") {
            state.watch.given_back = text(&to, "until").to_owned();
            met(state, Race::TurnGivenBack);
        }
    }
}

pub(super) fn of_shard(state: &mut State, before: &Body, after: &Body) {
    let closing = |body: &Body| text(body, "state") == "running" && body.get("worker").is_none_or(Value::is_null);
    if closing(after) && !closing(before) && number(after, "launch") >= u64::from(MAX_LAUNCHES) {
        met(state, Race::LaunchesUsedUp);
    }
}

/// A lease ran out that the write takes away or makes longer.
pub(super) fn of_pool(state: &mut State, before: Option<&Body>, after: Option<&Body>) {
    let now = Timestamp::from(state.now).to_string();
    let leases = |pool: Option<&Body>| -> BTreeSet<(String, String)> {
        let leases = pool.and_then(|pool| pool.get("leases")?.as_array()).into_iter().flatten();
        let names = leases.filter_map(Value::as_object);
        names.map(|lease| (text(lease, "id").to_owned(), text(lease, "expires_at").to_owned())).collect()
    };
    let (before, after) = (leases(before), leases(after));
    for _ in before.difference(&after).filter(|(_, expires_at)| *expires_at < now) {
        met(state, Race::LeaseExpired);
    }
}

pub(super) fn of_object(state: &mut State, path: &BlobPath) {
    let job = path.name().split('/').nth(1).unwrap_or_default();
    if state.watch.removed.contains(job) {
        met(state, Race::WrittenAfterPurge);
    }
}
