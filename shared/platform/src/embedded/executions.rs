//! Executions as rows. Starting one only writes it down; whoever plays Cloud Run ([`Store::unfinished`] and what
//! follows it) runs the tasks and writes down how they ended.

use super::{Change, Event, Store, feed};
use crate::{Error, Execution, ExecutionState, Message, Result, StartRequest, executions::ExecutionsCore};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};

/// An execution that was started and has not ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Started {
    pub name: String,
    pub job: String,
    pub env: BTreeMap<String, String>,
    pub timeout: Duration,
    /// True once somebody asked to stop it.
    pub cancelled: bool,
    pub tasks: Vec<TaskRow>,
}

/// One task of an execution.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskRow {
    pub index: u32,
    /// Attempts that have begun.
    pub attempts: u32,
    /// `None` while it is to run or runs; then whether it succeeded.
    pub succeeded: Option<bool>,
}

#[derive(Serialize, Deserialize)]
struct Request {
    job: String,
    env: BTreeMap<String, String>,
    tasks: u32,
    timeout_seconds: u64,
}

#[async_trait]
impl ExecutionsCore for Store {
    async fn start(&self, request: StartRequest) -> Result<String> {
        if !(1..=10_000).contains(&request.tasks) {
            return Err(Error::Invalid(format!("an execution of {} tasks; 1 to 10,000 fit", request.tasks)));
        }
        let now = self.0.clock.now();
        let name = self
            .transaction(move |transaction| {
                let sql = "SELECT name FROM executions WHERE claim = ?1";
                let known = transaction.query_row(sql, [&request.claim], |row| row.get(0)).optional()?;
                if let Some(name) = known {
                    return Ok(name);
                }
                let name = format!("{}-{}", request.job, Store::next_version(transaction)?);
                let StartRequest { job, env, tasks, timeout, claim } = request;
                let text = serde_json::to_string(&Request { job, env, tasks, timeout_seconds: timeout.as_secs() })?;
                let sql = "INSERT INTO executions (name, claim, request, state, created_at)
                           VALUES (?1, ?2, ?3, 'running', ?4)";
                transaction.execute(sql, params![name, claim, text, now.to_rfc3339()])?;
                for index in 0..tasks {
                    let sql = "INSERT INTO tasks (execution, idx, attempt, state) VALUES (?1, ?2, 0, 'running')";
                    transaction.prepare_cached(sql)?.execute(params![name, index])?;
                }
                Ok(name)
            })
            .await?;
        self.0.changed.notify_one();
        Ok(name)
    }

    async fn describe(&self, name: &str) -> Result<Option<Execution>> {
        let name = name.to_owned();
        self.read(move |connection| describe(connection, &name)).await
    }

    async fn cancel(&self, name: &str) -> Result<()> {
        let name = name.to_owned();
        self.transaction(move |transaction| {
            let sql = "UPDATE executions SET state = 'cancelling' WHERE name = ?1 AND state = 'running'";
            transaction.execute(sql, [name])?;
            Ok(())
        })
        .await?;
        self.0.changed.notify_one();
        Ok(())
    }
}

impl Store {
    /// Every execution that has not ended, with its tasks.
    pub async fn unfinished(&self) -> Result<Vec<Started>> {
        self.read(|connection| {
            let sql =
                "SELECT name, request, state FROM executions WHERE state IN ('running', 'cancelling') ORDER BY name";
            let mut statement = connection.prepare_cached(sql)?;
            let rows = statement.query_map([], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?))
            })?;
            rows.map(|row| {
                let (name, request, state) = row?;
                let request: Request = serde_json::from_str(&request)?;
                let tasks = tasks(connection, &name)?;
                let timeout = Duration::from_secs(request.timeout_seconds);
                Ok(Started { name, job: request.job, env: request.env, timeout, cancelled: state != "running", tasks })
            })
            .collect()
        })
        .await
    }

    /// Notes that an attempt of a task begins; how many have begun.
    pub async fn task_begins(&self, execution: &str, index: u32) -> Result<u32> {
        let execution = execution.to_owned();
        self.transaction(move |transaction| {
            let sql = "UPDATE tasks SET attempt = attempt + 1 WHERE execution = ?1 AND idx = ?2 RETURNING attempt";
            Ok(transaction.query_row(sql, params![execution, index], |row| row.get(0))?)
        })
        .await
    }

    /// Notes how a task ended for good.
    pub async fn task_ends(&self, execution: &str, index: u32, succeeded: bool) -> Result<()> {
        let execution = execution.to_owned();
        let state = if succeeded { "succeeded" } else { "failed" };
        self.transaction(move |transaction| {
            let sql = "UPDATE tasks SET state = ?3 WHERE execution = ?1 AND idx = ?2";
            transaction.execute(sql, params![execution, index, state])?;
            Ok(())
        })
        .await
    }

    /// Closes an execution and publishes `notice`, in one transaction; nothing if it is closed already.
    pub async fn execution_ends(&self, name: &str, state: ExecutionState, topic: &str, notice: Message) -> Result<()> {
        let (name, now) = (name.to_owned(), self.0.clock.now());
        let change = Change { at: now, event: Event::message(topic, &notice) };
        let state = match state {
            ExecutionState::Running => return Err(Error::Invalid("an execution does not end running".into())),
            ExecutionState::Succeeded => "succeeded",
            ExecutionState::Failed => "failed",
            ExecutionState::Cancelled => "cancelled",
        };
        self.transaction(move |transaction| {
            let sql = "UPDATE executions SET state = ?2, completed_at = ?3
                       WHERE name = ?1 AND state IN ('running', 'cancelling')";
            if transaction.execute(sql, params![name, state, now.to_rfc3339()])? == 1 {
                feed::append(transaction, &change)?;
            }
            Ok(())
        })
        .await?;
        self.0.changed.notify_one();
        Ok(())
    }
}

fn tasks(connection: &Connection, execution: &str) -> Result<Vec<TaskRow>> {
    let sql = "SELECT idx, attempt, state FROM tasks WHERE execution = ?1 ORDER BY idx";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map([execution], |row| {
        let state: String = row.get(2)?;
        let succeeded = (state != "running").then_some(state == "succeeded");
        Ok(TaskRow { index: row.get(0)?, attempts: row.get(1)?, succeeded })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn describe(connection: &Connection, name: &str) -> Result<Option<Execution>> {
    let sql = "SELECT state, completed_at FROM executions WHERE name = ?1";
    let row: Option<(String, Option<String>)> =
        connection.query_row(sql, [name], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let Some((state, completed_at)) = row else { return Ok(None) };
    let state = match state.as_str() {
        "succeeded" => ExecutionState::Succeeded,
        "failed" => ExecutionState::Failed,
        "cancelled" => ExecutionState::Cancelled,
        _ => ExecutionState::Running,
    };
    let tasks = tasks(connection, name)?;
    let ended = |well| tasks.iter().filter(|task| task.succeeded == Some(well)).count() as u32;
    let completed_at = completed_at.and_then(|time| time.parse::<DateTime<Utc>>().ok());
    Ok(Some(Execution { name: name.to_owned(), state, succeeded: ended(true), failed: ended(false), completed_at }))
}
