//! Result rows: the items of a shard joined with what its report says of them.

use super::shards::{self, REPORT_LIMIT};
use crate::places;
use domain::{Item, JobType, Outcome, Plan, Report, ResultRow, Run, Shard};
use futures::StreamExt;
use platform::{Blobs, Docs, Query, Result};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use tokio::io::AsyncBufReadExt;

/// Shards that are read at once.
const SIDE_BY_SIDE: usize = 16;

/// Bytes of an item in [`places::positions`].
const POSITION_BYTES: u64 = 4;

/// Other names of molecules by the row under which they run.
pub type OtherNames = BTreeMap<u64, Vec<String>>;

/// Every item of the run that has ended, in the order of the library.
pub async fn ended(docs: &Docs, blobs: &Blobs, run: &Run) -> Result<Vec<ResultRow>> {
    let names = other_names(blobs, run).await?;
    let shards = docs.query::<Shard>(&Query::collection(places::shards(&run.uid, &run.job_id))).await?;
    let reads: Vec<_> = shards.iter().map(|shard| of_shard(blobs, run, &shard.value, &names)).collect();
    let mut reads = futures::stream::iter(reads).buffered(SIDE_BY_SIDE);
    let mut rows = vec![];
    while let Some(read) = reads.next().await {
        rows.extend(read?);
    }
    rows.sort_by_key(|row| row.row);
    Ok(rows)
}

/// The rows of one shard's latest report.
async fn of_shard(blobs: &Blobs, run: &Run, shard: &Shard, names: &OtherNames) -> Result<Vec<ResultRow>> {
    let Some(outcomes) = outcomes(blobs, shard).await? else { return Ok(vec![]) };
    let items = shards::input(blobs, &run.uid, &run.job_id, shard.shard).await?.items;
    let mut items: BTreeMap<u32, Item> = items.into_iter().map(|item| (item.index, item)).collect();
    let pairs = outcomes.into_iter().filter_map(|outcome| Some((items.remove(&outcome.index)?, outcome)));
    Ok(pairs.map(|(item, outcome)| row(run, item, outcome, names)).collect())
}

/// One item by its 1-based index, with its row if it has ended.
pub async fn one(docs: &Docs, blobs: &Blobs, run: &Run, index: u32) -> Result<Option<(Item, Option<ResultRow>)>> {
    let Some(plan) = run.plan.as_ref().filter(|plan| plan.ready) else { return Ok(None) };
    let position = position(blobs, run, plan, index).await?;
    let Some(shard) = position.and_then(|position| plan.shard_at(position)) else { return Ok(None) };
    let (uid, job_id) = (&run.uid, &run.job_id);
    let items = shards::input(blobs, uid, job_id, shard).await?.items;
    let Some(item) = items.into_iter().find(|item| item.index == index) else { return Ok(None) };
    let shard = docs.get::<Shard>(&places::shard(uid, job_id, shard)).await?.value;
    let outcomes = outcomes(blobs, &shard).await?.unwrap_or_default();
    let outcome = outcomes.into_iter().find(|outcome| outcome.index == index);
    Ok(Some((item.clone(), outcome.map(|outcome| row(run, item, outcome, &OtherNames::new())))))
}

/// Where the item stands in the order of the shards.
async fn position(blobs: &Blobs, run: &Run, plan: &Plan, index: u32) -> Result<Option<u32>> {
    let Some(of_library) = index.checked_sub(1).filter(|of_library| *of_library < plan.items) else { return Ok(None) };
    if !plan.is_grouped() {
        return Ok(Some(of_library));
    }
    let at = u64::from(of_library) * POSITION_BYTES;
    let path = places::positions(&run.uid, &run.job_id)?;
    let bytes = blobs.get_range(&path, at..at + POSITION_BYTES).await?;
    Ok(bytes.as_ref().try_into().ok().map(u32::from_le_bytes))
}

async fn outcomes(blobs: &Blobs, shard: &Shard) -> Result<Option<Vec<Outcome>>> {
    let Some(name) = &shard.report else { return Ok(None) };
    let path = platform::BlobPath::new(places::REPORTS, name.clone())?;
    Ok(Some(blobs.get_json::<Report>(&path, REPORT_LIMIT).await?.outcomes))
}

fn row(run: &Run, item: Item, outcome: Outcome, names: &OtherNames) -> ResultRow {
    let job_id = match run.job_type {
        JobType::Individual => run.job_id.to_string(),
        JobType::BatchParent | JobType::BatchChild => run.job_id.child(item.index),
    };
    ResultRow {
        job_id,
        rank: None,
        ligand_name: item.name,
        other_names: names.get(&item.row).cloned().unwrap_or_default(),
        ligand_smiles: item.smiles,
        row: item.row,
        status: outcome.status,
        has_structure: outcome.files.contains_key("cif") || outcome.files.contains_key("pdb"),
        notes: item.notes,
        error: outcome.error,
        simulated: outcome.simulated,
        provenance: outcome.provenance,
        files: outcome.files,
        ..ResultRow::default()
    }
    .with_scores(outcome.scores)
}

/// The names of rejected rows that are another spelling of an accepted one.
pub async fn other_names(blobs: &Blobs, run: &Run) -> Result<OtherNames> {
    let mut names = OtherNames::new();
    let path = places::rejected(&run.uid, &run.job_id)?;
    if run.rejected > 0 {
        for_each_line(blobs, &path, |row: domain::Rejected| {
            if let Some(of) = row.duplicate_of {
                names.entry(of).or_default().push(row.name);
            }
        })
        .await?;
    }
    Ok(names)
}

/// Reads JSON lines one by one.
pub async fn for_each_line<T: DeserializeOwned>(
    blobs: &Blobs,
    path: &platform::BlobPath,
    mut take: impl FnMut(T),
) -> Result<()> {
    let mut lines = blobs.reader(path).await?.lines();
    while let Some(line) = lines.next_line().await.map_err(|error| platform::Error::internal("reading lines", error))? {
        take(serde_json::from_str(&line)?);
    }
    Ok(())
}
