//! `plan-run`: a run's document was written. While the run waits to be cut into shards, its library is read line by
//! line and every shard gets its input object and then its document. The plan itself was decided with the submission,
//! so doing this again, or twice at once, makes the same shards, and whoever takes over goes on where it stopped.

use axum::{extract::State, http::StatusCode, routing::post};
use domain::{Item, JobId, Run, Shard, Status, Timestamp, Uid};
use futures::{StreamExt, TryStreamExt, future::ready, stream};
use platform::{Blobs, Docs, Error, PutOptions, Write};
use service::{
    Function, Problem, Result, Trigger, World,
    events::DocumentChange,
    places,
    runs::{
        self,
        shards::{self, ShardInput},
    },
};
use std::{collections::BTreeSet, pin::pin};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, Lines};
use utoipa_axum::router::OpenApiRouter;

pub const FUNCTION: Function = Function::on("plan-run", Trigger::DocumentWritten { pattern: "users/*/jobs/*" }, router);

/// Shard documents written in one commit, after their inputs; no more is held at once.
const COMMIT: u32 = 400;
/// Objects written at once.
const SIDE_BY_SIDE: usize = 32;

fn router() -> OpenApiRouter<World> {
    OpenApiRouter::new().route("/", post(plan_run))
}

async fn plan_run(State(world): State<World>, change: DocumentChange) -> Result<StatusCode> {
    if change.text("status") != Some("queued") {
        return Ok(StatusCode::NO_CONTENT);
    }
    let Some(run) = world.docs.find::<Run>(&change.path).await? else { return Ok(StatusCode::NO_CONTENT) };
    let waits = run.value.status == Status::Queued && run.value.plan.as_ref().is_some_and(|plan| !plan.ready);
    if waits {
        plan(&world, run.value).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn plan(world: &World, run: Run) -> Result<()> {
    write_shards(world, &run).await?;
    let ready = |run: &mut Run| match &mut run.plan {
        Some(plan) if run.status == Status::Queued && !plan.ready => {
            plan.ready = true;
            run.dispatchable = true;
            true
        }
        _ => false,
    };
    if runs::update(&world.docs, &run.uid, &run.job_id, ready).await?.is_none() {
        tracing::info!(job.id = %run.job_id, "the run was purged while it was planned");
        return Ok(runs::remove_shards(world, &run.uid, &run.job_id).await?);
    }
    tracing::info!(job.id = %run.job_id, shards = run.plan.map_or(0, |plan| plan.shards), "run planned");
    Ok(shards::wake_dispatcher(world).await?)
}

/// Writes every shard's input and then its document: where an earlier planning was interrupted, what has both stays.
async fn write_shards(world: &World, run: &Run) -> Result<()> {
    let Some(plan) = &run.plan else { return Ok(()) };
    let now = world.clock.now().into();
    let there = written(world, run).await?;
    let lines = world.blobs.reader(&places::library(&run.uid, &run.job_id)?).await?.lines();
    let next = async |(mut lines, first): (Lines<_>, u32)| {
        let mut inputs = vec![];
        let end = plan.shards.min(first + COMMIT);
        for shard in first..end {
            let items = items(&mut lines, plan.size(shard), there.contains(&shard)).await?;
            inputs.extend(items.map(|items| ShardInput { shard, items }));
        }
        Ok::<_, Problem>((first < plan.shards).then_some((inputs, (lines, end))))
    };
    let mut groups = pin!(stream::try_unfold((lines, 0), next));
    while let Some(inputs) = groups.try_next().await? {
        let shards: Vec<_> = inputs.iter().map(|input| input.shard).collect();
        let put = |input: ShardInput| put(&world.blobs, run, input);
        stream::iter(inputs).map(put).buffer_unordered(SIDE_BY_SIDE).try_collect::<()>().await?;
        create(&world.docs, &run.uid, &run.job_id, &shards, |shard| plan.size(shard), now).await?;
    }
    Ok(())
}

/// The next items of the library; `None` where they are only passed over.
async fn items<R: AsyncBufRead + Unpin>(lines: &mut Lines<R>, size: u32, pass: bool) -> Result<Option<Vec<Item>>> {
    let mut items = vec![];
    for _ in 0..size {
        let line = lines.next_line().await.map_err(|error| Error::internal("reading the library", error))?;
        let line = line.ok_or_else(|| Error::Invalid("the library is shorter than its plan".into()))?;
        if !pass {
            items.push(serde_json::from_str::<Item>(&line).map_err(Problem::internal)?);
        }
    }
    Ok((!pass).then_some(items))
}

async fn put(blobs: &Blobs, run: &Run, input: ShardInput) -> Result<()> {
    let path = places::shard_input(&run.uid, &run.job_id, input.shard)?;
    blobs.put_json(&path, &input, PutOptions::default()).await?;
    Ok(())
}

/// The shards that an earlier planning of the run finished.
async fn written(world: &World, run: &Run) -> Result<BTreeSet<u32>> {
    let has_input = async |shard: Shard| {
        let input = places::shard_input(&run.uid, &run.job_id, shard.shard)?;
        Ok(world.blobs.head(&input).await?.map(|_| shard.shard))
    };
    let documents = shards::all(&world.docs, &run.uid, &run.job_id);
    let heads = documents.map_ok(has_input).try_buffer_unordered(SIDE_BY_SIDE);
    Ok(heads.try_filter_map(|shard| ready(Ok(shard))).try_collect().await?)
}

/// Creates the documents of shards; those that an earlier, interrupted planning made stay as they are.
async fn create(
    docs: &Docs,
    uid: &Uid,
    job: &JobId,
    shards: &[u32],
    size: impl Fn(u32) -> u32,
    now: Timestamp,
) -> Result<()> {
    let new = |shard: u32| Write::create(places::shard(uid, job, shard), &Shard::new(shard, size(shard), now));
    let writes = shards.iter().map(|shard| new(*shard)).collect::<Result<Vec<_>, _>>()?;
    match docs.commit(writes).await {
        Err(Error::AlreadyExists(_)) => {}
        outcome => return Ok(outcome?),
    }
    for shard in shards {
        match docs.commit(vec![new(*shard)?]).await {
            Ok(()) | Err(Error::AlreadyExists(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
