//! `plan-run`: a run's document was written. While the run waits to be cut into shards, its library is read line by
//! line, once, and every shard gets its input object and then its document: where the plan has ligands of like size share
//! shards, one shard of each size is being filled. The plan itself was decided with the submission, so doing this again,
//! or twice at once, makes the same shards, and whoever takes over goes on where it stopped.

use axum::{extract::State, http::StatusCode, routing::post};
use domain::{Group, Item, JobId, Plan, Run, Shard, Status, Timestamp, Uid};
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
use std::collections::BTreeSet;
use tokio::io::AsyncBufReadExt;
use utoipa_axum::router::OpenApiRouter;

pub const FUNCTION: Function = Function::on("plan-run", Trigger::DocumentWritten { pattern: "users/*/jobs/*" }, router);

/// Shard documents written in one commit, after their inputs; no more is held at once.
const COMMIT: usize = 400;
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
    let there = written(world, run).await?;
    let mut lines = world.blobs.reader(&places::library(&run.uid, &run.job_id)?).await?.lines();
    let mut groups = Open::all(plan);
    let (mut positions, mut inputs) = (vec![], vec![]);
    for _ in 0..plan.items {
        let line = lines.next_line().await.map_err(|error| Error::internal("reading the library", error))?;
        let line = line.ok_or_else(|| Error::Invalid("the library is shorter than its plan".into()))?;
        let item = serde_json::from_str::<Item>(&line).map_err(Problem::internal)?;
        let group = groups.get_mut(plan.group_of(item.heavy_atoms)).filter(|group| group.left > 0);
        let group = group.ok_or_else(|| Error::Invalid("the library holds other sizes than its plan".into()))?;
        positions.extend(group.position.to_le_bytes());
        inputs.extend(group.add(plan, item).filter(|input| !there.contains(&input.shard)));
        if inputs.len() == COMMIT {
            write(world, run, plan, std::mem::take(&mut inputs)).await?;
        }
    }
    write(world, run, plan, inputs).await?;
    if plan.is_grouped() {
        let path = places::positions(&run.uid, &run.job_id)?;
        world.blobs.put_bytes(&path, positions, PutOptions::default()).await?;
    }
    Ok(())
}

/// Writes some shards: all their inputs, then their documents.
async fn write(world: &World, run: &Run, plan: &Plan, inputs: Vec<ShardInput>) -> Result<()> {
    if inputs.is_empty() {
        return Ok(());
    }
    let shards: Vec<_> = inputs.iter().map(|input| input.shard).collect();
    let puts: Vec<_> = inputs.into_iter().map(|input| put(&world.blobs, run, input)).collect();
    stream::iter(puts).buffer_unordered(SIDE_BY_SIDE).try_collect::<()>().await?;
    create(&world.docs, &run.uid, &run.job_id, &shards, |shard| plan.size(shard), world.clock.now().into()).await
}

/// The shard of a group that is being filled.
struct Open {
    shard: u32,
    items: Vec<Item>,
    /// Where the next item stands in the order of the shards.
    position: u32,
    /// Items the group has yet to get.
    left: u32,
}

impl Open {
    /// The first shard of every group.
    fn all(plan: &Plan) -> Vec<Open> {
        let (mut shard, mut position) = (0, 0);
        let open = |group: Group| {
            let open = Open { shard, items: vec![], position, left: group.items };
            (shard, position) = (shard + group.shards, position + group.items);
            open
        };
        plan.groups().into_iter().map(open).collect()
    }

    /// Puts an item into the shard; the shard, where that has filled it.
    fn add(&mut self, plan: &Plan, item: Item) -> Option<ShardInput> {
        self.items.push(item);
        self.position += 1;
        self.left -= 1;
        if self.items.len() < plan.size(self.shard) as usize {
            return None;
        }
        let input = ShardInput { shard: self.shard, items: std::mem::take(&mut self.items) };
        self.shard += 1;
        Some(input)
    }
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
