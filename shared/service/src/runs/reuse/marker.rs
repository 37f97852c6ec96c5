//! Markers: empty objects below a question's name, each of which says that a run has answers to it, and in its metadata
//! how many.

use crate::places;
use domain::{JobId, Run, Uid};
use platform::{Blobs, ObjectMeta, PutOptions, Result};
use std::{cmp::Reverse, collections::BTreeMap};

/// In a marker's metadata: how many ligands the run has results of.
const ANSWERS: &str = "answers";
/// Runs that are asked at most: so many of the newest, and of the others so many of those that have most.
const NEWEST: usize = 16;
const LARGEST: usize = 16;
/// Markers read at a time, and the most that are read.
const PAGE: u32 = 1000;
const MOST: usize = 20_000;

/// Lets later runs find what the index of this one says; called while its results are written.
pub(in crate::runs) async fn announce(blobs: &Blobs, run: &Run, simulated: bool, answers: u32) -> Result<()> {
    let Some(question) = &run.question else { return Ok(()) };
    if blobs.head(&places::answers(&run.uid, &run.job_id)?).await?.is_none() {
        return Ok(());
    }
    let marker = places::answered_by(&run.uid, question, simulated, &run.job_id)?;
    let metadata = BTreeMap::from([(ANSWERS.to_owned(), answers.to_string())]);
    blobs.put_bytes(&marker, vec![], PutOptions { metadata, ..PutOptions::default() }).await.map(|_| ())
}

/// Takes away the marker of a run that answered the question.
pub async fn withdraw(blobs: &Blobs, uid: &Uid, job: &JobId, question: Option<&str>) -> Result<()> {
    let Some(question) = question else { return Ok(()) };
    for simulated in [false, true] {
        blobs.delete(&places::answered_by(uid, question, simulated, job)?).await?;
    }
    Ok(())
}

/// The runs that are asked for answers to a question: the newest ones first, then the largest of the older ones. However
/// many small runs came after it, a large one is found.
pub(super) async fn answering(blobs: &Blobs, uid: &Uid, question: &str, simulated: bool) -> Result<Vec<JobId>> {
    let prefix = places::answers_to(uid, question, simulated);
    let mut markers: Vec<ObjectMeta> = vec![];
    loop {
        let after = markers.last().map(|marker| marker.path.name().to_owned());
        let page = blobs.list(places::ARTIFACTS, &prefix, after.as_deref(), PAGE).await?;
        let last = page.len() < PAGE as usize;
        markers.extend(page);
        if last || markers.len() >= MOST {
            break;
        }
    }
    markers.sort_by(|a, b| (b.created_at, b.path.name()).cmp(&(a.created_at, a.path.name())));
    let answers = |marker: &ObjectMeta| marker.metadata.get(ANSWERS).and_then(|count| count.parse::<u32>().ok());
    let mut older = markers.split_off(markers.len().min(NEWEST));
    older.sort_by_key(|marker| Reverse(answers(marker)));
    older.truncate(LARGEST);
    let job = |name: &str| name.strip_prefix(&prefix).and_then(|job| JobId::try_from(job.to_owned()).ok());
    Ok(markers.iter().chain(&older).filter_map(|marker| job(marker.path.name())).collect())
}
