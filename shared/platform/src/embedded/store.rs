//! The database itself: opening, schema, and the two ways to use it.

use crate::{Blobs, Bus, Clock, Docs, Error, Executions, Result, embedded::Links};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, TryLockError},
    time::Duration,
};
use tokio::sync::Notify;

/// A handle to one data folder. Cloning shares it.
#[derive(Clone)]
pub struct Store(pub(super) Arc<Inner>);

pub(super) struct Inner {
    connection: Mutex<Connection>,
    pub(super) objects: PathBuf,
    pub(super) clock: Clock,
    pub(super) links: Links,
    pub(super) changed: Notify,
    _scratch: Option<tempfile::TempDir>,
}

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT OR IGNORE INTO counters VALUES ('version', 0);
CREATE TABLE IF NOT EXISTS docs (
  path TEXT PRIMARY KEY, collection TEXT NOT NULL, grp TEXT NOT NULL,
  body TEXT NOT NULL, version INTEGER NOT NULL, updated_at TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS docs_by_collection ON docs (collection, json_extract(body, '$.created_at'), path);
CREATE INDEX IF NOT EXISTS docs_by_path ON docs (collection, path);
CREATE INDEX IF NOT EXISTS docs_by_group ON docs (grp, json_extract(body, '$.status'), path);
CREATE INDEX IF NOT EXISTS docs_by_done ON docs (collection, json_extract(body, '$.done'), path);
CREATE INDEX IF NOT EXISTS docs_by_state ON docs (collection, json_extract(body, '$.state'), path);
CREATE TABLE IF NOT EXISTS objects (
  bucket TEXT NOT NULL, name TEXT NOT NULL, generation INTEGER NOT NULL, meta TEXT NOT NULL, file TEXT NOT NULL,
  PRIMARY KEY (bucket, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS changes (seq INTEGER PRIMARY KEY AUTOINCREMENT, change TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS deliveries (
  id INTEGER PRIMARY KEY AUTOINCREMENT, subscriber TEXT NOT NULL, change TEXT NOT NULL, attempts INTEGER NOT NULL,
  not_before INTEGER NOT NULL, dead INTEGER NOT NULL, error TEXT NOT NULL DEFAULT '');
CREATE INDEX IF NOT EXISTS deliveries_due ON deliveries (dead, not_before, id);
CREATE TABLE IF NOT EXISTS executions (
  name TEXT PRIMARY KEY, claim TEXT NOT NULL UNIQUE, request TEXT NOT NULL, state TEXT NOT NULL,
  created_at TEXT NOT NULL, completed_at TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tasks (
  execution TEXT NOT NULL, idx INTEGER NOT NULL, attempt INTEGER NOT NULL, state TEXT NOT NULL,
  PRIMARY KEY (execution, idx)) WITHOUT ROWID;
";

impl Store {
    /// Opens the folder, making it where it is not.
    pub fn open(folder: &Path, clock: Clock, links: Links) -> Result<Self> {
        let objects = folder.join("objects");
        std::fs::create_dir_all(&objects).map_err(|error| Error::internal("making the data folder", error))?;
        Self::build(folder.join("hub.db"), objects, clock, links, None)
    }

    /// A store that vanishes with its last handle.
    pub fn scratch(clock: Clock) -> Result<Self> {
        let folder = tempfile::tempdir().map_err(|error| Error::internal("making a scratch folder", error))?;
        let path = folder.path().to_owned();
        Self::build(path.join("hub.db"), path, clock, Links::unsigned(), Some(folder))
    }

    fn build(
        database: PathBuf,
        objects: PathBuf,
        clock: Clock,
        links: Links,
        scratch: Option<tempfile::TempDir>,
    ) -> Result<Self> {
        let connection = Connection::open(database)?;
        connection.busy_timeout(Duration::from_secs(20))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.set_prepared_statement_cache_capacity(64);
        connection.execute_batch(SCHEMA)?;
        let connection = Mutex::new(connection);
        Ok(Store(Arc::new(Inner { connection, objects, clock, links, changed: Notify::new(), _scratch: scratch })))
    }

    pub fn docs(&self) -> Docs {
        Docs::new(Arc::new(self.clone()))
    }

    pub fn blobs(&self) -> Blobs {
        Blobs::new(Arc::new(self.clone()))
    }

    pub fn bus(&self) -> Bus {
        Bus::new(Arc::new(self.clone()))
    }

    pub fn executions(&self) -> Executions {
        Executions::new(Arc::new(self.clone()))
    }

    /// Runs `work` in one transaction off the async threads: all of it is kept, or nothing.
    pub(super) async fn transaction<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T> + Send + 'static,
    {
        let inner = self.0.clone();
        let outcome = tokio::task::spawn_blocking(move || {
            let mut connection = inner.connection.lock().unwrap_or_else(PoisonError::into_inner);
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = work(&transaction)?;
            transaction.commit()?;
            Ok(value)
        });
        outcome.await.map_err(|error| Error::internal("the embedded store", error))?
    }

    /// Runs `work` as a read.
    pub(super) async fn read<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        let store = self.clone();
        let outcome = tokio::task::spawn_blocking(move || store.with_connection(work)).await;
        outcome.map_err(|error| Error::internal("the embedded store", error))?
    }

    /// Runs `work` that looks up one thing: at once, where nobody else has the database, because that takes less time than
    /// handing it to another thread.
    pub(super) async fn look<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        match self.0.connection.try_lock() {
            Ok(connection) => return work(&connection),
            Err(TryLockError::Poisoned(poisoned)) => return work(&poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => {}
        }
        self.read(work).await
    }

    /// The same, for those who are on a thread that may block.
    pub(super) fn with_connection<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        work(&self.0.connection.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The next number of the store-wide count that versions and generations come from.
    pub(super) fn next_version(transaction: &Transaction<'_>) -> Result<i64> {
        let sql = "UPDATE counters SET value = value + 1 WHERE name = 'version' RETURNING value";
        Ok(transaction.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => {
                Error::Unavailable { what: "the embedded store", source: error.into() }
            }
            _ => Error::internal("the embedded store", error),
        }
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Error::internal("reading what was stored", error)
    }
}
