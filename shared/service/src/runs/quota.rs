//! What a user's runs may use, over all instances. A submission goes by the account and by what the user's runs hold,
//! and commits the account with the run: any other submission in between makes it read again, so that two at once cannot
//! both take the last place. What ends in between only leaves more room.
//!
//! What the runs hold stands in the account for a minute after it was counted, and every submission is added to it; an
//! account that this instance read a moment ago will do, because the commit finds out whether it still is that. Before
//! anybody is refused, both are read anew.

use super::submit::Ports;
use crate::{Caller, Problem, places};
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

/// A user's account as it was read or written: where there is none, an empty one without a version.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    pub account: Versioned<Account>,
}

/// Who asks for room, and for what.
#[derive(Clone)]
pub struct Asking {
    pub uid: Uid,
    pub batch: bool,
    /// The tier that a verified token of the request claims.
    pub claimed_tier: Option<Tier>,
}

/// The room a user has for one more run.
#[derive(Clone)]
pub struct Room {
    asking: Asking,
    known: Known,
    holding: Holding,
    /// Whether all of it was read for this submission.
    anew: bool,
    tier: Tier,
    limits: Limits,
}

impl Known {
    /// The account of a user who has none.
    pub fn none(uid: &Uid) -> Self {
        let (path, version) = (places::account(uid), Version(String::new()));
        let account = Versioned { path, value: Account::default(), version, updated_at: Default::default() };
        Known { account }
    }

    pub async fn read(docs: &Docs, uid: &Uid) -> Result<Self> {
        let found = docs.find::<Account>(&places::account(uid)).await?;
        Ok(found.map_or_else(|| Known::none(uid), |account| Known { account }))
    }

    fn exists(&self) -> bool {
        !self.account.version.0.is_empty()
    }

    /// Writes it back if nobody has since it was read.
    pub fn write(&self) -> Result<Write> {
        let Versioned { path, value, version, .. } = &self.account;
        if self.exists() {
            Write::replace(path.clone(), value, version.clone())
        } else {
            Write::create(path.clone(), value)
        }
    }
}

impl Room {
    /// The room of a user by the account as it is `known`, and by what it says that their runs hold, if that was counted
    /// lately.
    pub async fn of(ports: &Ports<'_>, asking: Asking, known: Option<Known>) -> Result<Self> {
        let known = match known {
            Some(known) => known,
            None => Known::read(ports.docs, &asking.uid).await?,
        };
        let now = Timestamp::from(ports.clock.now());
        let held = match known.exists() {
            true => known.account.value.held(asking.batch, now),
            // The first submission makes the account.
            false => Some(Holding::nothing(now)),
        };
        let holding = match held {
            Some(holding) => holding,
            None => count(ports.docs, &asking, now).await?,
        };
        Ok(Room::with(asking, known, holding, ports.settings.limits))
    }

    /// The same, all of it read now: what is committed after the account was read makes the commit fail, what was before
    /// is counted.
    pub async fn anew(ports: &Ports<'_>, asking: Asking) -> Result<Self> {
        let known = Known::read(ports.docs, &asking.uid).await?;
        let holding = count(ports.docs, &asking, ports.clock.now().into()).await?;
        Ok(Room { anew: true, ..Room::with(asking, known, holding, ports.settings.limits) })
    }

    fn with(asking: Asking, mut known: Known, holding: Holding, limited: bool) -> Self {
        let tier = known.account.value.tier(asking.claimed_tier);
        if asking.claimed_tier.is_some() {
            known.account.value.claimed_tier = asking.claimed_tier;
        }
        let limits = if limited { tier.limits() } else { NONE };
        Room { asking, known, holding, anew: false, tier, limits }
    }

    /// Asks whether there is room; once more by what is read now, where there was none by what was known.
    pub async fn grants(
        &mut self,
        ports: &Ports<'_>,
        asked: impl Fn(&mut Room) -> Result<(), Box<Exceeded>>,
    ) -> Result<(), Problem> {
        match asked(self) {
            Err(_) if !self.anew => {
                *self = Room::anew(ports, self.asking.clone()).await?;
                asked(self)
            }
            outcome => outcome,
        }
        .map_err(|exceeded| (*exceeded).into())
    }

    /// Keeps the account as the commit with [`Room::write`] left it.
    pub fn keep(self, ports: &Ports<'_>, version: Version) {
        let account = Versioned { version, ..self.known.account };
        ports.recent.keep_account(self.asking.uid, ports.clock.now(), Known { account });
    }

    /// True where the user never submitted anything.
    pub fn is_first(&self) -> bool {
        !self.known.exists()
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
    pub fn for_any(&self, now: Timestamp) -> Result<(), Box<Exceeded>> {
        let demanded = Demanded { batch: self.asking.batch, ligands: 1, gpu_seconds: 0.0 };
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

/// Counts what the user's runs hold.
async fn count(docs: &Docs, asking: &Asking, now: Timestamp) -> Result<Holding> {
    let Asking { uid, batch, .. } = asking;
    let (concurrent, gpu_seconds) = futures::try_join!(unfinished(docs, uid, *batch), charged(docs, uid, now))?;
    Ok(Holding { counted_at: now, concurrent, gpu_seconds })
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
