//! What changed, and who is still to be told. A change is written in the transaction that made it; [`Store::route`]
//! turns changes into one delivery per subscriber; a delivery stays until it is acknowledged or declared dead.

use super::Store;
use crate::{
    Message, ObjectMeta, Result,
    docs::{Body, DocPath},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::{DateTime, Utc};
use rusqlite::{Transaction, params};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Something that happened, and when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    pub at: DateTime<Utc>,
    pub event: Event,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A document was created (`before` is absent), updated, or deleted (`after` is absent).
    Document { path: DocPath, before: Option<Body>, after: Option<Body> },
    /// An object was written.
    Object(ObjectMeta),
    /// A message was published; `data` is base64.
    Message { topic: String, data: String, attributes: BTreeMap<String, String> },
}

/// A change on its way to one subscriber.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub id: i64,
    pub subscriber: String,
    /// Attempts made so far.
    pub attempts: u32,
    pub change: Change,
    /// What the last attempt ended with; empty before the first.
    pub error: String,
}

pub(super) fn append(transaction: &Transaction<'_>, change: &Change) -> Result<()> {
    let sql = "INSERT INTO changes (change) VALUES (?1)";
    transaction.prepare_cached(sql)?.execute([serde_json::to_string(change)?])?;
    Ok(())
}

impl Event {
    /// A published message as an event.
    pub fn message(topic: &str, message: &Message) -> Self {
        let data = BASE64_STANDARD.encode(&message.data);
        Event::Message { topic: topic.to_owned(), data, attributes: message.attributes.clone() }
    }
}

impl Store {
    /// Waits until this process has written something.
    pub async fn changed(&self) {
        self.0.changed.notified().await;
    }

    /// Ends a wait for changes early.
    pub fn wake(&self) {
        self.0.changed.notify_one();
    }

    /// Gives every change that has not been routed to the subscribers that `subscribers` names for it; how many
    /// deliveries that made. Atomic: a change is routed once.
    pub async fn route<F>(&self, subscribers: F) -> Result<usize>
    where
        F: Fn(&Event) -> Vec<String> + Send + 'static,
    {
        self.transaction(move |transaction| {
            let changes: Vec<String> = {
                let mut statement = transaction.prepare_cached("SELECT change FROM changes ORDER BY seq")?;
                let rows = statement.query_map([], |row| row.get(0))?;
                rows.collect::<rusqlite::Result<_>>()?
            };
            let mut made = 0;
            for text in &changes {
                let change: Change = serde_json::from_str(text)?;
                for subscriber in subscribers(&change.event) {
                    let sql = "INSERT INTO deliveries (subscriber, change, attempts, not_before, dead)
                               VALUES (?1, ?2, 0, 0, 0)";
                    transaction.prepare_cached(sql)?.execute(params![subscriber, text])?;
                    made += 1;
                }
            }
            if !changes.is_empty() {
                transaction.execute("DELETE FROM changes", [])?;
            }
            Ok(made)
        })
        .await
    }

    /// Deliveries whose time has come, the longest waiting first, leaving out those named (they are under way).
    pub async fn due(&self, now: DateTime<Utc>, under_way: Vec<i64>, limit: usize) -> Result<Vec<Delivery>> {
        self.deliveries(false, now.timestamp_millis(), under_way, limit).await
    }

    /// Deliveries that were given up.
    pub async fn dead(&self, limit: usize) -> Result<Vec<Delivery>> {
        self.deliveries(true, i64::MAX, vec![], limit).await
    }

    async fn deliveries(&self, dead: bool, now: i64, leave_out: Vec<i64>, limit: usize) -> Result<Vec<Delivery>> {
        self.read(move |connection| {
            let sql = "SELECT id, subscriber, attempts, change, error FROM deliveries
                       WHERE dead = ?1 AND not_before <= ?2 ORDER BY not_before, id";
            let mut statement = connection.prepare_cached(sql)?;
            let mut rows = statement.query(params![dead, now])?;
            let mut found = vec![];
            while let Some(row) = rows.next()? {
                let id = row.get(0)?;
                if found.len() == limit {
                    break;
                }
                if !leave_out.contains(&id) {
                    let change = serde_json::from_str(&row.get::<_, String>(3)?)?;
                    let (subscriber, attempts, error) = (row.get(1)?, row.get(2)?, row.get(4)?);
                    found.push(Delivery { id, subscriber, attempts, change, error });
                }
            }
            Ok(found)
        })
        .await
    }

    /// The subscriber took it.
    pub async fn acknowledge(&self, id: i64) -> Result<()> {
        self.transaction(move |transaction| {
            transaction.prepare_cached("DELETE FROM deliveries WHERE id = ?1")?.execute([id])?;
            Ok(())
        })
        .await
    }

    /// The subscriber did not take it: again at `not_before`, or never if `dead`.
    pub async fn refuse(&self, id: i64, not_before: DateTime<Utc>, dead: bool, error: String) -> Result<()> {
        self.transaction(move |transaction| {
            let sql = "UPDATE deliveries SET attempts = attempts + 1, not_before = ?2, dead = ?3, error = ?4
                       WHERE id = ?1";
            transaction.prepare_cached(sql)?.execute(params![id, not_before.timestamp_millis(), dead, error])?;
            Ok(())
        })
        .await
    }

    /// How many changes and living deliveries are outstanding.
    pub async fn outstanding(&self) -> Result<u64> {
        self.read(|connection| {
            let sql = "SELECT (SELECT COUNT(*) FROM changes) + (SELECT COUNT(*) FROM deliveries WHERE dead = 0)";
            Ok(connection.prepare_cached(sql)?.query_row([], |row| row.get(0)).map(i64::cast_unsigned)?)
        })
        .await
    }
}
