//! What must hold at every write: who may write where, that nothing goes backwards, that GPUs are never promised twice.

use crate::{
    scenario::{Order, Scenario, Way},
    universe::{Pid, State, beginning},
};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use domain::{JobId, Report};
use platform::{BlobPath, DocPath, docs::Body};
use predict_worker::Task;
use serde_json::Value;
use service::places;
use std::collections::{BTreeMap, BTreeSet};

/// Violations that are kept; more say nothing new.
const KEPT: usize = 20;
/// In a calm world, the tasks of a cancelled run end within so many seconds: a waking and the grace.
const STOPPED_WITHIN: i64 = 25;

/// What was seen so far.
pub struct Watch {
    pub violations: Vec<String>,
    /// Times that a timer has fired.
    pub ticks: u32,
    /// Runs that a user was told of, by id: whose, and under which label.
    pub told: BTreeMap<String, (&'static str, String)>,
    /// Runs of which a user was told that they are gone.
    pub gone: BTreeSet<String>,
    /// Runs made, by user and label.
    made: BTreeMap<(String, String), BTreeSet<String>>,
    orders: Vec<Order>,
    capacity: u64,
    running: BTreeMap<Pid, Work>,
    /// Seconds of earlier attempts, by shard, as the reports tell them.
    spent: BTreeMap<String, f64>,
    cancelled_at: BTreeMap<String, DateTime<Utc>>,
    /// Runs of whose end the user was told.
    pub told_of_end: BTreeSet<String>,
    /// Deliveries of reports that are under way, by run.
    reporting: BTreeMap<String, u32>,
    /// Runs of which a report never arrived.
    unheard: BTreeSet<String>,
    over: bool,
}

/// What a running task works on.
struct Work {
    uid: String,
    job: String,
    shard: String,
    launch: u64,
}

impl Watch {
    pub fn new(scenario: &Scenario) -> Self {
        Watch {
            violations: vec![],
            ticks: 0,
            told: BTreeMap::new(),
            gone: BTreeSet::new(),
            made: BTreeMap::new(),
            orders: scenario.orders.clone(),
            capacity: scenario.settings.gpu_capacity.into(),
            running: BTreeMap::new(),
            spent: BTreeMap::new(),
            cancelled_at: BTreeMap::new(),
            told_of_end: BTreeSet::new(),
            reporting: BTreeMap::new(),
            unheard: BTreeSet::new(),
            over: false,
        }
    }

    /// Notes that something happened that must not.
    pub fn violated(&mut self, now: DateTime<Utc>, what: String) {
        if self.violations.len() < KEPT {
            let seconds = (now - beginning()).num_seconds();
            self.violations.push(format!("after {seconds} s: {what}"));
        }
    }

    /// A user was told that the order is this run.
    pub fn acknowledged(&mut self, order: &Order, id: &JobId) {
        self.told.insert(id.to_string(), (order.uid, order.label.clone()));
    }

    /// A user was told that the run is gone.
    pub fn purged(&mut self, id: &JobId) {
        self.gone.insert(id.to_string());
    }

    /// Nothing more is waited for.
    pub fn end(&mut self) {
        self.over = true;
    }

    pub fn over(&self) -> bool {
        self.over
    }

    /// Seconds of the earlier attempts at a shard.
    pub fn spent(&self, shard: &str) -> f64 {
        self.spent.get(shard).copied().unwrap_or_default()
    }

    fn order(&self, uid: &str, label: &str) -> Option<&Order> {
        self.orders.iter().find(|order| order.uid == uid && order.label == label)
    }
}

/// A task begins to work.
pub fn task_begins(state: &mut State, pid: Pid, task: &Task) {
    let work = Work {
        uid: task.uid.to_string(),
        job: task.job_id.to_string(),
        shard: format!("{:05}", task.shard),
        launch: task.launch.into(),
    };
    state.watch.running.insert(pid, work);
    tasks_fit(state);
}

/// The attempt of a task is over, as far as Cloud Run knows. In a calm world, those of a cancelled run end soon.
pub fn task_ended(state: &mut State, pid: Pid) {
    let Some(work) = state.watch.running.remove(&pid) else { return };
    let Some(cancelled) = state.watch.cancelled_at.get(&work.job) else { return };
    let seconds = (state.now - *cancelled).num_seconds();
    if state.faults.calm() && seconds > STOPPED_WITHIN {
        violated(state, format!("a task of {} went on for {seconds} s after it was cancelled", work.job));
    }
}

/// A report is on its way.
pub fn report_sent(state: &mut State, run: &str) {
    *state.watch.reporting.entry(run.to_owned()).or_default() += 1;
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
    let shards = doc.body.get("plan").and_then(|plan| plan.get("shards")?.as_u64()).unwrap_or_default();
    let prefix = format!("{run}/shards/");
    let inside = state.store.docs.range(prefix.clone()..).take_while(|(name, _)| name.starts_with(&prefix));
    let done = inside.filter(|(_, shard)| shard.body.get("done") == Some(&Value::Bool(true))).count() as u64;
    if open && done == shards {
        violated(state, format!("every report of {run} was heard, and it has not moved on"));
    }
}

/// A document was created, changed or deleted.
pub fn document_written(state: &mut State, pid: Pid, path: &DocPath, before: Option<&Body>, after: Option<&Body>) {
    let segments = path.segments();
    match segments.as_slice() {
        ["users", uid, ..] => owns(state, pid, uid, path.as_str()),
        ["pools", _] => pool_fits(state, after),
        _ => {}
    }
    match segments.as_slice() {
        ["users", _, "notices", id] => notice_written(state, id, before, after),
        ["users", uid, "jobs", id] => run_written(state, uid, id, before, after),
        ["users", _, "jobs", _, "shards", _] => {
            if let (Some(before), Some(after)) = (before, after) {
                shard_moves_on(state, pid, path.as_str(), before, after);
            }
            tasks_fit(state);
        }
        _ => {}
    }
}

/// An object is being written.
pub fn object_written(state: &mut State, pid: Pid, path: &BlobPath, content: &Bytes) {
    object_removed(state, pid, path);
    let key = path.to_string();
    let segments: Vec<_> = path.name().split('/').collect();
    let known = state.store.objects.get(&key).map(|(_, known)| known);
    if path.bucket() == places::REPORTS && known.is_some_and(|known| known != content) {
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

/// A process that works for one user touches nothing of another one.
fn owns(state: &mut State, pid: Pid, uid: &str, what: &str) {
    let process = &state.processes[pid];
    if process.tenant.as_deref().is_some_and(|tenant| tenant != uid) {
        let name = process.name;
        violated(state, format!("{name} works for {:?} and touched {what}", state.processes[pid].tenant));
    }
}

fn violated(state: &mut State, what: String) {
    let now = state.now;
    state.remark("VIOLATION", &what);
    state.watch.violated(now, what);
}

fn text<'a>(body: &'a Body, name: &str) -> &'a str {
    body.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn number(body: &Body, name: &str) -> u64 {
    body.get(name).and_then(Value::as_u64).unwrap_or_default()
}

fn float(body: &Body, name: &str) -> f64 {
    body.get(name).and_then(Value::as_f64).unwrap_or_default()
}

/// No status goes back, and nothing leaves a final one.
fn run_written(state: &mut State, uid: &str, id: &str, before: Option<&Body>, after: Option<&Body>) {
    let rank = |body: &Body| match text(body, "status") {
        "queued" => 0,
        "running" => 1,
        "aggregating" => 2,
        _ => 3,
    };
    match (before, after) {
        (None, Some(after)) => run_made(state, uid, id, text(after, "name")),
        (Some(before), Some(after)) => {
            let (from, to) = (text(before, "status"), text(after, "status"));
            if rank(after) < rank(before) || (rank(before) == 3 && from != to) {
                violated(state, format!("the run {id} went from {from} to {to}"));
            }
            if rank(before) == 3
                && (before.get("summary"), before.get("error")) != (after.get("summary"), after.get("error"))
            {
                violated(state, format!("the results of the ended run {id} changed"));
            }
            if to == "cancelled" && from != to {
                state.watch.cancelled_at.insert(id.to_owned(), state.now);
            }
        }
        _ => {}
    }
}

/// A notice is written once, and one run ends once.
fn notice_written(state: &mut State, id: &str, before: Option<&Body>, after: Option<&Body>) {
    if before.is_some() {
        return violated(state, format!("the notice {id} was changed"));
    }
    let Some((run, event)) = id.split_once('.').filter(|_| after.is_some()) else { return };
    let end = event.ends_with("completed") || event.ends_with("failed");
    if end && !state.watch.told_of_end.insert(run.to_owned()) {
        violated(state, format!("the user was told twice that {run} has ended"));
    }
}

/// An order with a key, or a library, is one run.
fn run_made(state: &mut State, uid: &str, id: &str, label: &str) {
    let Some(order) = state.watch.order(uid, label) else {
        return violated(state, format!("nobody asked for the run {id} {label:?} of {uid}"));
    };
    let once = order.keyed || order.way == Way::Upload;
    let made = state.watch.made.entry((uid.to_owned(), label.to_owned())).or_default();
    made.insert(id.to_owned());
    if once && made.len() > 1 {
        violated(state, format!("{label:?} became two runs"));
    }
}

/// Counters only rise, within an attempt and over all; what is done stays done.
fn shard_moves_on(state: &mut State, pid: Pid, path: &str, before: &Body, after: &Body) {
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
    };
    reports.filter(belongs).last()
}

/// No more slots are held than there are GPUs.
fn pool_fits(state: &mut State, after: Option<&Body>) {
    let leases = after.and_then(|pool| pool.get("leases")?.as_array());
    let held = |lease: &Value| lease.get("held").and_then(Value::as_array).map_or(0, Vec::len) as u64;
    let held: u64 = leases.into_iter().flatten().map(held).sum();
    if held > state.watch.capacity {
        violated(state, format!("{held} slots of {} are held", state.watch.capacity));
    }
}

/// No more tasks work on shards that are theirs than there are GPUs.
fn tasks_fit(state: &mut State) {
    let holds = |work: &Work| {
        let run = format!("users/{}/jobs/{}", work.uid, work.job);
        let shard = state.store.docs.get(&format!("{run}/shards/{}", work.shard));
        let run = state.store.docs.get(&run);
        let open = run.is_some_and(|run| matches!(text(&run.body, "status"), "queued" | "running"));
        let current = shard.is_some_and(|shard| {
            let handed_out = matches!(text(&shard.body, "state"), "launched" | "running");
            handed_out && number(&shard.body, "launch") == work.launch
        });
        open && current
    };
    let at_work = state.watch.running.values().filter(|work| holds(work)).count() as u64;
    if at_work > state.watch.capacity {
        violated(state, format!("{at_work} tasks are at work on {} GPUs", state.watch.capacity));
    }
}
