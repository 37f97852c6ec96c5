//! The account document of a user: what an operator decided about them, and what of their limits is used up. It is
//! replaced by compare-and-set in the same commit as what it counts, so that a user's submissions come one after the
//! other and no counter drifts. Rules only: who reads and writes it is elsewhere.

use crate::{Limits, Role, Run, Tier, Timestamp};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// How runs of one kind are limited.
struct Kind {
    window: LimitKind,
    /// Seconds.
    span: i64,
    per_span: fn(&Limits) -> u32,
    concurrent: LimitKind,
    at_once: fn(&Limits) -> u32,
}

const JOBS: Kind = Kind {
    window: LimitKind::JobsPerHour,
    span: 3600,
    per_span: |limits| limits.jobs_per_hour,
    concurrent: LimitKind::ConcurrentJobs,
    at_once: |limits| limits.concurrent_jobs,
};
const BATCHES: Kind = Kind {
    window: LimitKind::BatchesPerDay,
    span: 24 * 3600,
    per_span: |limits| limits.batches_per_day,
    concurrent: LimitKind::ConcurrentBatches,
    at_once: |limits| limits.concurrent_batches,
};
/// Where it cannot be known when one of a user's runs will end, in seconds.
const ASK_AGAIN: u64 = 60;
/// How long what a user's runs hold is not counted anew, in seconds. Runs that end meanwhile only leave more room; what
/// runs take beyond their estimates in that time is not seen yet.
const COUNT_HOLDS: f64 = 60.0;

/// `users/{uid}`. An absent document is an empty one; an operator writes `tier` and `roles` and nothing else.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Account {
    /// The operator's word: stronger than what a token claims.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<Tier>,
    /// The operator's word: where it is there, the roles that a token claims do not count.
    #[serde(deserialize_with = "known_roles", skip_serializing_if = "Option::is_none")]
    pub roles: Option<Vec<Role>>,
    /// What the last verified token claimed: what API keys and uploads, which bring no token, go by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claimed_tier: Option<Tier>,
    /// Single predictions of this hour.
    pub jobs: Window,
    /// Batches of this day.
    pub batches: Window,
    /// What the user's single predictions hold at most: counted, and what was submitted since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_by_jobs: Option<Holding>,
    /// The same of batches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_by_batches: Option<Holding>,
    /// What purged runs came to, which no document tells any more, by the month (`2026-11`) that they are charged to.
    #[serde(rename = "purged_months")]
    pub purged: BTreeMap<String, Purged>,
    /// Raised with every change of the user's API keys, so that two of them cannot both be the last that is allowed.
    pub key_changes: u32,
    /// What else stands in the document stays in it.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A count that begins anew with every hour or day of UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Window {
    /// When it began; absent before the first use.
    pub since: Option<Timestamp>,
    pub used: u32,
}

/// What the purged runs of one month came to, all together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Purged {
    pub runs: u64,
    /// Ligands, or designs.
    pub completed: u64,
    pub failed: u64,
    pub gpu_seconds: f64,
    pub charged_gpu_seconds: f64,
}

/// What a submission asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Demanded {
    pub batch: bool,
    pub ligands: u32,
    /// As planned.
    pub gpu_seconds: f64,
}

/// What a user's runs hold, from their documents.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Holding {
    /// When they were read.
    pub counted_at: Timestamp,
    /// Runs of the kind that is asked for (single predictions, or batches) that have not ended.
    pub concurrent: u64,
    /// GPU seconds charged to this month's runs.
    pub gpu_seconds: f64,
}

/// Which limit a submission runs into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitKind {
    JobsPerHour,
    BatchesPerDay,
    ConcurrentJobs,
    ConcurrentBatches,
    LigandsPerBatch,
    GpuMinutesPerMonth,
}

/// A limit that leaves no room, with the figures that say so.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{} of the tier {tier} is {limit}; {used} used, {wanted} more wanted", kind.as_str())]
pub struct Exceeded {
    pub kind: LimitKind,
    pub tier: Tier,
    pub limit: u64,
    pub used: u64,
    /// What the submission would add.
    pub wanted: u64,
    /// When there is room again, as far as that is known.
    pub resets_at: Option<Timestamp>,
    /// Seconds after which it is worth asking again; absent where waiting does not help.
    pub retry_after: Option<u64>,
}

impl LimitKind {
    /// The name of its field in [`Limits`].
    pub const fn as_str(self) -> &'static str {
        match self {
            LimitKind::JobsPerHour => "jobs_per_hour",
            LimitKind::BatchesPerDay => "batches_per_day",
            LimitKind::ConcurrentJobs => "concurrent_jobs",
            LimitKind::ConcurrentBatches => "concurrent_batches",
            LimitKind::LigandsPerBatch => "ligands_per_batch",
            LimitKind::GpuMinutesPerMonth => "gpu_minutes_per_month",
        }
    }
}

impl Window {
    /// How much of the span that holds `now` is used up. A window that an instance with a faster clock began counts.
    fn used(&self, now: Timestamp, span: i64) -> u32 {
        if self.since.is_some_and(|since| since >= now.floor(span)) { self.used } else { 0 }
    }

    /// Uses one more.
    fn take(&mut self, now: Timestamp, span: i64) {
        let since = self.since.filter(|since| *since >= now.floor(span));
        *self = Window { used: self.used(now, span).saturating_add(1), since: since.or(Some(now.floor(span))) };
    }
}

impl Holding {
    /// What somebody's runs hold who never submitted one.
    pub fn nothing(now: Timestamp) -> Self {
        Holding { counted_at: now, concurrent: 0, gpu_seconds: 0.0 }
    }
}

impl Account {
    /// The tier that counts. `claimed` is what a verified token of this request says, where there is one.
    pub fn tier(&self, claimed: Option<Tier>) -> Tier {
        self.tier.or(claimed).or(self.claimed_tier).unwrap_or_default()
    }

    /// The roles that count.
    pub fn roles(&self, claimed: &[Role]) -> Vec<Role> {
        self.roles.clone().unwrap_or_else(|| claimed.to_vec())
    }

    /// What purged runs of this month came to.
    pub fn purged_in(&self, month: &str) -> Purged {
        self.purged.get(month).copied().unwrap_or_default()
    }

    /// Keeps what a run came to that is being purged.
    pub fn keep(&mut self, run: &Run) {
        let kept = self.purged.entry(run.month.clone()).or_default();
        kept.runs += 1;
        kept.completed += u64::from(run.progress.completed);
        kept.failed += u64::from(run.progress.failed);
        kept.gpu_seconds += run.cost.gpu_seconds;
        kept.charged_gpu_seconds += run.charged_gpu_seconds;
    }

    /// What the user's runs of this kind hold at most, where that was counted lately: every submission is added to it by
    /// the commit that makes its run.
    pub fn held(&self, batch: bool, now: Timestamp) -> Option<Holding> {
        let held = if batch { self.held_by_batches } else { self.held_by_jobs };
        let lately = |held: &Holding| (0.0..COUNT_HOLDS).contains(&now.seconds_since(held.counted_at));
        held.filter(lately).filter(|held| held.counted_at.month() == now.month())
    }

    /// Counts a submission, or says which limit leaves no room for it: then nothing is counted. `limits` are those of
    /// `tier`, `holding` what the user's runs hold now.
    pub fn admit(
        &mut self,
        tier: Tier,
        limits: &Limits,
        demanded: Demanded,
        holding: Holding,
        now: Timestamp,
    ) -> Result<(), Box<Exceeded>> {
        let over = |kind, limit: u32, used: u64, wanted: u64, resets_at: Option<Timestamp>, retry_after| {
            Err(Box::new(Exceeded { kind, tier, limit: limit.into(), used, wanted, resets_at, retry_after }))
        };
        let Demanded { batch, ligands, gpu_seconds } = demanded;
        if batch && ligands > limits.ligands_per_batch {
            return over(LimitKind::LigandsPerBatch, limits.ligands_per_batch, 0, ligands.into(), None, None);
        }
        let minutes = |seconds: f64| (seconds / 60.0).ceil() as u64;
        let (budget, spent) =
            (limits.gpu_minutes_per_month, holding.gpu_seconds + self.purged_in(&now.month()).charged_gpu_seconds);
        if spent + gpu_seconds > f64::from(budget) * 60.0 {
            let (used, wanted) = (minutes(spent), minutes(gpu_seconds));
            return over(LimitKind::GpuMinutesPerMonth, budget, used, wanted, Some(now.next_month()), None);
        }
        let kind = if batch { &BATCHES } else { &JOBS };
        let window = if batch { &mut self.batches } else { &mut self.jobs };
        let (used, most) = (window.used(now, kind.span), (kind.per_span)(limits));
        if used >= most {
            let end = window.since.unwrap_or(now).plus_seconds(kind.span.unsigned_abs());
            let wait = end.seconds_since(now).ceil().max(1.0) as u64;
            return over(kind.window, most, used.into(), 1, Some(end), Some(wait));
        }
        let most = (kind.at_once)(limits);
        if holding.concurrent >= most.into() {
            return over(kind.concurrent, most, holding.concurrent, 1, None, Some(ASK_AGAIN));
        }
        window.take(now, kind.span);
        self.hold(holding, demanded);
        Ok(())
    }

    /// Keeps what the user's runs hold, with one more of them. GPU time is one budget for runs of both kinds.
    fn hold(&mut self, holding: Holding, demanded: Demanded) {
        let (same, other) = match demanded.batch {
            true => (&mut self.held_by_batches, &mut self.held_by_jobs),
            false => (&mut self.held_by_jobs, &mut self.held_by_batches),
        };
        let gpu_seconds = holding.gpu_seconds + demanded.gpu_seconds;
        *same = Some(Holding { concurrent: holding.concurrent + 1, gpu_seconds, ..holding });
        if let Some(other) = other {
            other.gpu_seconds += demanded.gpu_seconds;
        }
    }
}

/// Roles that exist; others are passed over.
fn known_roles<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<Role>>, D::Error> {
    Ok(Some(roles(&Value::deserialize(deserializer)?)))
}

/// The roles that a list names; what is no list names none.
pub fn roles(value: &Value) -> Vec<Role> {
    let named = value.as_array().into_iter().flatten();
    named.filter_map(|role| serde_json::from_value(role.clone()).ok()).collect()
}

#[cfg(test)]
mod tests;
