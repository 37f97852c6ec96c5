//! What a user's runs may use, over all instances. A submission reads the account, then what the user's runs hold, and
//! commits the account with the run: any other submission in between makes it read again, so that two at once cannot
//! both take the last place. What ends in between only leaves more room.

use crate::{Caller, Problem, places};
use domain::{Account, Demanded, Exceeded, Holding, JobType, LimitKind, Limits, Run, Status, Tier, Timestamp, Uid};
use platform::{Docs, Number, Query, Result, Versioned, Write};
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

/// The room a user has for one more run.
#[derive(Clone)]
pub struct Room {
    account: Versioned<Account>,
    exists: bool,
    holding: Holding,
    tier: Tier,
    limits: Limits,
}

impl Room {
    /// Reads it. `claimed` is the tier that a verified token of this request claims; `limited` whether limits hold.
    pub async fn of(
        docs: &Docs,
        uid: &Uid,
        batch: bool,
        claimed: Option<Tier>,
        limited: bool,
        now: Timestamp,
    ) -> Result<Self> {
        // The account first: what is committed after this makes the commit fail, what was before is counted below.
        let (mut account, exists) = account(docs, uid).await?;
        let tier = account.value.tier(claimed);
        if claimed.is_some() {
            account.value.claimed_tier = claimed;
        }
        let limits = if limited { tier.limits() } else { NONE };
        Ok(Room { account, exists, holding: holding(docs, uid, batch, now).await?, tier, limits })
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
        self.account.value.clone().admit(self.tier, &self.limits, demanded, self.holding, now)
    }

    /// Takes the room for a run; it is taken once [`Room::write`] is committed with the run.
    pub fn take(&mut self, run: &Run, now: Timestamp) -> Result<(), Box<Exceeded>> {
        let batch = run.job_type != JobType::Individual;
        let demanded = Demanded { batch, ligands: run.items, gpu_seconds: run.charged_gpu_seconds };
        self.account.value.admit(self.tier, &self.limits, demanded, self.holding, now)
    }

    /// The account as it then is.
    pub fn write(&self) -> Result<Write> {
        write(&self.account, self.exists)
    }
}

/// The account of a user, empty where there is none, and whether there is one.
pub async fn account(docs: &Docs, uid: &Uid) -> Result<(Versioned<Account>, bool)> {
    let path = places::account(uid);
    if let Some(account) = docs.find::<Account>(&path).await? {
        return Ok((account, true));
    }
    let none = platform::Version(String::new());
    Ok((Versioned { path, value: Account::default(), version: none, updated_at: Default::default() }, false))
}

/// Writes an account back if nobody has since it was read.
pub fn write(account: &Versioned<Account>, exists: bool) -> Result<Write> {
    if exists {
        Write::replace(account.path.clone(), &account.value, account.version.clone())
    } else {
        Write::create(account.path.clone(), &account.value)
    }
}

/// Notes the tier that the caller's token claims, for what they do later without one. Nothing is written where that is
/// noted already; who loses a race is right the next time.
pub async fn note_tier(docs: &Docs, caller: &Caller) -> Result<(), Problem> {
    let (mut account, exists) = account(docs, &caller.uid).await?;
    if caller.claimed_tier.is_none() || account.value.claimed_tier == caller.claimed_tier {
        return Ok(());
    }
    account.value.claimed_tier = caller.claimed_tier;
    match docs.commit(vec![write(&account, exists)?]).await {
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

async fn holding(docs: &Docs, uid: &Uid, batch: bool, now: Timestamp) -> Result<Holding> {
    let (concurrent, gpu_seconds) = futures::try_join!(unfinished(docs, uid, batch), charged(docs, uid, now))?;
    Ok(Holding { concurrent, gpu_seconds })
}

#[cfg(test)]
mod tests;
