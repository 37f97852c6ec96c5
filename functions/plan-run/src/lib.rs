//! `plan-run`: a run's document was written. While the run waits to be cut into shards, its library is read line by
//! line, once, and every shard gets its input object and then its document: where the plan has ligands of like size share
//! shards, one shard of each size is being filled. The plan itself was decided with the submission, so doing this again,
//! or twice at once, makes the same shards, and whoever takes over goes on where it stopped. Ligands whose results the
//! user has already get shards of their own, which are done as soon as the results are copied.

mod writing;

use axum::{extract::State, http::StatusCode, routing::post};
use domain::{Group, Item, Plan, Price, Run, Shard, Status};
use futures::{TryStreamExt, future::ready};
use platform::{Error, Number, PutOptions, Query};
use service::{
    Function, Result, Trigger, World,
    events::DocumentChange,
    places,
    runs::{
        self,
        library::Items,
        reuse::{Listed, Listing},
        shards::{self, ShardInput},
        upload::Upload,
    },
};
use std::collections::BTreeSet;
use utoipa_axum::router::OpenApiRouter;
use writing::Writing;

pub const FUNCTION: Function = Function::on("plan-run", Trigger::DocumentWritten { pattern: "users/*/jobs/*" }, router);

/// Shards that are looked for at once.
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
    let cached = run.value.cached > 0;
    let (uid, job) = (run.value.uid.clone(), run.value.job_id.clone());
    if waits {
        plan(&world, run.value).await?;
    }
    if cached {
        // All that is to be done may be done, and no worker reports. Who dies before this is called again, because of
        // the document just written.
        shards::evaluate(&world, &uid, &job).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn plan(world: &World, run: Run) -> Result<()> {
    write_shards(world, &run).await?;
    let taken = taken_over(world, &run).await?;
    let ready = |run: &mut Run| match &mut run.plan {
        Some(plan) if run.status == Status::Queued && !plan.ready => {
            plan.ready = true;
            run.dispatchable = true;
            taken.tell(run);
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

/// What was taken over of the results that were known when the run was submitted.
#[derive(Default)]
struct Taken {
    items: u32,
    /// Shards of which it is all.
    shards: u32,
}

impl Taken {
    /// Counts it as ended; what is gone since is to be run, and paid for.
    fn tell(&self, run: &mut Run) {
        run.cached = self.items;
        run.count(self.items, 0, 0);
        if let Some(plan) = run.plan.as_mut().filter(|plan| plan.known.items() > self.items) {
            plan.lose_known(plan.known.items() - self.items, plan.known.shards().saturating_sub(self.shards));
            run.cost.estimated_usd = Some(Price::L4_US_CENTRAL1.of(plan.gpu_seconds));
            run.charge();
        }
    }
}

async fn taken_over(world: &World, run: &Run) -> Result<Taken> {
    if run.cached == 0 {
        return Ok(Taken::default());
    }
    let shards = Query::collection(places::shards(&run.uid, &run.job_id));
    let [items] = world.docs.aggregate(&shards, [Number::Sum("cached")]).await?;
    let items = items as u32;
    let shards = world.docs.count(&shards.equals("done", true)).await? as u32;
    Ok(Taken { items, shards })
}

/// Writes every shard's input and then its document: where an earlier planning was interrupted, what has both stays.
async fn write_shards(world: &World, run: &Run) -> Result<()> {
    let Some(plan) = &run.plan else { return Ok(()) };
    let there = written(world, run).await?;
    let mut items = Items::of(&world.blobs, run).await?;
    let mut known = Listing::open(&world.blobs, run).await?;
    let mut groups = Open::all(plan);
    let path = places::positions(&run.uid, &run.job_id)?;
    let mut positions = Upload::begin(&world.blobs, path, PutOptions::default());
    let mut writing = Writing::new(world, run, &known.runs);
    for _ in 0..plan.all_items() {
        let item = items.next().await?;
        let item = item.ok_or_else(|| Error::Invalid("the library is shorter than its plan".into()))?;
        let listed = known.of(item.index).await?;
        let group = plan.group_of(item.heavy_atoms, listed.is_some());
        let group = groups.get_mut(group).filter(|group| group.left > 0);
        let group = group.ok_or_else(|| Error::Invalid("the library holds other sizes than its plan".into()))?;
        if plan.is_grouped() {
            positions.push(&group.position.to_le_bytes()).await?;
        }
        if let Some(filled) = group.add(plan, item, listed).filter(|filled| !there.contains(&filled.input.shard)) {
            writing.add(filled).await?;
        }
    }
    writing.finish().await?;
    if plan.is_grouped() {
        positions.finish().await?;
    }
    Ok(())
}

/// A shard that has all its items, and what was found of them where that is known.
struct Filled {
    input: ShardInput,
    listed: Vec<Listed>,
}

/// The shard of a group that is being filled.
struct Open {
    shard: u32,
    items: Vec<Item>,
    listed: Vec<Listed>,
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
            let open = Open { shard, items: vec![], listed: vec![], position, left: group.items };
            (shard, position) = (shard + group.shards, position + group.items);
            open
        };
        plan.groups().into_iter().map(open).collect()
    }

    /// Puts an item into the shard; the shard, where that has filled it.
    fn add(&mut self, plan: &Plan, item: Item, listed: Option<Listed>) -> Option<Filled> {
        self.items.push(item);
        self.listed.extend(listed);
        self.position += 1;
        self.left -= 1;
        if self.items.len() < plan.size(self.shard) as usize {
            return None;
        }
        let input = ShardInput { shard: self.shard, items: std::mem::take(&mut self.items) };
        self.shard += 1;
        Some(Filled { input, listed: std::mem::take(&mut self.listed) })
    }
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

#[cfg(test)]
mod tests;
