//! Result rows: the items of a shard joined with what its report says of them. Shards are read some at a time, and
//! whoever asks for all of a run takes them shard by shard: nothing here holds a run.

use super::{reports::REPORT_LIMIT, shards};
use crate::places;
use domain::{Item, JobType, Outcome, OutcomeStatus, Plan, Report, ResultRow, Run, Scores, Shard, Uid};
use futures::{Stream, StreamExt, TryStreamExt, future::try_join};
use platform::{BlobPath, Blobs, Docs, Error, Result};
use serde::de::DeserializeOwned;
use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
};
use tokio::io::AsyncBufReadExt;

/// Shards that are read at once.
const SIDE_BY_SIDE: usize = 32;
/// The reports of so many items are read on one core: handing them to others takes longer.
const ON_ONE_CORE: u32 = 1000;

/// Bytes of an item in [`places::positions`].
const POSITION_BYTES: u64 = 4;

/// What `work` makes of every shard of the run, in the order of shards; some are worked on side by side.
pub(super) fn each<T, F, W>(docs: &Docs, run: &Run, work: W) -> impl Stream<Item = Result<T>> + use<T, F, W>
where
    W: Fn(Shard) -> F,
    F: Future<Output = Result<T>> + Send + 'static,
    T: Send + 'static,
{
    let large = is_large(run);
    let begin = move |shard: Result<Shard>| {
        let task = shard.map(&work);
        async move {
            if large {
                tokio::spawn(task?).await.map_err(|error| Error::internal("reading a shard", error))?
            } else {
                task?.await
            }
        }
    };
    shards::all(docs, &run.uid, &run.job_id).map(begin).buffered(SIDE_BY_SIDE)
}

/// True where it pays to work on the rows of a run on several cores.
pub(super) fn is_large(run: &Run) -> bool {
    run.items > ON_ONE_CORE
}

/// The rows of one shard's latest report, in the order of the report.
pub(super) async fn of_shard(blobs: &Blobs, run: &Run, shard: &Shard, names: &OtherNames) -> Result<Vec<ResultRow>> {
    if shard.report.is_none() {
        return Ok(vec![]);
    }
    let input = shards::input(blobs, &run.uid, &run.job_id, shard.shard);
    let (outcomes, input) = try_join(outcomes(blobs, &run.uid, shard), input).await?;
    Ok(join(run, input.items, outcomes, names))
}

/// The rows of outcomes of a shard, whose items these are; an outcome of no item has none.
pub(super) fn join(run: &Run, items: Vec<Item>, outcomes: Vec<Outcome>, names: &OtherNames) -> Vec<ResultRow> {
    let mut items: BTreeMap<u32, Item> = items.into_iter().map(|item| (item.index, item)).collect();
    let pairs = outcomes.into_iter().filter_map(|outcome| Some((items.remove(&outcome.index)?, outcome)));
    pairs.map(|(item, outcome)| row(run, item, outcome, names)).collect()
}

/// One item by its 1-based index, with its row if it has ended.
pub async fn one(docs: &Docs, blobs: &Blobs, run: &Run, index: u32) -> Result<Option<(Item, Option<ResultRow>)>> {
    if let (Some(item), Some(row), 1) = (&run.item, &run.row, index) {
        return Ok(Some((item.clone(), Some(ResultRow::clone(row)))));
    }
    let Some(plan) = run.plan.as_ref().filter(|plan| plan.ready) else { return Ok(None) };
    let position = position(blobs, run, plan, index).await?;
    let Some(shard) = position.and_then(|position| plan.shard_at(position)) else { return Ok(None) };
    let (uid, job_id) = (&run.uid, &run.job_id);
    let items = shards::input(blobs, uid, job_id, shard).await?.items;
    let Some(item) = items.into_iter().find(|item| item.index == index) else { return Ok(None) };
    let shard = docs.get::<Shard>(&places::shard(uid, job_id, shard)).await?.value;
    let outcome = outcomes(blobs, uid, &shard).await?.into_iter().find(|outcome| outcome.index == index);
    Ok(Some((item.clone(), outcome.map(|outcome| row(run, item, outcome, &OtherNames::default())))))
}

/// Where the item stands in the order of the shards.
async fn position(blobs: &Blobs, run: &Run, plan: &Plan, index: u32) -> Result<Option<u32>> {
    let Some(of_library) = index.checked_sub(1).filter(|of_library| *of_library < plan.all_items()) else {
        return Ok(None);
    };
    if !plan.is_grouped() {
        return Ok(Some(of_library));
    }
    let at = u64::from(of_library) * POSITION_BYTES;
    let path = places::positions(&run.uid, &run.job_id)?;
    let bytes = blobs.get_range(&path, at..at + POSITION_BYTES).await?;
    Ok(bytes.as_ref().try_into().ok().map(u32::from_le_bytes))
}

/// The 1-based indices of the items that have a result.
pub async fn completed(docs: &Docs, blobs: &Blobs, run: &Run) -> Result<BTreeSet<u32>> {
    let shards = shards::all(docs, &run.uid, &run.job_id);
    let reads = shards.map_ok(|shard| async move { outcomes(blobs, &run.uid, &shard).await });
    let mut reads = std::pin::pin!(reads.try_buffered(SIDE_BY_SIDE));
    let mut completed = BTreeSet::new();
    while let Some(outcomes) = reads.try_next().await? {
        let with_result = outcomes.into_iter().filter(|outcome| outcome.status == OutcomeStatus::Completed);
        completed.extend(with_result.map(|outcome| outcome.index));
    }
    Ok(completed)
}

/// What a shard's latest report says; nothing before the first.
pub(super) async fn outcomes(blobs: &Blobs, uid: &Uid, shard: &Shard) -> Result<Vec<Outcome>> {
    let Some(name) = &shard.report else { return Ok(vec![]) };
    let path = places::own_report(uid, name)?;
    Ok(blobs.get_json::<Report>(&path, REPORT_LIMIT).await?.outcomes)
}

/// The id under which a row stands.
pub(super) fn id(run: &Run, index: u32) -> String {
    match run.job_type {
        JobType::Individual => run.job_id.to_string(),
        JobType::BatchParent | JobType::BatchChild => run.job_id.child(index),
    }
}

fn row(run: &Run, item: Item, outcome: Outcome, names: &OtherNames) -> ResultRow {
    // Whatever a worker may say: what failed has no score, which every order of rows relies on.
    let scores = if outcome.status == OutcomeStatus::Completed { outcome.scores } else { Scores::default() };
    ResultRow {
        job_id: id(run, item.index),
        rank: None,
        ligand_name: item.name,
        other_names: names.of(item.row),
        ligand_smiles: item.smiles,
        row: item.row,
        status: outcome.status,
        has_structure: outcome.files.contains_key("cif") || outcome.files.contains_key("pdb"),
        notes: item.notes,
        error: outcome.error,
        simulated: outcome.simulated,
        cached: outcome.cached,
        provenance: outcome.provenance,
        molecule: outcome.molecule,
        files: outcome.files,
        ..ResultRow::default()
    }
    .with_scores(scores)
}

/// Other names of molecules by the row under which they run. A library may hold as many as it has rows: some 20 bytes
/// and the name each.
#[derive(Debug, Default)]
pub struct OtherNames {
    names: String,
    /// The row, and where its name ends and begins among the names; in the order of rows.
    places: Vec<(u64, u32, u32)>,
}

impl OtherNames {
    /// The names of rejected rows that are another spelling of an accepted one.
    pub async fn read(blobs: &Blobs, run: &Run) -> Result<Self> {
        let mut read = OtherNames::default();
        if run.rejected > 0 {
            for_each_line(blobs, &places::rejected(&run.uid, &run.job_id)?, |row| read.add(row)).await?;
        }
        read.places.sort_by_key(|(row, ..)| *row);
        Ok(read)
    }

    fn add(&mut self, row: domain::Rejected) {
        if let Some(of) = row.duplicate_of {
            let from = self.names.len() as u32;
            self.names.push_str(&row.name);
            self.places.push((of, from, self.names.len() as u32));
        }
    }

    fn of(&self, row: u64) -> Vec<String> {
        let first = self.places.partition_point(|(other, ..)| *other < row);
        let own = self.places[first..].iter().take_while(|(other, ..)| *other == row);
        own.map(|(_, from, to)| self.names[*from as usize..*to as usize].to_owned()).collect()
    }
}

/// Reads JSON lines one by one.
pub async fn for_each_line<T: DeserializeOwned>(blobs: &Blobs, path: &BlobPath, mut take: impl FnMut(T)) -> Result<()> {
    let mut lines = blobs.reader(path).await?.lines();
    while let Some(line) = lines.next_line().await.map_err(|error| Error::internal("reading lines", error))? {
        take(serde_json::from_str(&line)?);
    }
    Ok(())
}
