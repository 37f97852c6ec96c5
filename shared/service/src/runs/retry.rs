//! Running a batch's failed ligands again: a new batch of those that have no result, with the target, the parameters and
//! the wishes of the first one. The first one notes which it is, so that asking twice makes one batch.

use super::{
    costs, draft, find_batch,
    library::{Items, Judged, Sizes},
    quota::{Asking, Room},
    reuse::Reuse,
    rows,
    submit::{self, Submission, tidy_up},
};
use crate::{Caller, Problem, World, places};
use bytes::Bytes;
use domain::{JobId, Run, Source, Tier};
use futures::StreamExt;
use models::Accepted;
use platform::{Blobs, PutOptions, Versioned, Write};
use std::{
    collections::BTreeSet,
    io,
    sync::{Arc, Mutex, PoisonError},
};

/// The most an input file of a model may weigh, in bytes.
const INPUT_FILE_LIMIT: u64 = 64 * 1024 * 1024;

/// Submits the ligands of an ended batch that have no result, failed or never run, as a batch of their own; or gives
/// back the batch that an earlier call made.
pub async fn retry(world: &World, caller: &Caller, id: &JobId) -> Result<Run, Problem> {
    loop {
        let first = find_batch(&world.docs, caller, id).await?;
        if let Some(again) = &first.value.retried_by
            && let Some(run) = world.docs.find::<Run>(&caller.job(again)).await?
        {
            return Ok(run.value);
        }
        if !first.value.status.is_final() {
            return Err(Problem::conflict("the batch has not ended; what fails in it can be run again when it has"));
        }
        let now = world.clock.now().into();
        let asking = Asking { uid: caller.uid.clone(), batch: true, claimed_tier: caller.claimed_tier };
        let mut room = Room::anew(&world.submitting(), asking).await?;
        room.for_any(now).map_err(|exceeded| *exceeded)?;
        let mut run = prepare(world, &first.value, caller.claimed_tier).await?;
        run.weight = room.weight();
        if let Err(exceeded) = room.take(&run, now) {
            tidy_up(&world.submitting(), &run).await?;
            return Err((*exceeded).into());
        }
        match commit(world, first, &run, room.write()?).await {
            Err(error) if error.is_race() => tidy_up(&world.submitting(), &run).await?,
            outcome => {
                outcome?;
                tracing::info!(job.id = %run.job_id, retry_of = %id, items = run.items, "failed ligands submitted again");
                return Ok(run);
            }
        }
    }
}

/// The new batch, the note on the first one and the room it takes: all or nothing.
async fn commit(world: &World, mut first: Versioned<Run>, run: &Run, taken: Write) -> platform::Result<()> {
    first.value.retried_by = Some(run.job_id.clone());
    let noted = Write::replace(first.path, &first.value, first.version)?;
    world.docs.commit(vec![Write::create(places::job(&run.uid, &run.job_id), run)?, noted, taken]).await
}

/// Writes the objects of the new batch, under a name nobody else uses; the run they belong to.
async fn prepare(world: &World, first: &Run, claimed_tier: Option<Tier>) -> Result<Run, Problem> {
    let done = rows::completed(&world.docs, &world.blobs, first).await?;
    let left = first.items.saturating_sub(done.len() as u32);
    if left == 0 {
        return Err(Problem::conflict("every ligand of the batch has its result"));
    }
    let job_id = JobId::new(true, &world.ids.next()).map_err(Problem::internal)?;
    let files = copy_files(&world.blobs, first, &job_id).await?;
    let sizes = copy_items(&world.blobs, first, &job_id, done).await?;
    let accepted = Accepted {
        input: first.input.clone(),
        files,
        parameters: first.parameters.clone(),
        target_residues: first.target_residues,
        designs: None,
    };
    let submission = Submission {
        uid: first.uid.clone(),
        account: None,
        claimed_tier,
        batch: true,
        name: first.name.as_ref().map(|name| format!("{name}, again")),
        model: submit::model(&first.model)?,
        accepted,
        priority: first.priority,
        strategy: first.strategy,
        max_concurrent: first.max_concurrent,
        max_cost_usd: first.max_cost_usd,
        source: Source::Api,
    };
    let judged = Judged { accepted: left, sizes, ..Judged::default() };
    let learned = costs::learned(&world.docs, submission.model).await;
    let mut run =
        draft::build(&submission, job_id, &judged, &Reuse::nothing(&judged), learned.as_ref(), &world.submitting());
    run.question = first.question.clone();
    run.retry_of = Some(first.job_id.clone());
    draft::within_budget(&run)?;
    Ok(run)
}

/// The model's large inputs. Gives back their names, in the form in which a submission holds them.
async fn copy_files(blobs: &Blobs, first: &Run, job_id: &JobId) -> Result<Vec<(String, String)>, Problem> {
    let mut names = vec![];
    for name in &first.input_files {
        let content = blobs.get(&places::input_file(&first.uid, &first.job_id, name)?, INPUT_FILE_LIMIT).await?;
        let path = places::input_file(&first.uid, job_id, name)?;
        blobs.put_bytes(&path, content, PutOptions::of_type("text/plain")).await?;
        names.push((name.clone(), String::new()));
    }
    Ok(names)
}

/// The items that are not `done`, numbered anew, in the order of the library; their sizes.
async fn copy_items(blobs: &Blobs, first: &Run, job_id: &JobId, done: BTreeSet<u32>) -> Result<Sizes, Problem> {
    let items = Items::of(blobs, first).await?;
    let sizes = Arc::new(Mutex::new(Sizes::default()));
    let counted = sizes.clone();
    let items = futures::stream::try_unfold((items, 0u32, done), move |(mut items, mut index, done)| {
        let counted = counted.clone();
        async move {
            while let Some(mut item) = items.next().await.map_err(io::Error::other)? {
                if !done.contains(&item.index) {
                    index += 1;
                    item.index = index;
                    counted.lock().unwrap_or_else(PoisonError::into_inner).add(item.heavy_atoms);
                    let mut line = serde_json::to_vec(&item).map_err(io::Error::other)?;
                    line.push(b'\n');
                    return Ok(Some((Bytes::from(line), (items, index, done))));
                }
            }
            Ok(None)
        }
    });
    let options = || PutOptions::of_type("application/x-ndjson");
    blobs.put(&places::library(&first.uid, job_id)?, items.boxed(), options()).await?;
    blobs.put_bytes(&places::rejected(&first.uid, job_id)?, Bytes::new(), options()).await?;
    let counted = std::mem::take(&mut *sizes.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(counted)
}
