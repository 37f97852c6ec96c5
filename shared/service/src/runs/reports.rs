//! The reports of a shard: which of the objects below its name speak for it, and what they say. Whatever else lies there
//! is passed over.

use super::shards::input;
use crate::places;
use domain::{
    JobId, Outcome, OutcomeStatus, Report, Shard, Uid,
    safeguard::{Safeguard, holds},
};
use platform::{BlobPath, Blobs, Error, Result};
use std::collections::{BTreeMap, BTreeSet};

/// The most a report may weigh: thousands of items with all their scores.
pub const REPORT_LIMIT: u64 = 32 * 1024 * 1024;
/// More checkpoints than any attempt writes.
const REPORTS_LISTED: u32 = 10_000;

/// The newest report of the shard's current attempt. What is no report of it is passed over, wherever it came from.
pub async fn newest(blobs: &Blobs, uid: &Uid, job: &JobId, shard: &Shard) -> Result<Option<(String, Report)>> {
    let of_shard = places::reports_of(uid, job, shard.shard);
    let attempt = if holds(Safeguard::AttemptFence) { format!("{:04}/", shard.attempt) } else { String::new() };
    let listed = blobs.list(places::REPORTS, &format!("{of_shard}{attempt}"), None, REPORTS_LISTED).await?;
    for meta in listed.into_iter().rev() {
        if shard.report.as_deref() == Some(meta.path.name()) && holds(Safeguard::SequenceMonotone) {
            return Ok(None);
        }
        let report = match blobs.get_json::<Report>(&meta.path, REPORT_LIMIT).await {
            Err(Error::NotFound(_)) => continue,
            Err(Error::Invalid(_)) => None,
            read => Some(read?),
        };
        match report {
            Some(report) if is_of(blobs, &report, uid, job, shard).await? => {
                return Ok(Some((meta.path.name().to_owned(), report)));
            }
            _ => {
                tracing::warn!(object = %meta.path, "report ignored: it does not belong where it lies, or cannot be read");
            }
        }
    }
    Ok(None)
}

/// A report speaks for the shard it lies under, of no item twice, and its last one of exactly the shard's items.
async fn is_of(blobs: &Blobs, report: &Report, uid: &Uid, job: &JobId, shard: &Shard) -> Result<bool> {
    if !holds(Safeguard::ReportOwnership) {
        return Ok(true);
    }
    let belongs = report.uid == *uid
        && report.job_id == *job
        && report.shard == shard.shard
        && (report.attempt == shard.attempt || !holds(Safeguard::AttemptFence))
        && report.outcomes.len() <= shard.items as usize;
    let told: BTreeSet<_> = report.outcomes.iter().map(|outcome| outcome.index).collect();
    if !belongs || told.len() != report.outcomes.len() {
        return Ok(false);
    }
    Ok(!report.last || input(blobs, uid, job, shard.shard).await?.items.iter().map(|item| item.index).eq(told))
}

/// What all attempts at a shard have found out so far, by item: a result is kept over a failure, a later word over an
/// earlier one.
pub async fn earlier_outcomes(blobs: &Blobs, uid: &Uid, job: &JobId, shard: u32) -> Result<BTreeMap<u32, Outcome>> {
    let prefix = places::reports_of(uid, job, shard);
    let reports = blobs.list(places::REPORTS, &prefix, None, REPORTS_LISTED).await?;
    if reports.is_empty() {
        return Ok(BTreeMap::new());
    }
    let items: BTreeSet<_> = input(blobs, uid, job, shard).await?.items.into_iter().map(|item| item.index).collect();
    let of_items = |report: &Report| report.outcomes.iter().all(|outcome| items.contains(&outcome.index));
    // Each report tells all its attempt knows: the last one of an attempt is enough.
    let folder = |name: &str| name.rsplit_once('/').map(|(folder, _)| folder.to_owned());
    let mut of_attempts = BTreeMap::<_, Vec<_>>::new();
    for meta in reports {
        of_attempts.entry(folder(meta.path.name())).or_default().push(meta.path);
    }
    let mut known = BTreeMap::<u32, Outcome>::new();
    for paths in of_attempts.into_values() {
        let Some(report) = last_of(blobs, paths, (uid, job, shard), of_items).await? else { continue };
        for outcome in report.outcomes {
            let keep = known.get(&outcome.index).is_some_and(|earlier| {
                earlier.status == OutcomeStatus::Completed && outcome.status == OutcomeStatus::Failed
            });
            if !keep {
                known.insert(outcome.index, outcome);
            }
        }
    }
    Ok(known)
}

/// The last of an attempt's reports that can be read and belongs to the shard and its items.
async fn last_of(
    blobs: &Blobs,
    paths: Vec<BlobPath>,
    (uid, job, shard): (&Uid, &JobId, u32),
    of_items: impl Fn(&Report) -> bool,
) -> Result<Option<Report>> {
    for path in paths.into_iter().rev() {
        match blobs.get_json::<Report>(&path, REPORT_LIMIT).await {
            Ok(report) => {
                let attempt = format!("{}{:04}/", places::reports_of(uid, job, shard), report.attempt);
                let lies_there = path.name().starts_with(&attempt);
                let belongs = report.uid == *uid && report.job_id == *job && report.shard == shard;
                if lies_there && belongs && of_items(&report) {
                    return Ok(Some(report));
                }
            }
            Err(Error::Invalid(_) | Error::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}
