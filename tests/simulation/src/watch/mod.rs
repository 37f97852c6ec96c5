//! What must hold at every write: who may write where, that nothing goes backwards, that GPUs are never promised twice.

mod races;
mod reports;
mod roles;
mod shards;

pub use races::{Race, Races};
pub use reports::{given_up, object_copied, object_removed, object_written, report_heard, report_lost, report_sent};
pub use roles::called;
pub use shards::reported;

use crate::{
    scenario::{Order, Scenario, Way},
    universe::{Pid, State, beginning},
};
use chrono::{DateTime, Utc};
use domain::JobId;
use platform::{DocPath, docs::Body};
use predict_worker::Task;
use serde_json::Value;
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
    /// How often things met.
    pub races: Races,
    /// Runs that are gone.
    removed: BTreeSet<String>,
    /// Until when a turn lasted that was given back last.
    given_back: String,
    /// Runs that have not ended, by the path of their document.
    pub unfinished: BTreeMap<String, Still>,
    /// Deliveries that were given up, by the document, or by the folder of uploads, that they were of.
    pub given_up: BTreeMap<String, u32>,
    /// Uploads that were gone before they were read, by the label of their order.
    pub vanished: BTreeSet<String>,
}

/// A run that stands still.
pub struct Still {
    pub since: DateTime<Utc>,
    /// True while a free GPU is all it may lack.
    pub waits_for_gpu: bool,
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
            races: Races::default(),
            removed: BTreeSet::new(),
            given_back: String::new(),
            unfinished: BTreeMap::new(),
            given_up: BTreeMap::new(),
            vanished: BTreeSet::new(),
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

    /// Whose wish a run of this name is, the first time or again.
    fn order(&self, uid: &str, label: &str) -> Option<&Order> {
        let label = label.strip_suffix(", again").unwrap_or(label);
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

/// A document was created, changed or deleted.
pub fn document_written(state: &mut State, pid: Pid, path: &DocPath, before: Option<&Body>, after: Option<&Body>) {
    let segments = path.segments();
    match segments.as_slice() {
        ["users", uid, ..] => owns(state, pid, uid, path.as_str()),
        ["pools", _] => {
            races::of_pool(state, before, after);
            pool_fits(state, after);
        }
        _ => {}
    }
    match segments.as_slice() {
        ["users", _, "notices", id] => notice_written(state, id, before, after),
        ["users", uid, "jobs", id] => {
            races::of_run(state, id, before, after);
            moves(state, path, before, after);
            run_written(state, uid, id, before, after);
        }
        ["users", _, "jobs", _, "shards", _] => {
            if let (Some(before), Some(after)) = (before, after) {
                races::of_shard(state, before, after);
                shards::moves_on(state, pid, path.as_str(), before, after);
            }
            tasks_fit(state);
        }
        _ => {}
    }
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

/// Notes when the run moved last, until it has ended.
fn moves(state: &mut State, path: &DocPath, before: Option<&Body>, after: Option<&Body>) {
    let status = |body: Option<&Body>| body.map(|body| text(body, "status").to_owned());
    let (from, to) = (status(before), status(after));
    match to.as_deref() {
        None | Some("completed" | "failed" | "cancelled") => _ = state.watch.unfinished.remove(path.as_str()),
        Some(status) => {
            let waits_for_gpu =
                status == "running" || after.is_some_and(|run| run.get("dispatchable") == Some(&true.into()));
            let still = state.watch.unfinished.entry(path.to_string());
            let still = still.or_insert(Still { since: state.now, waits_for_gpu });
            still.waits_for_gpu = waits_for_gpu;
            if from != to {
                still.since = state.now;
            }
        }
    }
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
