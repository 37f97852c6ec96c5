//! Documents in memory.

use super::{Port, Store};
use crate::universe::{Pid, State};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use domain::safeguard::{Safeguard, holds};
use local::subscribers;
use platform::{
    DocPath, Document, Error, Query, Result, Version, Write,
    docs::{Body, Content, Direction, DocsCore, Number, Scope},
    embedded::Event,
};
use serde_json::Value;
use std::{cmp::Ordering, sync::Arc};

/// A document as it is kept.
#[derive(Clone)]
pub struct StoredDoc {
    pub path: DocPath,
    pub body: Arc<Body>,
    /// The same as JSON, as it is read.
    text: String,
    pub version: i64,
    pub updated_at: DateTime<Utc>,
}

impl StoredDoc {
    fn document(&self) -> Document {
        Document {
            path: self.path.clone(),
            content: Content::Text(self.text.clone()),
            version: Version(self.version.to_string()),
            updated_at: self.updated_at,
        }
    }

    fn field(&self, name: &str) -> Option<&Value> {
        let mut names = name.split('.');
        let first = self.body.get(names.next()?)?;
        names.try_fold(first, |value, name| value.get(name))
    }
}

#[async_trait]
impl DocsCore for Port {
    async fn get(&self, path: &DocPath) -> Result<Option<Document>> {
        self.call("get", false, path.as_str(), |state, _| {
            Ok(state.store.docs.get(path.as_str()).map(StoredDoc::document))
        })
        .await
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<Vec<Version>> {
        let about = writes.first().map_or("nothing", |write| write.path().as_str()).to_owned();
        self.call("commit", true, &about, |state, pid| commit(state, pid, writes)).await
    }

    async fn query(&self, query: &Query) -> Result<Vec<Document>> {
        let about = scope_name(query);
        self.call("query", false, &about, |state, _| {
            let found = select(&state.store, query)?;
            Ok(found.into_iter().map(StoredDoc::document).collect())
        })
        .await
    }

    async fn aggregate(&self, query: &Query, numbers: &[Number<'_>]) -> Result<Vec<f64>> {
        let about = scope_name(query);
        self.call("aggregate", false, &about, |state, _| {
            let unordered = Query { order: None, after: None, limit: None, ..query.clone() };
            let found = select(&state.store, &unordered)?;
            let number = |number: &Number<'_>| match number {
                Number::Count => found.len() as f64,
                Number::Sum(name) => found.iter().filter_map(|doc| doc.field(name)?.as_f64()).sum(),
            };
            Ok(numbers.iter().map(number).collect())
        })
        .await
    }
}

fn scope_name(query: &Query) -> String {
    match &query.scope {
        Scope::Collection(collection) => collection.as_str().to_owned(),
        Scope::Group(name) => format!("*/{name}"),
    }
}

/// All writes or none.
fn commit(state: &mut State, pid: Pid, writes: Vec<Write>) -> Result<Vec<Version>> {
    for write in &writes {
        let path = write.path();
        let current = state.store.docs.get(path.as_str()).map(|doc| doc.version);
        let expected = match write {
            Write::Create { .. } if current.is_some() => return Err(Error::AlreadyExists(path.to_string())),
            Write::Create { .. } | Write::Delete { version: None, .. } => continue,
            Write::Replace { version, .. } | Write::Delete { version: Some(version), .. } => version,
        };
        let stale = current.is_none_or(|current| current.to_string() != expected.0);
        if stale && (holds(Safeguard::CompareAndSet) || current.is_none()) {
            return Err(Error::Conflict(path.to_string()));
        }
    }
    writes.into_iter().map(|write| apply(state, pid, write)).collect()
}

fn apply(state: &mut State, pid: Pid, write: Write) -> Result<Version> {
    let now = state.now;
    let (path, body) = match write {
        Write::Create { path, body } | Write::Replace { path, body, .. } => (path, Some(Arc::new(body))),
        Write::Delete { path, .. } => (path, None),
    };
    let version = state.store.next_version();
    let before = match &body {
        Some(body) => {
            let text = serde_json::to_string(&**body)?;
            let doc = StoredDoc { path: path.clone(), body: body.clone(), text, version, updated_at: now };
            state.store.docs.insert(path.as_str().to_owned(), doc)
        }
        None => state.store.docs.remove(path.as_str()),
    };
    let before = before.map(|doc| doc.body);
    if before.is_some() || body.is_some() {
        crate::watch::document_written(state, pid, &path, before.as_deref(), body.as_deref());
        if is_told(&path) {
            let own = |body: &Arc<Body>| (**body).clone();
            let (before, after) = (before.as_ref().map(own), body.as_ref().map(own));
            state.happened.push(Event::Document { path, before, after });
        }
    }
    Ok(Version(if body.is_some() { version.to_string() } else { String::new() }))
}

/// Whether anybody is told of what happens to this document.
fn is_told(path: &DocPath) -> bool {
    !subscribers(&Event::Document { path: path.clone(), before: None, after: Some(Body::new()) }).is_empty()
}

fn select<'a>(store: &'a Store, query: &Query) -> Result<Vec<&'a StoredDoc>> {
    let fits = |doc: &&StoredDoc| {
        query.filters.iter().all(|(name, any)| doc.field(name).is_some_and(|value| any.contains(value)))
    };
    let mut found: Vec<&StoredDoc> = match &query.scope {
        Scope::Collection(collection) => {
            let (from, below) = (format!("{}/", collection.as_str()), collection.as_str().len() + 1);
            let inside = store.docs.range(from.clone()..).take_while(|(name, _)| name.starts_with(&from));
            inside.filter(|(name, _)| !name[below..].contains('/')).map(|(_, doc)| doc).filter(fits).collect()
        }
        Scope::Group(group) => {
            let is_in = |name: &str| name.rsplit('/').nth(1) == Some(group.as_str());
            store.docs.iter().filter(|(name, _)| is_in(name)).map(|(_, doc)| doc).filter(fits).collect()
        }
    };
    let (field, direction) = match &query.order {
        Some((field, direction)) => (Some(field.as_str()), *direction),
        None => (None, Direction::Ascending),
    };
    if let Some(field) = field {
        found.retain(|doc| doc.field(field).is_some_and(|value| !value.is_null()));
    }
    let turned = |order: Ordering| if direction == Direction::Descending { order.reverse() } else { order };
    let key = |doc: &'a StoredDoc| (field.and_then(|field| doc.field(field)), doc.path.as_str());
    found.sort_by(|a, b| {
        let ((a, a_path), (b, b_path)) = (key(a), key(b));
        turned(compare(a, b).then_with(|| a_path.cmp(b_path)))
    });
    if let Some(cursor) = &query.after {
        if cursor.value.is_some() != field.is_some() {
            return Err(Error::Invalid("the cursor belongs to another order".into()));
        }
        found.retain(|doc| {
            let (value, path) = key(doc);
            let order = compare(value, cursor.value.as_ref()).then_with(|| path.cmp(cursor.path.as_str()));
            turned(order) == Ordering::Greater
        });
    }
    found.truncate(query.limit.unwrap_or(u32::MAX) as usize);
    Ok(found)
}

fn compare(a: Option<&Value>, b: Option<&Value>) -> Ordering {
    match (a, b) {
        (Some(Value::String(a)), Some(Value::String(b))) => a.cmp(b),
        (Some(Value::Number(a)), Some(Value::Number(b))) => {
            a.as_f64().unwrap_or_default().total_cmp(&b.as_f64().unwrap_or_default())
        }
        _ => Ordering::Equal,
    }
}
