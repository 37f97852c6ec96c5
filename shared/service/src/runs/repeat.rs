//! Requests that are sent again: an `Idempotency-Key` stands for one body and one run. The run's id is made from both,
//! and what is remembered of the key is written in the same commit as the run.

use super::submit::Submission;
use crate::{Problem, places};
use domain::{JobId, Run, Timestamp, Uid};
use platform::{Clock, DocPath, Docs, Ids};
use serde::{Deserialize, Serialize};

/// How long the answer to an `Idempotency-Key` is remembered.
const REMEMBERED_SECONDS: u64 = 24 * 3600;

/// A request that may be sent again: its key and the digest of its body.
pub struct Repeatable {
    pub key: String,
    pub digest: String,
}

/// What is kept of the first request with a key.
#[derive(Serialize, Deserialize)]
pub(super) struct Remembered {
    uid: Uid,
    pub job_id: JobId,
    digest: String,
    expire_at: Timestamp,
}

/// The key of a request, if it has one, with the digest of its body.
pub fn repeatable(key: Option<String>, digest: String) -> Option<Repeatable> {
    key.map(|key| Repeatable { key, digest })
}

/// Where a key is remembered, and what of it; the id is the same for the same key and body.
pub(super) fn remember(
    submission: &Submission,
    repeatable: Repeatable,
    clock: &Clock,
) -> Result<(DocPath, Remembered), Problem> {
    let uid = submission.uid.clone();
    let path = places::idempotency(&Ids::derived(&[uid.as_str(), &repeatable.key]));
    let unique = Ids::derived(&[uid.as_str(), &repeatable.key, &repeatable.digest]);
    let job_id = JobId::new(submission.batch, &unique).map_err(Problem::internal)?;
    let expire_at = Timestamp::from(clock.now()).plus_seconds(REMEMBERED_SECONDS);
    Ok((path, Remembered { uid, job_id, digest: repeatable.digest, expire_at }))
}

/// Where it is noted that an upload was taken in as this run, and the note.
pub(super) fn taken_in(run: &Run, clock: &Clock) -> (DocPath, Remembered) {
    let path = places::idempotency(&Ids::derived(&["upload", run.uid.as_str(), run.job_id.as_str()]));
    let expire_at = Timestamp::from(clock.now()).plus_seconds(REMEMBERED_SECONDS);
    (path, Remembered { uid: run.uid.clone(), job_id: run.job_id.clone(), digest: String::new(), expire_at })
}

/// The run that the first request with this key made. Its id comes from the key and the body, so that it is found even
/// where the key was forgotten meanwhile.
pub(super) async fn repeated(docs: &Docs, path: &DocPath, wanted: &Remembered) -> Result<Option<Run>, Problem> {
    let first = docs.find::<Remembered>(path).await?.map(|first| first.value);
    if first.as_ref().is_some_and(|first| first.digest != wanted.digest) {
        return Err(Problem::invalid("this Idempotency-Key was used with another request"));
    }
    let run = docs.find::<Run>(&places::job(&wanted.uid, &wanted.job_id)).await?.map(|run| run.value);
    if run.is_none() && first.is_some() {
        return Err(Problem::conflict("what this Idempotency-Key made was purged; send another key to run it again"));
    }
    Ok(run)
}
