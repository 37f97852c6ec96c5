//! Documents as rows: the body as JSON text, the version a number that never repeats.

use super::{Change, Event, Store, feed, query};
use crate::{
    Error, Result,
    docs::{Body, Content, DocPath, DocsCore, Document, Number, Query, Version, Write},
};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params, params_from_iter};

#[async_trait]
impl DocsCore for Store {
    async fn get(&self, path: &DocPath) -> Result<Option<Document>> {
        let path = path.clone();
        self.look(move |connection| find(connection, &path)).await
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<Vec<Version>> {
        let now = self.0.clock.now();
        let versions = self
            .transaction(move |transaction| writes.iter().map(|write| apply(transaction, write, now)).collect())
            .await?;
        self.0.changed.notify_one();
        Ok(versions)
    }

    async fn query(&self, asked: &Query) -> Result<Vec<Document>> {
        let (sql, values) = query::select(asked)?;
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(&sql)?;
            let rows = statement.query_map(params_from_iter(values), |row| Ok(document(row)))?;
            rows.map(|row| row?).collect()
        })
        .await
    }

    async fn aggregate(&self, asked: &Query, numbers: &[Number<'_>]) -> Result<Vec<f64>> {
        let (sql, values) = query::aggregate(asked, numbers)?;
        let columns = numbers.len();
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(&sql)?;
            Ok(statement.query_row(params_from_iter(values), |row| (0..columns).map(|at| row.get(at)).collect())?)
        })
        .await
    }
}

fn find(connection: &Connection, path: &DocPath) -> Result<Option<Document>> {
    let sql = "SELECT path, body, version, updated_at FROM docs WHERE path = ?1";
    connection.prepare_cached(sql)?.query_row([path.as_str()], |row| Ok(document(row))).optional()?.transpose()
}

fn document(row: &Row<'_>) -> Result<Document> {
    let (path, body, version): (String, String, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
    let updated_at: String = row.get(3)?;
    let updated_at = updated_at.parse::<DateTime<Utc>>().map_err(|error| Error::internal("reading a time", error))?;
    let path = DocPath::parse(&path)?;
    Ok(Document { path, content: Content::Text(body), version: Version(version.to_string()), updated_at })
}

fn apply(transaction: &Transaction<'_>, write: &Write, now: DateTime<Utc>) -> Result<Version> {
    let path = match write {
        Write::Create { path, .. } | Write::Replace { path, .. } | Write::Delete { path, .. } => path,
    };
    let before = find(transaction, path)?;
    let after = match write {
        Write::Create { .. } if before.is_some() => return Err(Error::AlreadyExists(path.to_string())),
        Write::Replace { version, .. } | Write::Delete { version: Some(version), .. }
            if before.as_ref().is_none_or(|document| document.version != *version) =>
        {
            return Err(Error::Conflict(path.to_string()));
        }
        Write::Create { body, .. } | Write::Replace { body, .. } => Some(store(transaction, path, body, now)?),
        Write::Delete { .. } => {
            transaction.prepare_cached("DELETE FROM docs WHERE path = ?1")?.execute([path.as_str()])?;
            None
        }
    };
    let version = after.as_ref().map_or_else(|| Version(String::new()), |document| document.version.clone());
    if before.is_some() || after.is_some() {
        let body = |document: Option<Document>| document.map(|document| document.content.read()).transpose();
        let event = Event::Document { path: path.clone(), before: body(before)?, after: body(after)? };
        feed::append(transaction, &Change { at: now, event })?;
    }
    Ok(version)
}

fn store(transaction: &Transaction<'_>, path: &DocPath, body: &Body, now: DateTime<Utc>) -> Result<Document> {
    let version = Store::next_version(transaction)?;
    let parent = path.parent();
    let group = parent.as_str().rsplit('/').next().unwrap_or_default();
    let sql = "INSERT OR REPLACE INTO docs (path, collection, grp, body, version, updated_at)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    transaction.prepare_cached(sql)?.execute(params![
        path.as_str(),
        parent.as_str(),
        group,
        serde_json::to_string(body)?,
        version,
        now.to_rfc3339(),
    ])?;
    let content = Content::Fields(body.clone());
    Ok(Document { path: path.clone(), content, version: Version(version.to_string()), updated_at: now })
}
