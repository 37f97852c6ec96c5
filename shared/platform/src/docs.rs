//! The document port: JSON documents under slash-separated paths, with optimistic concurrency instead of locks.
//! Made so that Firestore fits as it is: a version is its update time, a commit its batch write, an aggregate its
//! aggregation query.

use crate::{Error, Result};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use std::{borrow::Cow, fmt, sync::Arc};

/// The body of a document.
pub type Body = Map<String, Value>;

/// The most writes one commit may carry (Firestore's own limit).
pub const MAX_WRITES: usize = 500;

/// The path of a document: an even number of segments, none of which can break out of its place.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DocPath(String);

/// The path of a collection: an odd number of segments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collection(String);

impl Collection {
    /// A collection at the root.
    pub fn root(name: &str) -> Self {
        Collection(segment(name).into_owned())
    }

    /// The document `id` of this collection. Characters that mean something in a path are escaped.
    pub fn doc(&self, id: &str) -> DocPath {
        DocPath(join(&self.0, &segment(id)))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl DocPath {
    /// Takes a path as an event names it (`users/u1/jobs/j1`).
    pub fn parse(path: &str) -> Result<Self> {
        let segments: Vec<_> = path.split('/').collect();
        if segments.len() % 2 != 0
            || segments.iter().any(|s| s.is_empty() || *s == "." || *s == ".." || s.starts_with("__"))
        {
            return Err(Error::Invalid(format!("{path:?} is not the path of a document")));
        }
        Ok(DocPath(path.to_owned()))
    }

    /// A collection below this document.
    pub fn collection(&self, name: &str) -> Collection {
        Collection(join(&self.0, &segment(name)))
    }

    /// The collection that holds this document.
    pub fn parent(&self) -> Collection {
        Collection(self.0.rsplit_once('/').map_or("", |(parent, _)| parent).to_owned())
    }

    /// The last segment.
    pub fn id(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// All segments, collection names and ids in turn.
    pub fn segments(&self) -> Vec<&str> {
        self.0.split('/').collect()
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DocPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One path segment: `/` and `%` percent-encoded, and the names Firestore keeps for itself made harmless.
fn segment(text: &str) -> Cow<'_, str> {
    let escaped = if text.contains(['%', '/']) {
        Cow::Owned(text.replace('%', "%25").replace('/', "%2F"))
    } else {
        Cow::Borrowed(text)
    };
    match &*escaped {
        "" => "%00".into(),
        "." => "%2E".into(),
        ".." => "%2E%2E".into(),
        reserved if reserved.starts_with("__") => format!("%5F{}", &reserved[1..]).into(),
        _ => escaped,
    }
}

fn join(path: &str, segment: &str) -> String {
    [path, "/", segment].concat()
}

/// Which state of a document was read. Opaque: only equality means something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version(pub String);

/// What stands in a document, in the form in which its store gives it.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    Fields(Body),
    /// JSON, which is read once: into the type that is asked for.
    Text(String),
}

impl Content {
    pub(crate) fn read<T: DeserializeOwned>(self) -> Result<T> {
        let read = match self {
            Content::Fields(body) => serde_json::from_value(Value::Object(body)),
            Content::Text(text) => serde_json::from_str(&text),
        };
        read.map_err(|error| Error::internal("reading a document", error))
    }
}

/// A document as the store has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    pub path: DocPath,
    pub content: Content,
    pub version: Version,
    pub updated_at: DateTime<Utc>,
}

/// A document read into its type, with what a compare-and-set needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Versioned<T> {
    pub path: DocPath,
    pub value: T,
    pub version: Version,
    pub updated_at: DateTime<Utc>,
}

/// One write of an atomic commit.
#[derive(Clone, Debug)]
pub enum Write {
    /// Fails with [`Error::AlreadyExists`] where the document is there.
    Create { path: DocPath, body: Body },
    /// Fails with [`Error::Conflict`] unless the document still has this version.
    Replace { path: DocPath, body: Body, version: Version },
    /// Removes the document; an absent one is no error. With a version, fails with [`Error::Conflict`] if it differs.
    Delete { path: DocPath, version: Option<Version> },
}

impl Write {
    /// Create-once.
    pub fn create<T: Serialize>(path: DocPath, value: &T) -> Result<Self> {
        Ok(Write::Create { path, body: to_body(value)? })
    }

    /// The document it is about.
    pub fn path(&self) -> &DocPath {
        match self {
            Write::Create { path, .. } | Write::Replace { path, .. } | Write::Delete { path, .. } => path,
        }
    }

    /// Compare-and-set.
    pub fn replace<T: Serialize>(path: DocPath, value: &T, version: Version) -> Result<Self> {
        Ok(Write::Replace { path, body: to_body(value)?, version })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Ascending,
    Descending,
}

/// Where a page ended: the value it was ordered by (absent for the order of names) and the document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cursor {
    pub value: Option<Value>,
    pub path: DocPath,
}

/// Where a query looks.
#[derive(Clone, Debug, PartialEq)]
pub enum Scope {
    /// The documents of one collection.
    Collection(Collection),
    /// Every collection of this name, wherever it hangs.
    Group(String),
}

/// Filters by value, one order (by a field, or by name), a cursor and a limit.
/// Documents without the ordering field are left out, as Firestore leaves them out.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    pub scope: Scope,
    /// Fields, and the values of which each has one.
    pub filters: Vec<(String, Vec<Value>)>,
    pub order: Option<(String, Direction)>,
    pub after: Option<Cursor>,
    pub limit: Option<u32>,
}

impl Query {
    pub fn collection(collection: Collection) -> Self {
        Query { scope: Scope::Collection(collection), filters: vec![], order: None, after: None, limit: None }
    }

    pub fn group(name: &str) -> Self {
        Query { scope: Scope::Group(name.to_owned()), filters: vec![], order: None, after: None, limit: None }
    }

    pub fn equals(self, field: &str, value: impl Into<Value>) -> Self {
        self.any_of(field, [value.into()])
    }

    /// The field has one of these values, which are at most thirty.
    pub fn any_of(mut self, field: &str, values: impl Into<Vec<Value>>) -> Self {
        self.filters.push((field.to_owned(), values.into()));
        self
    }

    pub fn order_by(mut self, field: &str, direction: Direction) -> Self {
        self.order = Some((field.to_owned(), direction));
        self
    }

    pub fn after(mut self, cursor: Option<Cursor>) -> Self {
        self.after = cursor;
        self
    }

    pub fn limit(mut self, limit: u32) -> Self {
        self.limit = Some(limit);
        self
    }
}

/// What is asked of all documents that match.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number<'a> {
    /// How many there are.
    Count,
    /// The sum of a field over those that have it.
    Sum(&'a str),
}

/// What an adapter implements. Callers use [`Docs`].
#[async_trait]
pub trait DocsCore: Send + Sync {
    async fn get(&self, path: &DocPath) -> Result<Option<Document>>;
    /// All writes or none; the new versions in the order of the writes (a delete's is the empty one).
    async fn commit(&self, writes: Vec<Write>) -> Result<Vec<Version>>;
    async fn query(&self, query: &Query) -> Result<Vec<Document>>;
    /// The numbers, in their order, all of one moment.
    async fn aggregate(&self, query: &Query, numbers: &[Number<'_>]) -> Result<Vec<f64>>;
}

/// The handle functions hold.
#[derive(Clone)]
pub struct Docs(Arc<dyn DocsCore>);

impl Docs {
    pub fn new(core: Arc<dyn DocsCore>) -> Self {
        Docs(core)
    }

    /// The document, or `None`. Errs where it does not read as a `T`.
    pub async fn find<T: DeserializeOwned>(&self, path: &DocPath) -> Result<Option<Versioned<T>>> {
        self.0.get(path).await?.map(from_document).transpose()
    }

    /// The document, or [`Error::NotFound`].
    pub async fn get<T: DeserializeOwned>(&self, path: &DocPath) -> Result<Versioned<T>> {
        self.find(path).await?.ok_or_else(|| Error::NotFound(path.to_string()))
    }

    /// Creates once; [`Error::AlreadyExists`] if it is there.
    pub async fn create<T: Serialize>(&self, path: &DocPath, value: &T) -> Result<()> {
        self.commit(vec![Write::create(path.clone(), value)?]).await
    }

    /// Writes the value back if nobody has since `read` was read; [`Error::Conflict`] otherwise.
    pub async fn replace<T: Serialize>(&self, read: &Versioned<T>) -> Result<()> {
        self.commit(vec![Write::replace(read.path.clone(), &read.value, read.version.clone())?]).await
    }

    /// All writes or none, at most [`MAX_WRITES`].
    pub async fn commit(&self, writes: Vec<Write>) -> Result<()> {
        self.versions(writes).await.map(|_| ())
    }

    /// The same; the new versions, in the order of the writes.
    pub async fn versions(&self, writes: Vec<Write>) -> Result<Vec<Version>> {
        if writes.len() > MAX_WRITES {
            return Err(Error::Invalid(format!("a commit of {} writes; {MAX_WRITES} is the most", writes.len())));
        }
        self.0.commit(writes).await
    }

    /// The matching documents in the query's order.
    pub async fn query<T: DeserializeOwned>(&self, query: &Query) -> Result<Vec<Versioned<T>>> {
        self.0.query(query).await?.into_iter().map(from_document).collect()
    }

    /// The same without the documents that do not read as a `T`, which the log names: for those who look after many
    /// users' documents, and whom one that is broken must not stop.
    pub async fn readable<T: DeserializeOwned>(&self, query: &Query) -> Result<Vec<Versioned<T>>> {
        let read = |document: Document| {
            let path = document.path.clone();
            let read = from_document(document);
            read.inspect_err(|error| tracing::error!(document = %path, ?error, "a document cannot be read")).ok()
        };
        Ok(self.0.query(query).await?.into_iter().filter_map(read).collect())
    }

    /// Numbers about the matching documents, all of one moment; order, cursor and limit play no part. Each is a question
    /// of its own to the store, and more than one are a transaction.
    pub async fn aggregate<const N: usize>(&self, query: &Query, numbers: [Number<'_>; N]) -> Result<[f64; N]> {
        let found = self.0.aggregate(query, &numbers).await?;
        found.try_into().map_err(|_| Error::Invalid("an aggregate came without all of its numbers".into()))
    }

    /// The count of matching documents.
    pub async fn count(&self, query: &Query) -> Result<u64> {
        let [count] = self.aggregate(query, [Number::Count]).await?;
        Ok(count as u64)
    }
}

fn to_body<T: Serialize>(value: &T) -> Result<Body> {
    match serde_json::to_value(value) {
        Ok(Value::Object(body)) => Ok(body),
        Ok(_) => Err(Error::Invalid("a document must be a JSON object".into())),
        Err(error) => Err(Error::internal("writing a document", error)),
    }
}

fn from_document<T: DeserializeOwned>(document: Document) -> Result<Versioned<T>> {
    let Document { path, content, version, updated_at } = document;
    Ok(Versioned { path, value: content.read()?, version, updated_at })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_id_can_leave_its_place_in_the_path() {
        let jobs = Collection::root("users").doc("u1").collection("jobs");
        for id in ["../x", "a/b", "", ".", "..", "__x__", "%2F"] {
            let path = jobs.doc(id);
            assert_eq!(path.segments().len(), 4, "{id}");
            assert_eq!(DocPath::parse(path.as_str()).unwrap(), path, "{id}");
        }
        assert_ne!(jobs.doc("a/b"), jobs.doc("a%2Fb"));
    }

    #[test]
    fn a_path_that_is_no_document_is_refused() {
        for path in ["users", "users/u1/jobs", "users//jobs/x", "users/../jobs/x", "", "users/__id__"] {
            assert!(DocPath::parse(path).is_err(), "{path}");
        }
    }
}
