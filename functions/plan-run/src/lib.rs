//! `plan-run`: a run's document was written. While the run waits to be cut into shards, its library is read line by
//! line and every shard gets its input object and its document. The plan itself was decided with the submission, so
//! doing this again, or twice at once, makes the same shards.

use axum::{extract::State, http::StatusCode, routing::post};
use domain::{Item, JobId, Run, Shard, Status, Timestamp, Uid};
use platform::{Docs, Error, PutOptions, Write};
use service::{
    Function, Problem, Result, Trigger, World,
    events::DocumentChange,
    places,
    runs::{
        self,
        shards::{self, ShardInput},
    },
};
use tokio::io::AsyncBufReadExt;
use utoipa_axum::router::OpenApiRouter;

pub const FUNCTION: Function = Function::on("plan-run", Trigger::DocumentWritten { pattern: "users/*/jobs/*" }, router);

/// Shard documents written in one commit.
const COMMIT: usize = 400;

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

async fn write_shards(world: &World, run: &Run) -> Result<()> {
    let Some(plan) = &run.plan else { return Ok(()) };
    let now = world.clock.now().into();
    let mut lines = world.blobs.reader(&places::library(&run.uid, &run.job_id)?).await?.lines();
    let mut documents = vec![];
    for shard in 0..plan.shards {
        let mut items = Vec::with_capacity(plan.size(shard) as usize);
        while items.len() < plan.size(shard) as usize {
            let line = lines.next_line().await.map_err(|error| Error::internal("reading the library", error))?;
            let line = line.ok_or_else(|| Error::Invalid("the library is shorter than its plan".into()))?;
            items.push(serde_json::from_str::<Item>(&line).map_err(Problem::internal)?);
        }
        let path = places::shard_input(&run.uid, &run.job_id, shard)?;
        world.blobs.put_json(&path, &ShardInput { shard, items }, PutOptions::default()).await?;
        documents.push(shard);
        if documents.len() == COMMIT || shard + 1 == plan.shards {
            create(&world.docs, &run.uid, &run.job_id, &documents, |shard| plan.size(shard), now).await?;
            documents.clear();
        }
    }
    Ok(())
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
