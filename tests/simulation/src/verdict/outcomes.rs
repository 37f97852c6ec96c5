//! That every row ended as its ligand does in this world: what the model finishes is not lost, and what it cannot finish
//! has no result.

use super::violated;
use crate::{
    model::{Temper, luck, temper},
    universe::Universe,
};
use domain::{MAX_LAUNCHES, Run, Shard};
use platform::DocPath;
use serde_json::Value;
use service::{places, runs::shards::ShardInput};

/// Judges the rows as users read them.
pub fn judge(universe: &Universe, run: &Run, rows: &[Value]) {
    let luck = luck(universe.scenario.luck, &run.job_id);
    for row in rows {
        let name = row["ligand_name"].as_str().unwrap_or_default();
        let code = row["error"]["code"].as_str().unwrap_or_default();
        let temper = temper(luck, name);
        let explained = match (row["status"].as_str(), code) {
            (Some("completed"), "") => row["cached"] == true || temper == Temper::Good,
            (Some("failed"), "model_failed") => temper == Temper::Fails,
            (Some("failed"), "worker_lost") => was_lost(universe, run, luck, row),
            (Some("failed"), "over_budget") => run.stopped.is_some() && run.max_cost_usd.is_some(),
            _ => false,
        };
        if !explained {
            let id = &run.job_id;
            violated(universe, format!("{id}: {name}, which is {temper:?}, ended as {} {code}", row["status"]));
        }
    }
}

/// True where the row's shard had every launch there is, and, where nothing else goes wrong, holds a ligand that ends
/// its worker, or takes longer than a task may.
fn was_lost(universe: &Universe, run: &Run, luck: u64, row: &Value) -> bool {
    let calm = universe.lock().faults.calm();
    let of_row = |input: &ShardInput| input.items.iter().any(|item| row["row"] == item.row);
    let Some(input) = inputs(universe, run).into_iter().find(of_row) else { return false };
    let path = places::shard(&run.uid, &run.job_id, input.shard);
    let used_up = launches(universe, &path) >= MAX_LAUNCHES;
    let scenario = &universe.scenario;
    let seconds = u64::from(scenario.load) + input.items.len() as u64 * u64::from(scenario.item);
    let long = seconds > scenario.settings.task_limit.as_secs();
    used_up && (!calm || long || input.items.iter().any(|item| temper(luck, &item.name) == Temper::Deadly))
}

fn launches(universe: &Universe, path: &DocPath) -> u32 {
    super::document::<Shard>(universe, path.as_str()).map_or(0, |shard| shard.launch)
}

fn inputs(universe: &Universe, run: &Run) -> Vec<ShardInput> {
    let prefix = format!("{}/{}inputs/shards/", places::ARTIFACTS, places::run_prefix(&run.uid, &run.job_id));
    let state = universe.lock();
    let inside = state.store.objects.range(prefix.clone()..).take_while(|(name, _)| name.starts_with(&prefix));
    inside.filter_map(|(_, (_, content))| serde_json::from_slice(content).ok()).collect()
}
