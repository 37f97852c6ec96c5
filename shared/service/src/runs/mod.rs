//! What several functions do with runs: take a submission in, judge a library, read shards and reports, move a run on
//! when its last shard is done, and show it. The rules themselves are in `domain`; here they meet documents and
//! objects, always in steps that may be repeated.

mod again;
pub mod closing;
pub mod costs;
mod delete;
mod draft;
pub mod exports;
pub mod intake;
pub mod library;
mod list;
mod pieces;
pub mod pipe;
pub mod queue;
pub mod quota;
pub mod quote;
pub mod recent;
pub mod repair;
pub mod reports;
pub mod requests;
pub mod results;
mod retry;
pub mod reuse;
pub mod rows;
pub mod screen;
pub mod shards;
pub mod silence;
mod sort;
pub mod submit;
pub mod upload;
pub mod views;

pub use again::look_again;
pub use delete::{DeleteQuery, cancel_or_purge, remove_objects, remove_shards};
pub use list::{ListQuery, Listed, list};
pub use retry::retry;

use crate::{Caller, Problem, places};
use domain::{
    JobId, JobType, Notice, Run, Uid,
    safeguard::{Safeguard, holds},
};
use platform::{Docs, Versioned, Write};
use serde_json::Value;

/// The caller's run, or a 404, whoever else may have one of that name.
pub async fn find(docs: &Docs, caller: &Caller, id: &JobId) -> Result<Versioned<Run>, Problem> {
    docs.find::<Run>(&caller.job(id)).await?.ok_or_else(|| Problem::not_found(id.as_str()))
}

/// Reads the run, lets `change` alter it, and writes it back with what is to be told of the move, again until nobody was
/// faster. `change` returns false where nothing is to be written. The run as it then is, or `None` if there is none.
pub async fn update<F>(docs: &Docs, uid: &Uid, id: &JobId, mut change: F) -> platform::Result<Option<Versioned<Run>>>
where
    F: FnMut(&mut Run) -> bool,
{
    loop {
        let Some(before) = docs.find::<Run>(&places::job(uid, id)).await? else { return Ok(None) };
        let mut after = before.value.clone();
        if !change(&mut after) {
            return Ok(Some(before));
        }
        match replace(docs, &before, &mut after).await {
            Err(error) if error.is_race() => continue,
            outcome => return outcome.map(|()| Some(Versioned { value: after, ..before })),
        }
    }
}

/// Writes a run that was read as `before`, and what the move leaves, in one commit: neither is there without the other.
/// Errs with a race where somebody was faster.
pub async fn replace(docs: &Docs, before: &Versioned<Run>, after: &mut Run) -> platform::Result<()> {
    let notices = after.news(&before.value);
    let moved = Write::replace(before.path.clone(), after, before.version.clone())?;
    let tell = |notice: &Notice| Write::create(places::notice(&notice.uid, &notice.id()), notice);
    let mut left = notices.iter().map(tell).collect::<platform::Result<Vec<_>>>()?;
    left.extend(again::ended_early(&before.value, after)?);
    if !holds(Safeguard::Outbox) {
        docs.commit(vec![moved]).await?;
        return if left.is_empty() { Ok(()) } else { docs.commit(left).await };
    }
    match docs.commit([vec![moved.clone()], left.clone()].concat()).await {
        Err(platform::Error::AlreadyExists(_)) => docs.commit([vec![moved], missing(docs, left).await?].concat()).await,
        outcome => outcome,
    }
}

/// Those documents to be created that are not there: what was told once is not told again.
async fn missing(docs: &Docs, creates: Vec<Write>) -> platform::Result<Vec<Write>> {
    let mut missing = vec![];
    for create in creates {
        if docs.find::<Value>(create.path()).await?.is_none() {
            missing.push(create);
        }
    }
    Ok(missing)
}

/// The caller's batch; a single prediction is not one.
pub async fn find_batch(docs: &Docs, caller: &Caller, id: &JobId) -> Result<Versioned<Run>, Problem> {
    let run = find(docs, caller, id).await?;
    if run.value.job_type == JobType::Individual { Err(Problem::not_found(id.as_str())) } else { Ok(run) }
}
