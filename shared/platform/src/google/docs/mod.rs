//! Documents in Firestore: a version is the update time, a commit one atomic batch of writes with a precondition each,
//! an aggregate an aggregation query.

mod query;
mod values;

use super::{ATTEMPT, Endpoint};
use crate::{
    Error, Result,
    docs::{Body, Content, DocPath, DocsCore, Document, Number, Query, Version, Write},
};
use async_trait::async_trait;
use firestore::{
    FirestoreAggregation, FirestoreAggregationOperator, FirestoreAggregationOperatorCount,
    FirestoreAggregationOperatorSum, FirestoreConsistencySelector, FirestoreDb, FirestoreDbOptions, FirestoreInstant,
    FirestoreTransaction, FirestoreTransactionData, FirestoreTransactionMode, FirestoreTransactionOptions,
    errors::FirestoreError,
    gcloud_sdk::{
        google::firestore::v1::{self as proto, precondition::ConditionType, write::Operation},
        prost_types::Timestamp,
    },
};
use futures::future::try_join_all;
use tokio::sync::OnceCell;

pub(super) const WHAT: &str = "Firestore";

pub(super) struct Firestore {
    options: FirestoreDbOptions,
    emulated: bool,
    db: OnceCell<FirestoreDb>,
}

impl Firestore {
    pub(super) fn new(project: &str, database: &str, endpoint: Option<Endpoint>) -> Self {
        let mut options = FirestoreDbOptions::new(project.to_owned())
            .with_database_id(database.to_owned())
            .with_max_retries(0)
            .with_request_timeout(ATTEMPT);
        let emulated = endpoint.is_some();
        if let Some(Endpoint(url)) = endpoint {
            options = options.with_firebase_api_url(url);
        }
        Firestore { options, emulated, db: OnceCell::new() }
    }

    /// The client connects when it is made: it is made at the first use.
    async fn db(&self) -> Result<&FirestoreDb> {
        let connect = || async {
            let options = self.options.clone();
            let db = match self.emulated {
                true => FirestoreDb::with_options_auth(options, super::unproven::Owner::credentials()).await,
                false => FirestoreDb::with_options(options).await,
            };
            db.map_err(|error| Error::unavailable(WHAT, error))
        };
        self.db.get_or_try_init(connect).await
    }
}

#[async_trait]
impl DocsCore for Firestore {
    async fn get(&self, path: &DocPath) -> Result<Option<Document>> {
        let db = self.db().await?;
        let root = db.get_documents_path();
        let (parent, collection) = query::split(&path.parent(), root);
        match db.fluent().select().by_id_in(collection).parent(parent).one(path.id()).await {
            Ok(found) => found.map(|found| document(found, root)).transpose(),
            Err(error) => Err(failed(error)),
        }
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<Vec<Version>> {
        let db = self.db().await?;
        let root = db.get_documents_path();
        let places = Places::of(&writes);
        let writes = writes.into_iter().map(|write| proto_write(write, root)).collect::<Result<Vec<_>>>()?;
        // A transaction without an id is a batch of writes: one request, all of them or none.
        let batch = FirestoreTransactionData::new(vec![], root.clone(), tracing::Span::none(), writes);
        let done = FirestoreTransaction::from_data(db, batch).commit().await.map_err(|error| places.refused(error))?;
        let version = |time: Option<FirestoreInstant>| time.map_or(Version(String::new()), version_at);
        Ok(done.write_results.into_iter().map(|result| version(result.update_time)).collect())
    }

    async fn query(&self, asked: &Query) -> Result<Vec<Document>> {
        let db = self.db().await?;
        let root = db.get_documents_path();
        let found = query::select(db, asked)?.query().await.map_err(failed)?;
        found.into_iter().map(|found| document(found, root)).collect()
    }

    async fn aggregate(&self, asked: &Query, numbers: &[Number<'_>]) -> Result<Vec<f64>> {
        let db = self.db().await?;
        let operators = numbers.iter().map(operator).collect::<Result<Vec<_>>>()?;
        if let [operator] = operators.as_slice() {
            return Ok(vec![one(db, asked, operator).await?]);
        }
        // One aggregation query with a sum leaves out documents without the field, also from its count and its other
        // sums. So there is one query for each, all of them of one moment.
        let options = FirestoreTransactionOptions::new().with_mode(FirestoreTransactionMode::ReadOnly);
        let mut moment = db.begin_transaction_with_options(options).await.map_err(failed)?;
        let at = db.clone_with_consistency_selector(FirestoreConsistencySelector::Transaction(
            moment.transaction_id().clone(),
        ));
        let found = try_join_all(operators.iter().map(|operator| one(&at, asked, operator))).await;
        // It only read: there is nothing to release.
        moment.finish().map_err(failed)?;
        found
    }
}

fn operator(number: &Number<'_>) -> Result<FirestoreAggregationOperator> {
    Ok(match number {
        Number::Count => FirestoreAggregationOperator::Count(FirestoreAggregationOperatorCount::new()),
        Number::Sum(field) => {
            FirestoreAggregationOperator::Sum(FirestoreAggregationOperatorSum::new(query::plain(field)?))
        }
    })
}

/// The number one aggregation comes to.
async fn one(db: &FirestoreDb, asked: &Query, operator: &FirestoreAggregationOperator) -> Result<f64> {
    let alias = "number";
    let aggregation = || FirestoreAggregation::new(alias.to_owned()).with_operator(operator.clone());
    let found = query::matching(db, asked)?.aggregate(|build| build.fields([aggregation()])).query().await;
    let found = found.map_err(failed)?;
    let number = found.first().and_then(|found| values::number(found.fields.get(alias)?));
    number.ok_or_else(|| Error::internal(WHAT, "an aggregation came without its number"))
}

fn document(found: proto::Document, root: &str) -> Result<Document> {
    let path = found.name.strip_prefix(root).and_then(|path| path.strip_prefix('/')).unwrap_or_default();
    let path = DocPath::parse(path)?;
    let time = found.update_time.unwrap_or_default();
    let updated_at = values::moment(&time).ok_or_else(|| Error::internal(WHAT, "an update time out of range"))?;
    let content = Content::Fields(values::body(found.fields)?);
    Ok(Document { path, content, version: version_of(&time), updated_at })
}

fn version_of(time: &Timestamp) -> Version {
    Version(format!("{}.{:09}", time.seconds, time.nanos))
}

fn version_at(time: FirestoreInstant) -> Version {
    version_of(&Timestamp { seconds: time.as_second(), nanos: time.subsec_nanosecond() })
}

fn time_of(version: &Version) -> Result<Timestamp> {
    let parts = version
        .0
        .split_once('.')
        .and_then(|(seconds, nanos)| Some(Timestamp { seconds: seconds.parse().ok()?, nanos: nanos.parse().ok()? }));
    parts.ok_or_else(|| Error::Invalid(format!("{:?} is no version of Firestore's", version.0)))
}

fn proto_write(write: Write, root: &str) -> Result<proto::Write> {
    let name = |path: &DocPath| format!("{root}/{path}");
    let update = |path: DocPath, body: Body| {
        let fields = values::fields(body)?;
        Ok::<_, Error>(Operation::Update(proto::Document { name: name(&path), fields, ..Default::default() }))
    };
    let (operation, condition) = match write {
        Write::Create { path, body } => (update(path, body)?, Some(ConditionType::Exists(false))),
        Write::Replace { path, body, version } => {
            (update(path, body)?, Some(ConditionType::UpdateTime(time_of(&version)?)))
        }
        Write::Delete { path, version } => {
            let condition = version.as_ref().map(time_of).transpose()?.map(ConditionType::UpdateTime);
            (Operation::Delete(name(&path)), condition)
        }
    };
    let current_document = condition.map(|condition| proto::Precondition { condition_type: Some(condition) });
    Ok(proto::Write { operation: Some(operation), current_document, ..Default::default() })
}

/// What a commit is about, for the errors: Firestore does not say which of its writes was refused.
struct Places {
    created: String,
    changed: String,
}

impl Places {
    fn of(writes: &[Write]) -> Self {
        let list = |created: bool| {
            let paths = writes.iter().filter_map(|write| match write {
                Write::Create { path, .. } => created.then_some(path.as_str()),
                Write::Replace { path, .. } | Write::Delete { path, version: Some(_) } => {
                    (!created).then_some(path.as_str())
                }
                Write::Delete { version: None, .. } => None,
            });
            paths.collect::<Vec<_>>().join(" or ")
        };
        Places { created: list(true), changed: list(false) }
    }

    fn refused(self, error: FirestoreError) -> Error {
        // A document that is gone has another state than the one that was read.
        let changed = matches!(error, FirestoreError::DataNotFoundError(_)) || code(&error) == "FailedPrecondition";
        match error {
            FirestoreError::DataConflictError(_) => Error::AlreadyExists(self.created),
            _ if changed && !self.changed.is_empty() => Error::Conflict(self.changed),
            error => failed(error),
        }
    }
}

fn code(error: &FirestoreError) -> &str {
    match error {
        FirestoreError::DatabaseError(error) => &error.public.code,
        _ => "",
    }
}

fn failed(error: FirestoreError) -> Error {
    let silent = matches!(&error, FirestoreError::NetworkError(_) | FirestoreError::SystemError(_));
    let waits = matches!(&error, FirestoreError::DatabaseError(error) if error.retry_possible);
    match code(&error) {
        "InvalidArgument" => Error::Invalid(format!("Firestore refused the request: {error}")),
        // Contention: nothing was done.
        "Aborted" => Error::busy(WHAT, error),
        "Unavailable" | "DeadlineExceeded" | "Internal" => Error::unavailable(WHAT, error),
        _ if silent || waits => Error::unavailable(WHAT, error),
        _ => Error::internal(WHAT, error),
    }
}
