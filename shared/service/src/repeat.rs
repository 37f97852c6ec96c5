//! Requests that are sent again: for a day an `Idempotency-Key` of a user stands for one request. What is remembered of
//! it is written in the same commit as what it did, so that neither is there without the other; ids are made from key
//! and body, so that what happens before that commit may happen twice.

use crate::{Problem, World};
use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use domain::{JobId, Timestamp, Uid};
use platform::{Clock, DocPath, Docs, Ids, Version, Versioned, Write};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How long a key is remembered, in seconds.
const REMEMBERED: u64 = 24 * 3600;
/// Times a request that changes something is decided anew because somebody else was faster.
const ATTEMPTS: u32 = 20;

/// The key of a request that may be sent again, and the digest of its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repeatable {
    pub key: String,
    pub digest: String,
}

/// An answer as it is remembered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    pub status: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    pub body: Value,
}

/// What is remembered of a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kept {
    /// It made this run, which is shown as it then is.
    Run(JobId),
    /// It was answered so.
    Answer(Answer),
    /// That it was made; it is harmless to do it again, which gives the answer again.
    Nothing,
}

/// What a request comes to: the answer, the writes that make it true, and what is remembered of it. Secrets may stand
/// in the answer, never in what is kept.
pub struct Decided {
    pub answer: Answer,
    pub kept: Kept,
    pub writes: Vec<Write>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Remembered {
    #[serde(deserialize_with = "Uid::stored")]
    uid: Uid,
    digest: String,
    kept: Kept,
    expire_at: Timestamp,
}

/// One request under a key.
pub struct Repeat {
    uid: Uid,
    digest: String,
    path: DocPath,
    id: String,
    now: Timestamp,
    /// What an expired use of the key left.
    stale: Option<Version>,
}

/// The key of a request, if it has one, with the digest of its body.
pub fn repeatable(key: Option<String>, digest: String) -> Option<Repeatable> {
    key.map(|key| Repeatable { key, digest })
}

impl Repeat {
    /// `purpose` tells requests apart that may have the same body.
    pub fn new(uid: &Uid, purpose: &str, Repeatable { key, digest }: Repeatable, clock: &Clock) -> Self {
        let now = Timestamp::from(clock.now());
        let digest = Ids::derived(&[purpose, &digest]);
        // With the day in it, a key that was forgotten stands for something new; within a day what is remembered says
        // which id came first.
        let id = Ids::derived(&[uid.as_str(), &key, &digest, &now.floor(REMEMBERED.cast_signed()).to_string()]);
        let path = crate::places::idempotency(&Ids::derived(&[uid.as_str(), &key]));
        Repeat { uid: uid.clone(), digest, path, id, now, stale: None }
    }

    /// What is remembered of the first request with this key; another body under it is refused.
    pub async fn first(&mut self, docs: &Docs) -> Result<Option<Kept>, Problem> {
        let Some(Versioned { value, version, .. }) = docs.find::<Remembered>(&self.path).await? else {
            self.stale = None;
            return Ok(None);
        };
        if value.expire_at <= self.now {
            self.stale = Some(version);
            return Ok(None);
        }
        if value.digest != self.digest {
            return Err(Problem::invalid("this Idempotency-Key was used with another request"));
        }
        Ok(Some(value.kept))
    }

    /// 24 characters that key and body always make on one day.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// To be committed with what the request does: fails where another request with the key was faster.
    pub fn remember(&self, kept: Kept) -> platform::Result<Write> {
        let expire_at = self.now.plus_seconds(REMEMBERED);
        let value = Remembered { uid: self.uid.clone(), digest: self.digest.clone(), kept, expire_at };
        match &self.stale {
            Some(version) => Write::replace(self.path.clone(), &value, version.clone()),
            None => Write::create(self.path.clone(), &value),
        }
    }
}

/// To be committed with the run that an upload becomes: the same upload becomes no other one within the day, also if
/// this one was purged.
pub fn taken_in(uid: &Uid, job_id: &JobId, clock: &Clock) -> platform::Result<Write> {
    let (kept, expire_at) = (Kept::Run(job_id.clone()), Timestamp::from(clock.now()).plus_seconds(REMEMBERED));
    let note = Remembered { uid: uid.clone(), digest: String::new(), kept, expire_at };
    Write::create(note_of_upload(uid, job_id), &note)
}

/// True where an upload became this run.
pub async fn was_taken_in(docs: &Docs, uid: &Uid, job_id: &JobId) -> platform::Result<bool> {
    Ok(docs.find::<Remembered>(&note_of_upload(uid, job_id)).await?.is_some())
}

fn note_of_upload(uid: &Uid, job_id: &JobId) -> DocPath {
    crate::places::idempotency(&Ids::derived(&["upload", uid.as_str(), job_id.as_str()]))
}

/// Does what `decide` says, once: a request with a key that is remembered is answered as the first one was. `decide` is
/// asked again where somebody else changed what it had read; it is given an id that repeats with the request (a random
/// one where it has no key).
pub async fn once<D, F>(
    world: &World,
    uid: &Uid,
    purpose: &str,
    repeatable: Option<Repeatable>,
    decide: D,
) -> Result<Answer, Problem>
where
    D: Fn(String) -> F,
    F: Future<Output = Result<Decided, Problem>>,
{
    let mut repeat = repeatable.map(|repeatable| Repeat::new(uid, purpose, repeatable, &world.clock));
    let id = repeat.as_ref().map_or_else(|| world.ids.next(), |repeat| repeat.id().to_owned());
    let mut raced = None;
    for _ in 0..ATTEMPTS {
        let first = match &mut repeat {
            Some(repeat) => repeat.first(&world.docs).await?,
            None => None,
        };
        if let Some(Kept::Answer(answer)) = first {
            return Ok(answer);
        }
        let Decided { answer, kept, mut writes } = decide(id.clone()).await?;
        if let (Some(repeat), None) = (&repeat, first) {
            writes.push(repeat.remember(kept)?);
        }
        if writes.is_empty() {
            return Ok(answer);
        }
        match world.docs.commit(writes).await {
            Ok(()) => return Ok(answer),
            Err(error) if error.is_race() => raced = Some(error),
            Err(error) => return Err(error.into()),
        }
    }
    Err(raced.map_or_else(|| Problem::conflict("try again").retry_after(1), Problem::from))
}

/// Remembers a request that changes nothing: another one under its key is refused, the same one may be answered anew.
pub async fn note(world: &World, uid: &Uid, purpose: &str, repeatable: Option<Repeatable>) -> Result<(), Problem> {
    let nothing =
        |_| async { Ok(Decided { answer: Answer::new(StatusCode::OK, &())?, kept: Kept::Nothing, writes: vec![] }) };
    once(world, uid, purpose, repeatable, nothing).await.map(|_| ())
}

impl Answer {
    /// A status and a body.
    pub fn new(status: StatusCode, body: &impl Serialize) -> Result<Self, Problem> {
        let body = serde_json::to_value(body).map_err(Problem::internal)?;
        Ok(Answer { status: status.as_u16(), location: None, body })
    }

    /// The same with the address of what was made.
    pub fn at(mut self, location: String) -> Self {
        self.location = Some(location);
        self
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::OK);
        let mut response = (status, Json(self.body)).into_response();
        if let Some(location) = self.location.and_then(|location| HeaderValue::try_from(location).ok()) {
            response.headers_mut().insert(header::LOCATION, location);
        }
        response
    }
}

#[cfg(test)]
mod tests;
