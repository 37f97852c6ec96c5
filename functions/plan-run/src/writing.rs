//! Shards on their way into the store: all inputs of some, then their documents in one commit, while the next ones are
//! filled.

use crate::Filled;
use domain::{JobId, Run, Shard, Uid};
use futures::{StreamExt, TryStreamExt, stream};
use platform::{Blobs, Docs, Error, PutOptions, Write};
use service::{
    Beside, Problem, Result, World, places,
    runs::{reuse, shards::ShardInput},
};
use std::sync::Arc;

/// Shard documents written in one commit, after their inputs; as many are filled meanwhile, and no more is held.
const COMMIT: usize = 200;
/// Objects written at once.
const SIDE_BY_SIDE: usize = 32;
/// Shards whose results are copied at once, each some files at a time.
const TAKEN_SIDE_BY_SIDE: usize = 8;

/// The shards of a run that are filled and not yet written. Dropped before [`Writing::finish`], it writes no more.
pub struct Writing {
    to: Arc<(World, Run, Vec<JobId>)>,
    filled: Vec<Filled>,
    beside: Option<Beside<(), Problem>>,
}

impl Writing {
    /// `known` are the runs that have what is taken over.
    pub fn new(world: &World, run: &Run, known: &[JobId]) -> Self {
        Writing { to: Arc::new((world.clone(), run.clone(), known.to_vec())), filled: vec![], beside: None }
    }

    /// One more. Where they are as many as one commit takes, those before them have been written when this returns.
    pub async fn add(&mut self, filled: Filled) -> Result<()> {
        self.filled.push(filled);
        if self.filled.len() == COMMIT {
            self.settled().await?;
            let (to, filled) = (self.to.clone(), std::mem::take(&mut self.filled));
            self.beside = Some(Beside::begin(async move { write(&to, filled).await }));
        }
        Ok(())
    }

    /// Writes what is left; all are written then.
    pub async fn finish(mut self) -> Result<()> {
        self.settled().await?;
        let filled = std::mem::take(&mut self.filled);
        write(&self.to, filled).await
    }

    async fn settled(&mut self) -> Result<()> {
        match self.beside.take() {
            Some(beside) => beside.end("writing shards").await,
            None => Ok(()),
        }
    }
}

/// Writes some shards: all their inputs, then their documents.
async fn write((world, run, known): &(World, Run, Vec<JobId>), filled: Vec<Filled>) -> Result<()> {
    if filled.is_empty() {
        return Ok(());
    }
    let (taken, new): (Vec<_>, Vec<_>) = filled.iter().partition(|filled| !filled.listed.is_empty());
    let puts: Vec<_> = filled.iter().map(|filled| put(&world.blobs, run, &filled.input)).collect();
    stream::iter(puts).buffer_unordered(SIDE_BY_SIDE).try_collect::<()>().await?;
    let copies = taken.into_iter().map(|filled| reuse::take_over(world, run, &filled.input, &filled.listed, known));
    let copies = stream::iter(copies.collect::<Vec<_>>()).buffer_unordered(TAKEN_SIDE_BY_SIDE);
    let mut shards = copies.try_collect::<Vec<_>>().await?;
    let now = world.clock.now().into();
    shards.extend(new.into_iter().map(|filled| Shard::new(filled.input.shard, filled.input.items.len() as u32, now)));
    create(&world.docs, &run.uid, &run.job_id, &shards).await
}

async fn put(blobs: &Blobs, run: &Run, input: &ShardInput) -> Result<()> {
    let path = places::shard_input(&run.uid, &run.job_id, input.shard)?;
    blobs.put_json(&path, input, PutOptions::default()).await?;
    Ok(())
}

/// Creates the documents of shards; those that an earlier, interrupted planning made stay as they are.
async fn create(docs: &Docs, uid: &Uid, job: &JobId, shards: &[Shard]) -> Result<()> {
    let new = |shard: &Shard| Write::create(places::shard(uid, job, shard.shard), shard);
    let writes = shards.iter().map(new).collect::<Result<Vec<_>, _>>()?;
    match docs.commit(writes).await {
        Err(Error::AlreadyExists(_)) => {}
        outcome => return Ok(outcome?),
    }
    for shard in shards {
        match docs.commit(vec![new(shard)?]).await {
            Ok(()) | Err(Error::AlreadyExists(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
