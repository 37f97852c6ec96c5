//! Somebody who drops what is no report, or somebody else's, among the reports.

use crate::{faults::Fault, store::insert, universe::Universe};
use platform::{BlobPath, PutOptions, embedded::Event};
use rand::Rng;
use serde_json::Value;
use service::places;

/// The number in the names of what is dropped: no worker writes so many reports.
const FROM: u32 = 90_000;

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
    let (folder, _) = meta.path.name().rsplit_once('/').unwrap_or_default();
    let number = FROM + state.random.random_range(0..1000);
    let names = (number..).filter_map(|number| BlobPath::new(places::REPORTS, format!("{folder}/{number}.json")).ok());
    let free = |path: &BlobPath| !state.store.objects.contains_key(&path.to_string());
    let Some(path) = names.into_iter().find(free) else { return };
    let content = match (state.random.random_range(0..5), serde_json::from_slice::<Value>(&content)) {
        (kind @ 1.., Ok(mut report)) => {
            match kind {
                1 => report["uid"] = "u9".into(),
                2 => report["job_id"] = "batch_000000000000000000000000".into(),
                3 => report["shard"] = 77.into(),
                _ => report["attempt"] = 77.into(),
            }
            report["seq"] = FROM.into();
            report["last"] = true.into();
            report["outcomes"] = Value::Array(vec![]);
            report.to_string().into()
        }
        _ => content.slice(..content.len() / 2),
    };
    state.note(pid, "drops", path.name(), "");
    insert(&mut state, pid, &path, content, PutOptions::default());
}
