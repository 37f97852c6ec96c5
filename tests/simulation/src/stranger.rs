//! Somebody who drops what is no report, or somebody else's, among the reports.

use crate::{
    faults::Fault,
    store::insert,
    universe::{State, Universe},
};
use platform::{BlobPath, PutOptions, embedded::Event};
use rand::Rng;
use serde_json::{Value, json};
use service::{places, runs::reports::REPORT_LIMIT};

/// The number of every report that is dropped, and in most of their names: no worker writes so many.
pub const FROM: u32 = 90_000;

/// Now and then leaves something beside a report that was just written.
pub fn passes_by(universe: &Universe, event: &Event) {
    let Event::Object(meta) = event else { return };
    let genuine = meta.path.bucket() == places::REPORTS && meta.content_type == "application/json";
    if !genuine || !universe.strikes(Fault::ForeignReport) {
        return;
    }
    let pid = universe.begin_safe("stranger", None);
    let mut state = universe.lock();
    let Some((_, content)) = state.store.objects.get(&meta.path.to_string()).cloned() else { return };
    let Some(path) = place(&mut state, &meta.path) else { return };
    let kind = state.random.random_range(0..7);
    state.note(pid, "drops", path.name(), kind);
    let content = match serde_json::from_slice::<Value>(&content) {
        Ok(report) if kind > 0 => foreign(report, kind).into(),
        _ => content.slice(..content.len() / 2),
    };
    insert(&mut state, pid, &path, content, PutOptions::default());
    if kind == TOO_LARGE
        && let Some((meta, _)) = state.store.objects.get_mut(&path.to_string())
    {
        meta.size = REPORT_LIMIT + 1;
    }
}

/// A kind of which the content is right and more than is read.
const TOO_LARGE: u32 = 6;

/// A name that is free: far behind those of the workers, the one that the worker takes next, or one among the reports of
/// the attempt before.
fn place(state: &mut State, report: &BlobPath) -> Option<BlobPath> {
    let (folder, file) = report.name().rsplit_once('/')?;
    let (shard, attempt) = folder.rsplit_once('/')?;
    let number: u32 = file.strip_suffix(".json")?.parse().ok()?;
    let attempt: u32 = attempt.parse().ok()?;
    let (folder, from) = match state.random.random_range(0..4) {
        0 => (folder.to_owned(), number + 1),
        1 if attempt > 1 => (format!("{shard}/{:04}", attempt - 1), FROM),
        _ => (folder.to_owned(), FROM + state.random.random_range(0..1000)),
    };
    let names = (from..).filter_map(|number| BlobPath::new(places::REPORTS, format!("{folder}/{number:05}.json")).ok());
    names.take(1000).find(|path| !state.store.objects.contains_key(&path.to_string()))
}

/// A report that does not belong where it lies, or is not of the shard's items.
fn foreign(mut report: Value, kind: u32) -> String {
    report["seq"] = FROM.into();
    report["last"] = true.into();
    match kind {
        1 => report["uid"] = "u9".into(),
        2 => report["job_id"] = "batch_000000000000000000000000".into(),
        3 => report["shard"] = 77.into(),
        4 => report["attempt"] = 77.into(),
        5 => {
            report["outcomes"] =
                json!([{"index": 77, "status": "failed", "scores": {}, "files": {}, "simulated": true}])
        }
        _ => {}
    }
    if kind < 5 {
        report["outcomes"] = json!([]);
    }
    report.to_string()
}
