//! What a function's roles let it do on Google Cloud, where a call beyond them is refused: its row in the table of
//! functions says which roles it has.

use super::{owns, violated};
use crate::universe::{Pid, State};
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

#[derive(Deserialize)]
struct Table {
    functions: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    name: String,
    roles: BTreeSet<String>,
}

static ROLES: LazyLock<BTreeMap<String, BTreeSet<String>>> = LazyLock::new(|| {
    let table = serde_json::from_str::<Table>(include_str!("../../../../infra/functions.json"));
    table.map_or_else(
        |_| BTreeMap::new(),
        |table| table.functions.into_iter().map(|row| (row.name, row.roles)).collect(),
    )
});

/// A process calls a port. Who is no function of the table may do anything; who works for one user reads nothing of
/// another one.
pub fn called(state: &mut State, pid: Pid, what: &'static str, about: &str) {
    if let Some(uid) = reads_of(what, about) {
        owns(state, pid, uid, about);
    }
    let name = state.processes[pid].name;
    let Some(roles) = ROLES.get(name) else { return };
    if !roles.iter().any(|role| lets(role, what, about)) {
        violated(state, format!("{name} has no role for it and did {what} {about}"));
    }
}

/// Whose data a call reads, where that is one user's.
fn reads_of<'a>(what: &str, about: &'a str) -> Option<&'a str> {
    match what {
        "get" | "query" | "aggregate" => about.strip_prefix("users/")?.split('/').next(),
        "read" | "head" | "list" => about.split('/').nth(1),
        _ => None,
    }
}

/// Whether the role is enough for the call.
fn lets(role: &str, what: &str, about: &str) -> bool {
    let bucket = about.split('/').next().unwrap_or_default();
    let on = |place: &str, access: &[&str]| {
        role.split_once('.').is_some_and(|(of, allowed)| of == place && access.contains(&allowed))
    };
    match what {
        "get" | "query" | "aggregate" => on("docs", &["read", "write"]),
        "commit" => on("docs", &["write"]),
        "read" | "head" | "list" => on(bucket, &["read", "write"]),
        "publish" => role.strip_prefix("publish:") == Some(about),
        "describe" => on("executions", &["read", "run"]),
        "start" | "cancel" => on("executions", &["run"]),
        _ => on(bucket, &["write"]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_read_and_knows_what_a_function_may() {
        let may = |name: &str, what: &str, about: &str| ROLES[name].iter().any(|role| lets(role, what, about));
        assert!(may("get-job", "get", "users/u1/jobs/job_1") && !may("get-job", "commit", "users/u1/jobs/job_1"));
        assert!(may("delete-batch", "delete", "uploads/u1/screen/library.csv"));
        assert!(may("dispatch-shards", "start", "claim") && !may("plan-run", "start", "claim"));
        assert!(may("plan-run", "publish", "dispatch") && !may("plan-run", "publish", "webhooks"));
    }
}
