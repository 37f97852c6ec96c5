//! Requests a minute, per user and instance: a bucket of a minute's requests that fills evenly; for those of nobody known,
//! per address. What one of them says is told in the headers of every answer of the API, but where another limit was run
//! into: then that one is told of. The limits that hold over all instances (runs, ligands, GPU
//! minutes) are counted in documents, by `runs::quota`.

use crate::{Caller, Problem, World};
use axum::{
    extract::Request,
    http::{HeaderName, HeaderValue, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use chrono::{DateTime, TimeDelta, Utc};
use domain::Uid;
use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
};

mod held;
mod strangers;

use held::Holdings;
pub use held::{Held, Hold};
use strangers::{Origin, Strangers};

/// How long an empty bucket takes to fill, and the span its limit is about.
const SPAN: TimeDelta = TimeDelta::minutes(1);
/// Buckets that are kept before full ones are looked for to be forgotten: about 10 MB.
const KEPT: usize = 50_000;

/// The fields of an answer. The first three are those of the IETF's draft on rate limits, in seconds; older clients
/// know the others, of which the last is a moment in Unix time.
pub(crate) fn fields() -> [HeaderName; 6] {
    [
        "ratelimit-limit",
        "ratelimit-remaining",
        "ratelimit-reset",
        "x-ratelimit-limit",
        "x-ratelimit-remaining",
        "x-ratelimit-reset",
    ]
    .map(HeaderName::from_static)
}

/// What is counted by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Counted {
    Requests,
    Downloads,
}

/// The buckets of all users, and what they have under way. Cloning shares them.
#[derive(Clone, Debug, Default)]
pub struct Limiter {
    buckets: Arc<Mutex<Buckets>>,
    strangers: Strangers,
    holdings: Holdings,
}

/// When each bucket will be full again: all that has to be known of it.
type Buckets = HashMap<(Uid, Counted), DateTime<Utc>>;

/// How a bucket stands after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Requests a minute, or what else is limited.
    pub limit: u64,
    /// Requests that would be let through at once.
    pub remaining: u64,
    /// Seconds until the bucket is full, rounded up.
    pub reset: u64,
    /// Where the request is refused: seconds until one is let through, rounded up.
    pub retry_after: Option<u64>,
}

impl Limiter {
    /// Takes one request of `limit` a minute from the user's bucket. A full bucket lets a minute's requests through at
    /// once, then one every `60 / limit` seconds.
    pub fn take(&self, uid: &Uid, counted: Counted, limit: u32, now: DateTime<Utc>) -> Reading {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        take_from(&mut buckets, (uid.clone(), counted), limit, now)
    }

    #[cfg(test)]
    fn kept(&self) -> usize {
        self.buckets.lock().unwrap().len()
    }
}

/// Takes one request of `limit` a minute from the bucket of this key.
fn take_from<K: Eq + Hash>(buckets: &mut HashMap<K, DateTime<Utc>>, key: K, limit: u32, now: DateTime<Utc>) -> Reading {
    let step = SPAN / i32::try_from(limit.max(1)).unwrap_or(i32::MAX);
    if buckets.len() >= KEPT {
        buckets.retain(|_, full_at| *full_at > now);
    }
    let full_at = buckets.entry(key).or_insert(now);
    let before = (*full_at).max(now);
    let wait = before + step - now - SPAN;
    let allowed = wait <= TimeDelta::zero();
    if allowed {
        *full_at = before + step;
    }
    let missing = (*full_at).max(now) - now;
    let free = (SPAN - missing).num_milliseconds() / step.num_milliseconds().max(1);
    Reading {
        limit: limit.into(),
        remaining: u64::try_from(free).unwrap_or_default(),
        reset: seconds(missing),
        retry_after: (!allowed).then(|| seconds(wait).max(1)),
    }
}

fn seconds(span: TimeDelta) -> u64 {
    u64::try_from((span.num_milliseconds() + 999) / 1000).unwrap_or_default()
}

/// Where a request leaves what its answer must say.
#[derive(Clone, Default)]
struct Slot(Arc<Mutex<Option<Reading>>>);

/// Counts a request of this caller, and refuses it where there are too many. Of two readings the one that refuses is
/// told, or the scarcer one.
pub(crate) fn count(parts: &Parts, world: &World, caller: &Caller, counted: Counted) -> Result<(), Problem> {
    if !world.settings.limits {
        return Ok(());
    }
    let limits = caller.tier.limits();
    let (limit, what) = match counted {
        Counted::Requests => (limits.requests_per_minute, "requests"),
        Counted::Downloads => (limits.downloads_per_minute, "downloads"),
    };
    let reading = world.limiter.take(&caller.uid, counted, limit, world.clock.now());
    if let Some(Slot(slot)) = parts.extensions.get::<Slot>() {
        let mut told = slot.lock().unwrap_or_else(PoisonError::into_inner);
        let scarcer = |told: &Reading| reading.retry_after.is_none() && told.remaining <= reading.remaining;
        *told = Some(told.filter(scarcer).unwrap_or(reading));
    }
    match reading.retry_after {
        None => Ok(()),
        Some(wait) => {
            let detail = format!("the tier {} allows {limit} {what} a minute", caller.tier);
            Err(Problem::too_many(detail).retry_after(wait))
        }
    }
}

/// Writes the reading of a request's user, or of where it comes from, into its answer, whatever that is.
pub(crate) async fn tell(world: &World, mut request: Request, next: Next) -> Response {
    let (slot, origin) = (Slot::default(), Origin::of(&request));
    request.extensions_mut().insert(slot.clone());
    let mut response = next.run(request).await;
    let mut reading = *slot.0.lock().unwrap_or_else(PoisonError::into_inner);
    if let (None, Some(origin), true) = (reading, origin, world.settings.limits) {
        let counted = world.limiter.take_unknown(&origin, world.clock.now());
        if let Some(wait) = counted.retry_after {
            response = strangers::refusal(wait).into_response();
        }
        reading = Some(counted);
    }
    let exceeded = response.extensions().get::<Problem>().and_then(|problem| problem.exceeded(world.clock.now()));
    if let Some(Reading { limit, remaining, reset, .. }) = exceeded.or(reading) {
        let now = u64::try_from(world.clock.now().timestamp()).unwrap_or_default();
        let values = [limit, remaining, reset, limit, remaining, now + reset];
        response.headers_mut().extend(fields().into_iter().zip(values.map(HeaderValue::from)));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::user;

    fn at(millis: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::milliseconds(millis)
    }

    fn take(limiter: &Limiter, name: &str, millis: i64) -> Reading {
        limiter.take(&user(name), Counted::Requests, 60, at(millis))
    }

    #[test]
    fn a_minutes_requests_pass_at_once_and_then_one_a_second() {
        let limiter = Limiter::default();
        for used in 1..=60 {
            let reading = take(&limiter, "u1", 0);
            assert_eq!((reading.remaining, reading.reset, reading.retry_after), (60 - used, used, None));
        }
        let refused = take(&limiter, "u1", 0);
        assert_eq!((refused.remaining, refused.retry_after), (0, Some(1)));
        assert_eq!(take(&limiter, "u1", 999).retry_after, Some(1), "a refused request costs nothing");
        assert_eq!(take(&limiter, "u1", 1_000).retry_after, None);
        assert_eq!(take(&limiter, "u1", 1_000).retry_after, Some(1));
        let rested = take(&limiter, "u1", 600_000);
        assert_eq!((rested.remaining, rested.reset), (59, 1), "rest saves up a minute's requests and no more");
    }

    #[test]
    fn users_and_kinds_have_buckets_of_their_own() {
        let limiter = Limiter::default();
        for _ in 0..60 {
            take(&limiter, "u1", 0);
        }
        assert_eq!(take(&limiter, "u2", 0).remaining, 59);
        assert_eq!(limiter.take(&user("u1"), Counted::Downloads, 20, at(0)).remaining, 19);
    }

    #[test]
    fn no_more_buckets_are_kept_than_are_in_use() {
        let limiter = Limiter::default();
        for n in 0..KEPT {
            take(&limiter, &format!("u{n}"), 0);
        }
        for n in 0..10 {
            take(&limiter, &format!("v{n}"), 5_000);
        }
        assert!(limiter.kept() <= 10, "{}", limiter.kept());
    }
}
