//! Writing a set of results: shards are read side by side, their rows sorted ([`sort`](crate::runs::sort)), written in the
//! order of ranks ([`emit`](super::emit)) and then indexed ([`orders`](super::orders)).

use super::{
    Folder, LAYOUT, Layout,
    batch::Batch,
    columns::Columns,
    emit::emit,
    entries::{Entries, GROUP},
    orders,
};
use crate::{
    Beside, places,
    runs::{
        exports,
        reuse::{self, Answers, Gathered},
        rows::{self, OtherNames},
        shards,
        sort::Sorter,
        views::shown,
    },
};
use domain::{BatchResults, ResultRow, Run, Shard, Status};
use futures::{StreamExt, TryStreamExt, future::try_join, stream};
use platform::{Blobs, Docs, Ids, PutOptions, Result};
use std::{collections::BTreeSet, pin::pin, sync::Arc};

/// How many of the best stand apart in `batch_results.json`.
const TOP: usize = 10;
/// The most rows `batch_results.json` lists.
pub const MOST_LISTED: usize = 10_000;
/// Objects listed at once, to be removed.
const PAGE: u32 = 400;
/// Objects removed at once.
const SIDE_BY_SIDE: usize = 16;

/// What is in memory at a time while results are written.
#[derive(Clone, Copy)]
pub(super) struct Held {
    /// Bytes of rows that are sorted; as many are being spilled.
    pub block: usize,
    /// Rows whose entries are sorted; as many are being spilled.
    pub group: usize,
}

const HELD: Held = Held { block: 24 * 1024 * 1024, group: GROUP };

/// Writes every result object of the run, under the writer's token.
pub async fn write(docs: &Docs, blobs: &Blobs, run: &Run, token: u32) -> Result<Layout> {
    let folder = Folder::of_token(run, token);
    exports::write_rejected_csv(blobs, run).await?;
    let written = gather(docs, blobs, run, &folder, "spill", HELD).await?;
    let summary = serde_json::to_vec_pretty(&written.summary)?;
    blobs.put_bytes(&folder.file("summary.json")?, summary, PutOptions::of_type("application/json")).await?;
    reuse::announce(blobs, run, written.simulated, written.summary.completed_jobs).await?;
    Ok(written)
}

/// The results there are of a run that ended without: as they are now, or, where no shard said anything new, as they were
/// written before.
pub async fn partial(docs: &Docs, blobs: &Blobs, ids: &Ids, run: &Run) -> Result<Folder> {
    let state = shards::state(docs, &run.uid, &run.job_id).await?;
    let folder = Folder(places::partial_results(&run.uid, &run.job_id, &state));
    if blobs.head(&folder.file(LAYOUT)?).await?.is_none() {
        // Two that write at once write the same objects, but must not read each other's spilled rows.
        gather(docs, blobs, run, &folder, &format!("spill-{}", ids.next()), HELD).await?;
    }
    Ok(folder)
}

/// Removes what writers left whose turn came before `token`.
pub async fn remove_older(blobs: &Blobs, run: &Run, token: u32) -> Result<()> {
    for older in 1..token {
        remove(blobs, places::final_results(&run.uid, &run.job_id, older).as_str()).await?;
    }
    Ok(())
}

/// Writes a set of results into the folder. What is not to be held is spilled below `scratch` there.
pub(super) async fn gather(
    docs: &Docs,
    blobs: &Blobs,
    run: &Run,
    folder: &Folder,
    scratch: &str,
    held: Held,
) -> Result<Layout> {
    let columns = Arc::new(Columns::of(run));
    let scratch = Folder(folder.0.below(&format!("{scratch}/")));
    let work = batches(blobs, run, columns.clone(), OtherNames::read(blobs, run).await?);
    let mut batches = pin!(rows::each(docs, run, work));
    let mut sorter = Sorter::new(blobs, scratch.0.below("rows-"), held.block);
    let mut gathered = Gathered::new(blobs, scratch.0.below("answers-"), held.block / 6);
    let (mut other, mut simulated) = (BTreeSet::new(), false);
    let indexed = run.question.is_some() && run.status == Status::Aggregating;
    while let Some(batch) = batches.try_next().await? {
        sorter.push(&batch.records).await?;
        other.extend(batch.other);
        simulated |= batch.simulated;
        if indexed {
            gathered.add(&batch.answers).await?;
        }
    }
    let other: Vec<_> = other.into_iter().collect();
    let entries = Entries::new(blobs, scratch.clone(), &columns, held.group);
    let emitting = async { emit(blobs, folder, &columns, &other, sorter.sorted().await?, entries).await };
    let ((), emitted) = try_join(index(blobs, run, gathered), emitting).await?;
    let layout = orders::write(blobs, folder, &columns, emitted, other, simulated).await?;
    write_listing(blobs, run, folder, &layout).await?;
    remove(blobs, scratch.0.as_str()).await?;
    blobs.put_json(&folder.file(LAYOUT)?, &layout, PutOptions::default()).await?;
    Ok(layout)
}

/// Writes by what later runs look results up; of a large run on a core of its own.
async fn index(blobs: &Blobs, run: &Run, gathered: Gathered) -> Result<()> {
    if !rows::is_large(run) {
        return gathered.write(blobs, run).await;
    }
    let (blobs, run) = (blobs.clone(), run.clone());
    Beside::begin(async move { gathered.write(&blobs, &run).await }).end("writing an index").await
}

type Work = futures::future::BoxFuture<'static, Result<Batch>>;

/// Makes the records of a shard's rows.
fn batches(blobs: &Blobs, run: &Run, columns: Arc<Columns>, names: OtherNames) -> impl Fn(Shard) -> Work + use<> {
    let shared = Arc::new((blobs.clone(), run.clone(), columns, names));
    move |shard| {
        let shared = shared.clone();
        Box::pin(async move {
            let (blobs, run, columns, names) = &*shared;
            let rows = rows::of_shard(blobs, run, &shard, names).await?;
            let answers = Answers::of(&rows, shard.shard);
            Ok(Batch { answers, ..Batch::of(&rows, columns)? })
        })
    }
}

/// Writes `batch_results.json` from the rows in the folder.
pub async fn write_listing(blobs: &Blobs, run: &Run, folder: &Folder, layout: &Layout) -> Result<()> {
    let rows = folder.stream(blobs).await?.take(MOST_LISTED);
    let jobs = rows.map_ok(shown).try_collect().await?;
    let content = serde_json::to_vec_pretty(&listing(run, jobs, layout.clone()))?;
    let path = folder.file("batch_results.json")?;
    blobs.put_bytes(&path, content, PutOptions::of_type("application/json")).await.map(|_| ())
}

pub(super) fn listing(run: &Run, jobs: Vec<ResultRow>, layout: Layout) -> BatchResults {
    let summary = layout.summary;
    let jobs_listed = jobs.len() as u32;
    BatchResults {
        batch_id: run.job_id.clone(),
        created_at: run.created_at,
        updated_at: run.ended_at.or(run.completed_at).unwrap_or(run.created_at),
        version: "1.0".into(),
        model: run.model.clone(),
        model_version: run.model_version.clone(),
        simulated: layout.simulated,
        job_count: summary.total_jobs,
        completed_count: summary.completed_jobs,
        top_predictions: jobs.iter().filter(|row| row.rank.is_some()).take(TOP).cloned().collect(),
        truncated: jobs_listed < summary.total_jobs,
        jobs_listed,
        jobs,
        summary,
    }
}

async fn remove(blobs: &Blobs, prefix: &str) -> Result<()> {
    loop {
        let page = blobs.list(places::ARTIFACTS, prefix, None, PAGE).await?;
        if page.is_empty() {
            return Ok(());
        }
        let deletes: Vec<_> = page.iter().map(|object| blobs.delete(&object.path)).collect();
        stream::iter(deletes).buffer_unordered(SIDE_BY_SIDE).try_collect::<()>().await?;
    }
}
