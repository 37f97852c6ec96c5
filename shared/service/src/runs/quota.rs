//! What a user's runs may use, over all instances. A submission reads the account, then what the user's runs hold, and
//! commits the account with the run: any other submission in between makes it read again, so that two at once cannot
//! both take the last place. What ends in between only leaves more room.

use super::recent::Recent;
use crate::{Caller, Problem, places};
use chrono::{DateTime, Utc};
use domain::{Account, Demanded, Exceeded, Holding, JobType, LimitKind, Limits, Run, Status, Tier, Timestamp, Uid};
use platform::{Docs, Number, Query, Result, Version, Versioned, Write};
use serde_json::json;

/// Every limit of a deployment that holds nobody to any.
const NONE: Limits = Limits {
    requests_per_minute: u32::MAX,
    downloads_per_minute: u32::MAX,
    jobs_per_hour: u32::MAX,
    batches_per_day: u32::MAX,
    concurrent_jobs: u32::MAX,
    concurrent_batches: u32::MAX,
    ligands_per_batch: super::library::MOST_LIGANDS,
    gpu_minutes_per_month: u32::MAX,
};

/// A user's account as it was read: an empty one where there is none.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    pub account: Versioned<Account>,
    exists: bool,
}

/// The room a user has for one more run.
#[derive(Clone)]
pub struct Room {
    known: Known,
    holding: Holding,
    /// When that was counted, and whether this submission did.
    counted: DateTime<Utc>,
    anew: bool,
    batch: bool,
    tier: Tier,
    limits: Limits,
}

impl Known {
    /// The account of a user who has none.
    pub fn none(uid: &Uid) -> Self {
        let (path, version) = (places::account(uid), Version(String::new()));
        let account = Versioned { path, value: Account::default(), version, updated_at: Default::default() };
        Known { account, exists: false }
    }

    pub async fn read(docs: &Docs, uid: &Uid) -> Result<Self> {
        let found = docs.find::<Account>(&places::account(uid)).await?;
        Ok(found.map_or_else(|| Known::none(uid), |account| Known { account, exists: true }))
    }

    /// Writes it back if nobody has since it was read.
    pub fn write(&self) -> Result<Write> {
        let Versioned { path, value, version, .. } = &self.account;
        if self.exists {
            Write::replace(path.clone(), value, version.clone())
        } else {
            Write::create(path.clone(), value)
        }
    }
}

impl Room {
    /// The room of a user whose account was read before, once it is known what their runs hold. `claimed` is the tier that
    /// a verified token of this request claims; `limited` whether limits hold.
    pub fn new(mut known: Known, batch: bool, claimed: Option<Tier>, limited: bool) -> Self {
        let tier = known.account.value.tier(claimed);
        if claimed.is_some() {
            known.account.value.claimed_tier = claimed;
        }
        let limits = if limited { tier.limits() } else { NONE };
        let (holding, counted) = (Holding::default(), DateTime::UNIX_EPOCH);
        Room { known, holding, counted, anew: false, batch, tier, limits }
    }

    /// Counts what the user's runs hold: what is committed after the account was read makes the commit fail, what was
    /// before is counted here.
    pub async fn count(&mut self, docs: &Docs, uid: &Uid, now: DateTime<Utc>) -> Result<()> {
        let (concurrent, gpu_seconds) =
            futures::try_join!(unfinished(docs, uid, self.batch), charged(docs, uid, now.into()))?;
        self.holding = Holding { concurrent, gpu_seconds };
        (self.counted, self.anew) = (now, true);
        Ok(())
    }

    /// The same by what this instance counted a moment ago, where the account still is as it left it. False where it has
    /// to be counted.
    pub fn recall(&mut self, recent: &Recent, uid: &Uid, now: DateTime<Utc>) -> bool {
        let known = recent.holding(uid, self.batch, &self.known.account.version, now);
        if let Some((counted, holding)) = known {
            (self.counted, self.holding) = (counted, holding);
        }
        known.is_some()
    }

    /// Asks whether there is room, once more where it was recalled and there was none.
    pub async fn grants(
        &mut self,
        docs: &Docs,
        uid: &Uid,
        now: DateTime<Utc>,
        asked: impl Fn(&mut Room) -> Result<(), Box<Exceeded>>,
    ) -> Result<(), Problem> {
        match asked(self) {
            Err(_) if !self.anew => {
                self.count(docs, uid, now).await?;
                asked(self)
            }
            outcome => outcome,
        }
        .map_err(|exceeded| (*exceeded).into())
    }

    /// Keeps what the user's runs hold now that this run is one of them: the commit with [`Room::write`] left the
    /// account at this version.
    pub fn keep(&self, recent: &Recent, run: &Run, version: Version) {
        let Holding { concurrent, gpu_seconds } = self.holding;
        let holding = Holding { concurrent: concurrent + 1, gpu_seconds: gpu_seconds + run.charged_gpu_seconds };
        recent.keep(&run.uid, self.batch, version, self.counted, holding);
    }

    /// The most ligands a batch may have.
    pub fn most_ligands(&self) -> u32 {
        self.limits.ligands_per_batch
    }

    /// The user's weight where GPUs are shared between users.
    pub fn weight(&self) -> u32 {
        self.tier.weight()
    }

    /// The refusal of a library with more.
    pub fn too_many_ligands(&self) -> Exceeded {
        let limit = u64::from(self.most_ligands());
        let (kind, tier) = (LimitKind::LigandsPerBatch, self.tier);
        Exceeded { kind, tier, limit, used: 0, wanted: limit + 1, resets_at: None, retry_after: None }
    }

    /// Whether there is room for any run of this kind at all: asked before a library is read.
    pub fn for_any(&self, batch: bool, now: Timestamp) -> Result<(), Box<Exceeded>> {
        let demanded = Demanded { batch, ligands: 1, gpu_seconds: 0.0 };
        self.known.account.value.clone().admit(self.tier, &self.limits, demanded, self.holding, now)
    }

    /// Takes the room for a run; it is taken once [`Room::write`] is committed with the run.
    pub fn take(&mut self, run: &Run, now: Timestamp) -> Result<(), Box<Exceeded>> {
        let batch = run.job_type != JobType::Individual;
        let demanded = Demanded { batch, ligands: run.items, gpu_seconds: run.charged_gpu_seconds };
        self.known.account.value.admit(self.tier, &self.limits, demanded, self.holding, now)
    }

    /// The account as it then is.
    pub fn write(&self) -> Result<Write> {
        self.known.write()
    }
}

/// Notes the tier that the caller's token claims, for what they do later without one. Nothing is written where that is
/// noted already; who loses a race is right the next time.
pub async fn note_tier(docs: &Docs, caller: &Caller) -> Result<(), Problem> {
    let mut known = Known::read(docs, &caller.uid).await?;
    if caller.claimed_tier.is_none() || known.account.value.claimed_tier == caller.claimed_tier {
        return Ok(());
    }
    known.account.value.claimed_tier = caller.claimed_tier;
    match docs.commit(vec![known.write()?]).await {
        Err(error) if error.is_race() => Ok(()),
        outcome => Ok(outcome?),
    }
}

/// How many of the user's runs have not ended: single predictions, or batches.
pub async fn unfinished(docs: &Docs, uid: &Uid, batch: bool) -> Result<u64> {
    let kind = if batch { JobType::BatchParent } else { JobType::Individual };
    let open = [Status::Queued, Status::Running, Status::Aggregating].map(|status| json!(status));
    docs.count(&Query::collection(places::jobs(uid)).equals("job_type", json!(kind)).any_of("status", open)).await
}

/// GPU seconds charged to the user's runs of the month of `now`, without those that were purged, which the account
/// tells.
pub async fn charged(docs: &Docs, uid: &Uid, now: Timestamp) -> Result<f64> {
    let month = Query::collection(places::jobs(uid)).equals("month", now.month());
    let [seconds] = docs.aggregate(&month, [Number::Sum("charged_gpu_seconds")]).await?;
    Ok(seconds)
}

#[cfg(test)]
mod tests;
