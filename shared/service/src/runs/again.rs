//! Runs that are looked at once more, when nobody can be left who works for them. What was purged, because somebody slow
//! may have written for it since; what ended before its shards did, because its workers' last words are to be read and
//! paid for, also where their reports were never heard of.

use super::{
    delete::remove_shards,
    reuse,
    shards::{account, all, refresh},
};
use crate::{World, chain, places};
use domain::{
    JobId, Run, Timestamp, Uid,
    safeguard::{Safeguard, holds},
};
use futures::{TryStreamExt, future::ready};
use platform::{Collection, Direction, Query, Result, Write};
use serde::{Deserialize, Serialize};

/// Notes that one call deals with.
const PAGE: u32 = 400;

/// What is looked at once more.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    #[serde(deserialize_with = "Uid::stored")]
    uid: Uid,
    job_id: JobId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    question: Option<String>,
    since: Timestamp,
}

/// Why it is.
#[derive(Clone, Copy, Debug)]
enum After {
    Purge,
    EarlyEnd,
}

/// The note of a run whose document goes.
pub(super) fn purged(world: &World, run: &Run) -> Result<Write> {
    After::Purge.note(&world.ids.next(), run, world.clock.now().into())
}

/// The note of a run that ends with this move while shards of it may be at work.
pub(super) fn ended_early(before: &Run, after: &Run) -> Result<Option<Write>> {
    let ends = !before.status.is_final() && after.has_ended_early() && holds(Safeguard::LastLook);
    let planned = after.plan.as_ref().is_some_and(|plan| plan.ready);
    let at = after.completed_at.filter(|_| ends && planned);
    at.map(|at| After::EarlyEnd.note(after.job_id.as_str(), after, at)).transpose()
}

/// Looks at every run that is due, the oldest first. One that fails keeps no other waiting and is tried again; its error
/// is told at the end.
pub async fn look_again(world: &World) -> Result<()> {
    let ended = After::EarlyEnd.look(world).await;
    After::Purge.look(world).await.and(ended)
}

impl After {
    fn notes(self) -> Collection {
        match self {
            After::Purge => places::purged(),
            After::EarlyEnd => places::ended_early(),
        }
    }

    fn note(self, id: &str, run: &Run, since: Timestamp) -> Result<Write> {
        let (uid, job_id) = (run.uid.clone(), run.job_id.clone());
        Write::create(self.notes().doc(id), &Note { uid, job_id, question: run.question.clone(), since })
    }

    /// The time in seconds after which nobody is at work. The executions of a run that ended are over within that of a
    /// lease; what they set going for a purged one is within as much again.
    fn wait(self, world: &World) -> f64 {
        let lease = world.settings.lease_time().as_secs_f64();
        match self {
            After::Purge => 2.0 * lease,
            After::EarlyEnd => lease,
        }
    }

    async fn look(self, world: &World) -> Result<()> {
        let now = Timestamp::from(world.clock.now());
        let oldest = Query::collection(self.notes()).order_by("since", Direction::Ascending).limit(PAGE);
        let mut outcome = Ok(());
        for note in world.docs.readable::<Note>(&oldest).await? {
            if now.seconds_since(note.value.since) < self.wait(world) {
                break;
            }
            let looked = match self.look_at(world, &note.value).await {
                Ok(()) => world.docs.commit(vec![Write::Delete { path: note.path, version: None }]).await,
                error => error,
            };
            if let Err(error) = &looked {
                tracing::error!(job.id = %note.value.job_id, after = ?self, error = %chain(error), "a last look failed");
            }
            outcome = outcome.and(looked);
        }
        outcome
    }

    async fn look_at(self, world: &World, note: &Note) -> Result<()> {
        let Note { uid, job_id, question, .. } = note;
        let there = world.docs.find::<Run>(&places::job(uid, job_id)).await?.is_some();
        match self {
            After::EarlyEnd if there => settle(world, uid, job_id).await,
            After::Purge if !there => {
                reuse::withdraw(&world.blobs, uid, job_id, question.as_deref()).await?;
                remove_shards(world, uid, job_id).await
            }
            _ => Ok(()),
        }
    }
}

/// Reads the last words of every worker, and accounts for them.
async fn settle(world: &World, uid: &Uid, job: &JobId) -> Result<()> {
    let begun = all(&world.docs, uid, job).try_filter(|shard| ready(!shard.done && shard.attempt > 0));
    let begun: Vec<_> = begun.map_ok(|shard| shard.shard).try_collect().await?;
    for shard in begun {
        refresh(world, uid, job, shard).await?;
    }
    account(world, uid, job).await
}
