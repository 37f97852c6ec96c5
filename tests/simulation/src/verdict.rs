//! What must hold when everything has come to rest: every ligand is accounted for, every run has ended once, every
//! second is paid once, and nothing is left of what was purged.

mod outcomes;

use crate::{
    clients::ask,
    scenario::{Order, Way},
    universe::Universe,
    watch::reported,
};
use axum::http::{Method, StatusCode};
use domain::{JobType, Plan, Pool, Price, Rejected, Run, Shard, Source, Status};
use serde_json::Value;
use service::places;
use std::collections::BTreeMap;

/// Judges the world as it stands.
pub async fn judge(universe: &Universe) {
    let runs = runs(universe);
    for run in &runs {
        judge_run(universe, run).await;
    }
    told_runs_are_there(universe, &runs);
    nothing_is_left_of_what_was_purged(universe, &runs);
    no_lease_is_left(universe);
    let is_note = |name: &&String| name.starts_with("purged/") || name.starts_with("ended_early/");
    let note = universe.lock().store.docs.keys().find(is_note).cloned();
    expect(universe, note.is_none(), || format!("{note:?} was never looked at"));
}

/// Every run there is.
pub fn runs(universe: &Universe) -> Vec<Run> {
    let state = universe.lock();
    let is_run = |name: &&String| name.split('/').nth(2) == Some("jobs") && name.matches('/').count() == 3;
    let names: Vec<_> = state.store.docs.keys().filter(is_run).cloned().collect();
    drop(state);
    names.iter().filter_map(|name| document(universe, name)).collect()
}

/// True if a run has not ended.
pub fn unfinished(universe: &Universe) -> bool {
    let state = universe.lock();
    state.store.docs.iter().any(|(name, doc)| {
        let is_run = name.split('/').nth(2) == Some("jobs") && name.matches('/').count() == 3;
        is_run && !matches!(doc.body.get("status").and_then(Value::as_str), Some("completed" | "failed" | "cancelled"))
    })
}

fn document<T: serde::de::DeserializeOwned>(universe: &Universe, name: &str) -> Option<T> {
    let body = universe.lock().store.docs.get(name)?.body.clone();
    match serde_json::from_value(Value::Object((*body).clone())) {
        Ok(value) => Some(value),
        Err(error) => {
            violated(universe, format!("{name} cannot be read: {error}"));
            None
        }
    }
}

fn violated(universe: &Universe, what: String) {
    let mut state = universe.lock();
    let now = state.now;
    state.watch.violated(now, what);
}

fn expect(universe: &Universe, holds: bool, what: impl FnOnce() -> String) {
    if !holds {
        violated(universe, what());
    }
}

async fn judge_run(universe: &Universe, run: &Run) {
    let id = &run.job_id;
    let name = run.name.as_deref().unwrap_or_default();
    let label = name.strip_suffix(", again").unwrap_or(name);
    let orders = &universe.scenario.orders;
    let Some(order) = orders.iter().find(|order| order.uid == run.uid.as_str() && order.label == label) else { return };
    expect(universe, run.status.is_final(), || format!("{id} has not ended"));
    let input = sent(run, order);
    let unprocessable =
        run.error.as_ref().is_some_and(|error| matches!(error.code.as_str(), "unprocessable" | "unreadable_library"));
    if order.way != Way::Single && !unprocessable {
        let told = run.items + run.rejected;
        expect(universe, told == input, || format!("{id} accounts for {told} of {input} rows"));
    }
    ended_rightly(universe, run);
    judge_rows(universe, run, order).await;
    judge_shards(universe, run);
    judge_results(universe, run);
}

/// How many rows the run was asked for: the order's, or those of it that failed.
fn sent(run: &Run, order: &Order) -> u32 {
    if run.retry_of.is_some() { run.items } else { order.rows.len() as u32 }
}

/// Nothing is given up but what could not be delivered: a run twice, an upload once.
fn ended_rightly(universe: &Universe, run: &Run) {
    let Some(error) = &run.error else { return };
    let state = universe.lock();
    let watch = &state.watch;
    let given_up = |about: &str| watch.given_up.get(about).copied().unwrap_or_default();
    let holds = match (error.code.as_str(), &run.source) {
        ("unprocessable", Source::Upload(name)) if run.items == 0 => {
            given_up(name.rsplit_once('/').map_or("", |(folder, _)| folder)) > 0
        }
        ("unprocessable", _) => given_up(places::job(&run.uid, &run.job_id).as_str()) > 1,
        ("unreadable_library", _) => run.name.as_ref().is_some_and(|label| watch.vanished.contains(label)),
        ("no_results" | "no_valid_ligand", _) => true,
        ("over_budget", _) => run.stopped.is_some() && run.max_cost_usd.is_some(),
        _ => false,
    };
    drop(state);
    expect(universe, holds, || format!("{} ended with {error:?}", run.job_id));
}

/// The objects of the results that the document names are all there, and the user was told of the end, once.
fn judge_results(universe: &Universe, run: &Run) {
    let id = &run.job_id;
    if let Some(token) = run.results {
        let files = ["ranked.ndjson", "orders.idx", "layout.json", "results.csv", "batch_results.json"];
        for file in files {
            let path = format!("{}/{}{file}", places::ARTIFACTS, places::final_results(&run.uid, id, token).as_str());
            let there = universe.lock().store.objects.contains_key(&path);
            expect(universe, there, || format!("{path} is not there"));
        }
    }
    let told = universe.lock().watch.told_of_end.contains(id.as_str());
    let ended = matches!(run.status, Status::Completed | Status::Failed);
    expect(universe, told == ended, || format!("{id} is {:?}, told of: {told}", run.status));
}

/// The rows that users read, the rejected ones and the cancelled ones are the input, each once.
async fn judge_rows(universe: &Universe, run: &Run, order: &Order) {
    let id = &run.job_id;
    let single = run.job_type == JobType::Individual;
    let path =
        if single { format!("/api/v1/jobs/{id}/results") } else { format!("/api/v1/batches/{id}/results?limit=500") };
    let answer = ask(universe, "get-results", true, order.uid, (Method::GET, &path, None, None)).await;
    let ended = run.results.is_some();
    let rows = match answer {
        Some((StatusCode::OK, Value::Object(page))) if single => vec![Value::Object(page)],
        Some((StatusCode::OK, page)) => page["results"].as_array().cloned().unwrap_or_default(),
        Some((StatusCode::NOT_FOUND, _)) if single && !ended => vec![],
        answer => return violated(universe, format!("{id}: its results were answered with {answer:?}")),
    };
    let mut seen = BTreeMap::<u64, u32>::new();
    for row in &rows {
        *seen.entry(row["row"].as_u64().unwrap_or_default()).or_default() += 1;
    }
    outcomes::judge(universe, run, &rows);
    let of = |status: &str| rows.iter().filter(|row| row["status"] == status).count() as u32;
    let (completed, failed) = (of("completed"), of("failed"));
    for row in rejected(universe, run) {
        *seen.entry(row.row).or_default() += 1;
    }
    let twice: Vec<_> = seen.iter().filter(|(_, times)| **times != 1).collect();
    expect(universe, twice.is_empty(), || format!("{id}: rows that are told of more than once: {twice:?}"));
    let strange: Vec<_> = seen.keys().filter(|row| **row == 0 || **row > order.rows.len() as u64).collect();
    expect(universe, strange.is_empty(), || format!("{id}: rows that nobody sent: {strange:?}"));
    let progress = (run.progress.completed, run.progress.failed);
    let counted = progress.0 + progress.1 + run.progress.cancelled;
    expect(universe, counted == run.items, || format!("{id}: {counted} of {} items are counted", run.items));
    if ended {
        let sent = sent(run, order);
        expect(universe, seen.len() == sent as usize, || {
            format!("{id}: {} of {sent} rows are accounted for", seen.len())
        });
        let cached = rows.iter().filter(|row| row["cached"] == true).count() as u32;
        expect(universe, cached == run.cached, || {
            format!("{id}: {cached} rows are taken over, the document tells of {}", run.cached)
        });
        let summary = run.summary.as_ref().map(|summary| (summary.completed_jobs, summary.failed_jobs));
        expect(universe, summary == Some((completed, failed)), || {
            format!("{id}: the document tells {summary:?}, the rows {completed} completed and {failed} failed")
        });
    }
    // Of a run that was given up, what nobody ran counts as failed and has no row.
    let told = if ended || run.status == Status::Cancelled { progress } else { (progress.0, failed) };
    expect(universe, told == (completed, failed), || {
        format!("{id}: the progress tells {progress:?}, the rows {completed} completed and {failed} failed")
    });
}

fn rejected(universe: &Universe, run: &Run) -> Vec<Rejected> {
    let Ok(path) = places::rejected(&run.uid, &run.job_id) else { return vec![] };
    let content = universe.lock().store.objects.get(&path.to_string()).map(|(_, content)| content.clone());
    let text = String::from_utf8(content.unwrap_or_default().to_vec()).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Every shard of a run with results is done, and what any run cost is what its attempts reported.
fn judge_shards(universe: &Universe, run: &Run) {
    let id = &run.job_id;
    let shards = run.plan.as_ref().filter(|plan| plan.ready).map_or(0, Plan::all_shards);
    let mut seconds = 0.0;
    for shard in 0..shards {
        let path = places::shard(&run.uid, id, shard);
        let Some(shard) = document::<Shard>(universe, path.as_str()) else {
            violated(universe, format!("{path} is not there"));
            continue;
        };
        expect(universe, shard.done || run.results.is_none(), || format!("{path} is not done, but its run is"));
        let (spent, missing) = {
            let state = universe.lock();
            let last = reported(&state, path.as_str(), shard.attempt.into(), i64::MAX);
            let files = last.iter().flat_map(|report| &report.outcomes).flat_map(|outcome| outcome.files.values());
            let own = places::run_prefix(&run.uid, id);
            let there = |file: &String| {
                file.starts_with(&own) && state.store.objects.contains_key(&format!("{}/{file}", places::ARTIFACTS))
            };
            let missing: Vec<_> = files.filter(|file| !there(file)).cloned().collect();
            (state.watch.spent(path.as_str()) + last.map_or(0.0, |report| report.gpu_seconds), missing)
        };
        expect(universe, missing.is_empty(), || format!("{path}: files of its results are not there: {missing:?}"));
        expect(universe, (shard.gpu_seconds - spent).abs() < 1e-6, || {
            format!("{path}: {spent} s were reported, {} s are accounted", shard.gpu_seconds)
        });
        seconds += shard.gpu_seconds;
    }
    let cost = &run.cost;
    expect(universe, (cost.gpu_seconds - seconds).abs() < 1e-6, || {
        format!("{id}: its shards took {seconds} s, the run accounts for {} s", cost.gpu_seconds)
    });
    let usd = Price::L4_US_CENTRAL1.of(cost.gpu_seconds);
    expect(universe, (cost.actual_usd - usd).abs() < 1e-9, || format!("{id} costs {usd}, not {}", cost.actual_usd));
}

/// A run that somebody was told of is there until they purge it.
fn told_runs_are_there(universe: &Universe, runs: &[Run]) {
    let (told, gone) = {
        let state = universe.lock();
        (state.watch.told.clone(), state.watch.gone.clone())
    };
    for (id, (uid, label)) in told {
        let there = runs.iter().any(|run| run.job_id.as_str() == id && run.uid.as_str() == uid);
        expect(universe, there || gone.contains(&id), || {
            format!("{label:?} of {uid} should be {id}, which is not there")
        });
    }
}

fn nothing_is_left_of_what_was_purged(universe: &Universe, runs: &[Run]) {
    let state = universe.lock();
    let mut left = vec![];
    for id in &state.watch.gone {
        if runs.iter().any(|run| run.job_id.as_str() == id) {
            left.push(format!("{id} was purged and is there"));
        }
        let names = state.store.docs.keys().chain(state.store.objects.keys());
        let its = names.filter(|name| name.split('/').any(|part| part == id));
        left.extend(its.map(|name| format!("{id} was purged; {name} is left")));
    }
    drop(state);
    left.into_iter().for_each(|what| violated(universe, what));
}

fn no_lease_is_left(universe: &Universe) {
    let pool = document::<Pool>(universe, places::pool().as_str()).unwrap_or_default();
    expect(universe, pool.leases.is_empty(), || format!("slots are still held: {:?}", pool.leases));
}
