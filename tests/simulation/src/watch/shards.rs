//! What must hold of a shard whenever it is written.

use super::{float, number, violated};
use crate::{
    stranger,
    universe::{Pid, State},
};
use domain::Report;
use platform::docs::Body;
use serde_json::Value;

/// Counters only rise, within an attempt and over all; what is done stays done.
pub(super) fn moves_on(state: &mut State, pid: Pid, path: &str, before: &Body, after: &Body) {
    let pair = |name: &str| (number(before, name), number(after, name));
    let done = |body: &Body| body.get("done") == Some(&Value::Bool(true));
    let mut wrong = vec![];
    if done(before) && before != after {
        wrong.push("what was done changed".to_owned());
    }
    for name in ["launch", "attempt"] {
        let (from, to) = pair(name);
        if to < from {
            wrong.push(format!("its {name} went from {from} to {to}"));
        }
    }
    let same_attempt = number(before, "attempt") == number(after, "attempt");
    let still = |name: &str| before.get(name) == after.get(name);
    if same_attempt && ["seq", "state", "launch"].into_iter().all(still) {
        wrong.push("it was written although there was no news".to_owned());
    }
    if !same_attempt && still("launch") && !takes_over(before, after) {
        wrong.push("a second worker took it".to_owned());
    }
    if same_attempt {
        for name in ["seq", "completed"] {
            let (from, to) = pair(name);
            if to < from {
                wrong.push(format!("its {name} went from {from} to {to}"));
            }
        }
        if float(after, "gpu_seconds") < float(before, "gpu_seconds") {
            wrong.push("its cost sank".to_owned());
        }
    } else {
        let last = reported(state, path, number(before, "attempt"), state.processes[pid].listed);
        let spent = state.watch.spent.entry(path.to_owned()).or_default();
        *spent += last.map_or(0.0, |report| report.gpu_seconds);
        let (spent, told) = (*spent, float(after, "gpu_seconds"));
        if (spent - told).abs() > 1e-6 {
            wrong.push(format!("its attempts reported {spent} s, of which {told} s are accounted"));
        }
    }
    if number(after, "completed") + number(after, "failed") > number(after, "items") {
        wrong.push("more items ended than there are".to_owned());
    }
    for what in wrong {
        violated(state, format!("{path}: {what}"));
    }
}

/// True where the shard was held by nobody, or is taken by a later try of the task that held it.
fn takes_over(before: &Body, after: &Body) -> bool {
    let (Some(Value::Object(from)), Some(Value::Object(to))) = (before.get("worker"), after.get("worker")) else {
        return true;
    };
    let same_task = from.get("execution") == to.get("execution") && from.get("task") == to.get("task");
    same_task && number(from, "task_attempt") < number(to, "task_attempt")
}

/// The newest report of an attempt that belongs where it lies, among those written before `until`.
pub fn reported(state: &State, shard: &str, attempt: u64, until: i64) -> Option<Report> {
    let [_, uid, _, job, _, shard] = shard.split('/').collect::<Vec<_>>().try_into().ok()?;
    let prefix = format!("reports/{uid}/{job}/{shard}/{attempt:04}/");
    let inside = state.store.objects.range(prefix.clone()..).take_while(|(name, _)| name.starts_with(&prefix));
    let known = inside.filter(|(_, (meta, _))| meta.generation <= until);
    let reports = known.filter_map(|(_, (_, content))| serde_json::from_slice::<Report>(content).ok());
    let belongs = |report: &Report| {
        report.uid.as_str() == uid
            && report.job_id.as_str() == job
            && format!("{:05}", report.shard) == shard
            && u64::from(report.attempt) == attempt
            && report.seq < stranger::FROM
    };
    reports.filter(belongs).last()
}
