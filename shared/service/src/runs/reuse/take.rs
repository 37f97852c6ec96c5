//! Taking results over into a run: copies of another run's files, told by a report of the planner itself. The report is
//! created once and decides: whoever plans the run again, or beside, reads what it says.

use super::Listed;
use crate::{
    World, places,
    runs::{reports::REPORT_LIMIT, rows, shards::ShardInput},
};
use domain::{Item, JobId, LigandHash, Outcome, OutcomeStatus, Report, Run, Shard};
use futures::{StreamExt, TryStreamExt, stream};
use platform::{Blobs, Error, PutOptions, Result};
use std::collections::{BTreeMap, BTreeSet};

/// The attempt under which the planner reports; workers begin with 1.
const ATTEMPT: u32 = 0;
/// Files copied, or reports read, at once for a shard.
const SIDE_BY_SIDE: usize = 16;

/// Takes over what there is for a shard whose input is written; `listed` is what was found of its items, and `runs` the
/// list's runs. The shard as its document is to be: done, or left to a worker where something is gone.
pub async fn take_over(
    world: &World,
    run: &Run,
    input: &ShardInput,
    listed: &[Listed],
    runs: &[JobId],
) -> Result<Shard> {
    let path = places::report(&run.uid, &run.job_id, input.shard, ATTEMPT, 1)?;
    let report = match world.blobs.get_json::<Report>(&path, REPORT_LIMIT).await {
        Err(Error::NotFound(_)) => {
            let report = make(world, run, input, listed, runs).await?;
            match world.blobs.put_json(&path, &report, PutOptions::default().create_once()).await {
                Err(error) if error.is_race() => world.blobs.get_json(&path, REPORT_LIMIT).await?,
                outcome => outcome.map(|_| report)?,
            }
        }
        there => there?,
    };
    Ok(Shard::taken_over(&report, path.name(), input.items.len() as u32, world.clock.now().into()))
}

async fn make(world: &World, run: &Run, input: &ShardInput, listed: &[Listed], runs: &[JobId]) -> Result<Report> {
    let results = results(world, run, listed, runs).await?;
    let copies = input.items.iter().zip(listed).filter_map(|(item, listed)| {
        let source = runs.get(listed.run as usize)?;
        let result = results.get(&(listed.run, listed.shard, listed.item))?;
        // The list and the library were made by different readings of the user's file.
        let same = item.smiles.as_deref().is_some_and(|smiles| LigandHash::of(smiles) == listed.hash);
        same.then(|| copy(&world.blobs, run, item, source, result))
    });
    let copied = stream::iter(copies.collect::<Vec<_>>()).buffered(SIDE_BY_SIDE).try_collect::<Vec<_>>().await?;
    let outcomes: Vec<_> = copied.into_iter().flatten().collect();
    Ok(Report {
        uid: run.uid.clone(),
        job_id: run.job_id.clone(),
        shard: input.shard,
        attempt: ATTEMPT,
        seq: 1,
        last: outcomes.len() == input.items.len(),
        outcomes,
        gpu_seconds: 0.0,
        model_version: run.model_version.clone(),
        written_at: world.clock.now().into(),
        timing: None,
    })
}

/// The results that are still there, by run, shard and item.
async fn results(
    world: &World,
    run: &Run,
    listed: &[Listed],
    runs: &[JobId],
) -> Result<BTreeMap<(u32, u32, u32), Outcome>> {
    let wanted: BTreeSet<_> = listed.iter().map(|listed| (listed.run, listed.shard, listed.item)).collect();
    let shards: BTreeSet<_> = listed.iter().map(|listed| (listed.run, listed.shard)).collect();
    let reads = shards.into_iter().filter_map(|(source, shard)| {
        let path = places::shard(&run.uid, runs.get(source as usize)?, shard);
        Some(async move {
            let Some(found) = world.docs.find::<Shard>(&path).await? else { return Ok(vec![]) };
            let outcomes = match rows::outcomes(&world.blobs, &run.uid, &found.value).await {
                Err(Error::NotFound(_)) => vec![],
                read => read?,
            };
            Ok::<_, Error>(outcomes.into_iter().map(|outcome| ((source, shard, outcome.index), outcome)).collect())
        })
    });
    let mut reads = stream::iter(reads.collect::<Vec<_>>()).buffer_unordered(SIDE_BY_SIDE);
    let mut results = BTreeMap::new();
    while let Some(read) = reads.try_next().await? {
        let completed = |outcome: &Outcome| outcome.status == OutcomeStatus::Completed;
        results.extend(read.into_iter().filter(|(key, outcome)| wanted.contains(key) && completed(outcome)));
    }
    Ok(results)
}

/// The result as the item's own; `None` where a file of it is gone.
async fn copy(blobs: &Blobs, run: &Run, item: &Item, source: &JobId, result: &Outcome) -> Result<Option<Outcome>> {
    let mut files = BTreeMap::new();
    for (kind, name) in &result.files {
        let Ok(from) = places::own_artifact(&run.uid, source, name) else { return Ok(None) };
        let file = name.rsplit('/').next().unwrap_or(kind);
        let to = places::item_file(&run.uid, &run.job_id, item.index, ATTEMPT, file)?;
        match blobs.copy(&from, &to).await {
            Err(Error::NotFound(_)) => return Ok(None),
            copied => copied?,
        };
        files.insert(kind.clone(), to.name().to_owned());
    }
    let mut provenance = result.provenance.clone();
    provenance
        .entry("computed_by".to_owned())
        .or_insert_with(|| if source.is_batch() { source.child(result.index) } else { source.to_string() });
    Ok(Some(Outcome { index: item.index, files, cached: true, provenance, ..result.clone() }))
}
