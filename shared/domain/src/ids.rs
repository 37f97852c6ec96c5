//! Names of users, runs and the ligands of a batch. An id that parsed can be put into a path, an object name or a
//! URL as it is.

use serde::{Deserialize, Deserializer, Serialize, de::Error};
use std::fmt;
use utoipa::ToSchema;

/// Why a text is not an id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not {1}")]
pub struct IdError(String, &'static str);

/// A user, as the identity provider names them: 1 to 128 letters, digits, `-`, `_`, `.`, `@` or `:`, beginning with a
/// letter or digit.
///
/// Every path to a user's data is made from one, so it has two doors only: [`Uid::named`], for a verified token and for
/// the names that we gave to documents, objects and tasks ourselves, and [`Uid::stored`], for a field of what we wrote
/// ourselves. It is not `Deserialize`: nothing that takes a request apart can hold a user, and a handler has no other
/// than its caller. A test of the house lists who uses the doors.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(into = "String")]
#[schema(value_type = String)]
pub struct Uid(String);

/// A run: `job_…` or `batch_…` with 24 characters of base 32.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, example = "batch_0a1b2c3d4e5f6g7h8j9kmnpq")]
pub struct JobId(String);

/// One item of a batch, `<batch id>_0007`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChildId {
    pub batch: JobId,
    /// 1-based position among the accepted items.
    pub index: u32,
}

/// What a job id in a URL may name.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum JobRef {
    Run(JobId),
    Child(ChildId),
}

impl IdError {
    pub(crate) fn new(text: String, what: &'static str) -> Self {
        IdError(text, what)
    }
}

impl Uid {
    /// The user of this name. For who may not ask for any user's data, but knows whose they are to work on.
    pub fn named(text: String) -> Result<Self, IdError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.@:".contains(c);
        let begins_well = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        if text.len() <= 128 && begins_well && text.chars().all(allowed) {
            Ok(Uid(text))
        } else {
            Err(IdError(text, "the id of a user"))
        }
    }

    /// Reads the field of a document, a report or a message that we wrote: `deserialize_with`.
    pub fn stored<'de, D: Deserializer<'de>>(field: D) -> Result<Self, D::Error> {
        Uid::named(String::deserialize(field)?).map_err(D::Error::custom)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl JobId {
    /// The id of a run, from 24 characters that a random or derived id source gave.
    pub fn new(batch: bool, unique: &str) -> Result<Self, IdError> {
        JobId::try_from(format!("{}_{unique}", if batch { "batch" } else { "job" }))
    }

    pub fn is_batch(&self) -> bool {
        self.0.starts_with("batch_")
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id of this batch's item at the 1-based `index`.
    pub fn child(&self, index: u32) -> String {
        format!("{}_{index:04}", self.0)
    }
}

impl JobRef {
    /// The run itself, or the batch the item belongs to.
    pub fn run(&self) -> &JobId {
        match self {
            JobRef::Run(id) => id,
            JobRef::Child(child) => &child.batch,
        }
    }
}

impl TryFrom<String> for JobId {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        let unique = text.strip_prefix("job_").or_else(|| text.strip_prefix("batch_"));
        let allowed = |c: char| c.is_ascii_digit() || c.is_ascii_lowercase();
        if unique.is_some_and(|unique| unique.len() == 24 && unique.chars().all(allowed)) {
            Ok(JobId(text))
        } else {
            Err(IdError(text, "the id of a job or batch"))
        }
    }
}

impl TryFrom<String> for JobRef {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        let Some((batch, index)) = text.rsplit_once('_').filter(|(batch, _)| batch.contains('_')) else {
            return JobId::try_from(text).map(JobRef::Run);
        };
        let wrong = || IdError(text.clone(), "the id of a job or batch");
        let batch = JobId::try_from(batch.to_owned()).map_err(|_| wrong())?;
        let index: u32 = index.parse().map_err(|_| wrong())?;
        if batch.is_batch() && index > 0 && batch.child(index) == text {
            Ok(JobRef::Child(ChildId { batch, index }))
        } else {
            Err(wrong())
        }
    }
}

impl From<Uid> for String {
    fn from(id: Uid) -> String {
        id.0
    }
}

impl From<JobId> for String {
    fn from(id: JobId) -> String {
        id.0
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIQUE: &str = "0123456789abcdefghjkmnpq";

    #[test]
    fn an_item_of_a_batch_has_one_spelling() {
        let batch = JobId::new(true, UNIQUE).unwrap();
        let child = JobRef::try_from(format!("batch_{UNIQUE}_0007")).unwrap();
        assert_eq!(child, JobRef::Child(ChildId { batch: batch.clone(), index: 7 }));
        assert_eq!(JobRef::try_from(batch.child(12_345)).unwrap().run(), &batch);
        for wrong in ["_7", "_0000", "_00007", "_x", "_-001"] {
            assert!(JobRef::try_from(format!("{batch}{wrong}")).is_err(), "{wrong}");
        }
        assert!(JobRef::try_from(format!("job_{UNIQUE}_0007")).is_err(), "a single prediction has no items");
    }

    #[test]
    fn ids_that_could_leave_their_place_are_refused() {
        for wrong in ["", "../x", "a/b", ".hidden", "a b", "__x__", "é"] {
            assert!(Uid::named(wrong.to_owned()).is_err(), "{wrong}");
        }
        for wrong in ["job_", "job_../../../../../../../../x", "JOB_0123456789abcdefghjkmnpq", "x"] {
            assert!(JobId::try_from(wrong.to_owned()).is_err(), "{wrong}");
        }
    }
}
