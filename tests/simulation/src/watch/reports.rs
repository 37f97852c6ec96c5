//! What must hold of objects whenever one is written, and of runs once their reports were heard.

use super::{Race, number, owns, races, text, violated};
use crate::universe::{Pid, State};
use domain::Plan;
use platform::{BlobPath, embedded::Event};
use serde_json::Value;
use service::places;

/// An object is being written.
pub fn object_written(state: &mut State, pid: Pid, path: &BlobPath) {
    object_removed(state, pid, path);
    races::of_object(state, path);
    let key = path.to_string();
    let segments: Vec<_> = path.name().split('/').collect();
    if path.bucket() == places::REPORTS && state.store.objects.contains_key(&key) {
        violated(state, format!("the report {key} was written over"));
    }
    if let [uid, job, "results", token, _] = segments[..] {
        let run = state.store.docs.get(&format!("users/{uid}/jobs/{job}"));
        let ended = run.and_then(|run| run.body.get("results")?.as_u64());
        if ended.is_some_and(|ended| format!("{ended:04}") == token) {
            violated(state, format!("{key} was written after its run had ended with it"));
        }
    }
}

/// An object was removed.
pub fn object_removed(state: &mut State, pid: Pid, path: &BlobPath) {
    let uid = path.name().split('/').next().unwrap_or_default();
    owns(state, pid, uid, path.name());
}

/// An object's content is taken over by a process that works for one user.
pub fn object_copied(state: &mut State, pid: Pid, from: &BlobPath) {
    object_removed(state, pid, from);
}

/// A report is on its way.
pub fn report_sent(state: &mut State, run: &str) {
    *state.watch.reporting.entry(run.to_owned()).or_default() += 1;
}

/// A delivery was given up.
pub fn given_up(state: &mut State, event: &Event) {
    races::met(state, Race::DeadLetter);
    let about = match event {
        Event::Document { path, .. } => path.as_str(),
        Event::Object(meta) => meta.path.name().rsplit_once('/').map_or("", |(folder, _)| folder),
        Event::Message { .. } => return,
    };
    *state.watch.given_up.entry(about.to_owned()).or_default() += 1;
}

/// A report will never arrive.
pub fn report_lost(state: &mut State, run: &str) {
    state.watch.unheard.insert(run.to_owned());
}

/// The delivery of a report is over. Where all have arrived and every shard is done, the run has moved on.
pub fn report_heard(state: &mut State, run: &str) {
    let under_way = state.watch.reporting.get_mut(run).map_or(0, |count| {
        *count -= 1;
        *count
    });
    if under_way > 0 || state.watch.unheard.contains(run) {
        return;
    }
    let Some(doc) = state.store.docs.get(run) else { return };
    let open = matches!(text(&doc.body, "status"), "queued" | "running");
    let plan = doc.body.get("plan").and_then(|plan| serde_json::from_value::<Plan>(plan.clone()).ok());
    let shards = plan.filter(|plan| plan.ready).map_or(0, |plan| u64::from(plan.all_shards()));
    let prefix = format!("{run}/shards/");
    let inside = state.store.docs.range(prefix.clone()..).take_while(|(name, _)| name.starts_with(&prefix));
    let done = inside.filter(|(_, shard)| shard.body.get("done") == Some(&Value::Bool(true)));
    let done: Vec<_> = done.map(|(_, shard)| number(&shard.body, "attempt")).collect();
    // Where no worker was at work, the planner moves the run on once it has written everything.
    let by_worker = done.iter().any(|attempt| *attempt > 0);
    if open && by_worker && done.len() as u64 == shards {
        violated(state, format!("every report of {run} was heard, and it has not moved on"));
    }
}
