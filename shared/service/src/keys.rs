//! The keys of an identity provider that rotates them: fetched when they are first needed, kept for as long as the
//! provider says, fetched again when a token names one that is not known. One fetch at a time, and while the provider
//! is away the keys at hand stay good.

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::BoxFuture;
use jsonwebtoken::jwk::JwkSet;
use std::{
    error::Error,
    io,
    sync::{Arc, Mutex, PoisonError},
};

/// Between two fetches, however many tokens name unknown keys.
const PAUSE: TimeDelta = TimeDelta::minutes(1);
/// The same where none were ever had.
const FIRST_PAUSE: TimeDelta = TimeDelta::seconds(2);
/// Keys that could not be renewed for so long are given up.
const STALE: TimeDelta = TimeDelta::hours(24);

/// Why keys could not be fetched.
pub type FetchError = Arc<dyn Error + Send + Sync>;

/// Keys, and for how long they may be kept.
#[derive(Clone, Debug)]
pub struct Fetched {
    pub keys: JwkSet,
    pub fresh_for: TimeDelta,
}

/// Asks the provider.
pub type Fetch = Box<dyn Fn() -> BoxFuture<'static, Result<Fetched, FetchError>> + Send + Sync>;

/// The keys of one provider.
pub struct KeyCache {
    fetch: Fetch,
    known: Mutex<Known>,
    /// Held by whoever is asking the provider.
    flight: tokio::sync::Mutex<()>,
}

struct Known {
    keys: Arc<JwkSet>,
    /// The beginning of time where there never were any.
    fresh_until: DateTime<Utc>,
    asked_at: Option<DateTime<Utc>>,
    /// What the last fetch ended with.
    error: Option<FetchError>,
}

impl KeyCache {
    /// Nothing is fetched before the first token.
    pub fn new(fetch: Fetch) -> Self {
        let keys = Arc::new(JwkSet { keys: vec![] });
        let known = Known { keys, fresh_until: DateTime::<Utc>::MIN_UTC, asked_at: None, error: None };
        KeyCache { fetch, known: Mutex::new(known), flight: tokio::sync::Mutex::new(()) }
    }

    /// The keys at hand.
    pub fn current(&self) -> Arc<JwkSet> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).keys.clone()
    }

    /// Sees to it that the keys at hand are as good as they can be for a token signed with `key`. Errs only where
    /// there are none.
    pub async fn refresh(&self, key: &str, now: DateTime<Utc>) -> Result<(), FetchError> {
        if self.is_due(key, now) {
            // Who comes second waits for the first one's answer, and then has it.
            let _flight = self.flight.lock().await;
            if self.is_due(key, now) {
                self.fetch(now).await;
            }
        }
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match &known.error {
            Some(error) if known.keys.keys.is_empty() => Err(error.clone()),
            _ => Ok(()),
        }
    }

    fn is_due(&self, key: &str, now: DateTime<Utc>) -> bool {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let pause = if known.fresh_until == DateTime::<Utc>::MIN_UTC { FIRST_PAUSE } else { PAUSE };
        let rested = known.asked_at.is_none_or(|asked| now - asked >= pause);
        rested && (known.fresh_until <= now || known.keys.find(key).is_none())
    }

    async fn fetch(&self, now: DateTime<Utc>) {
        let outcome = (self.fetch)().await.and_then(with_keys);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.asked_at = Some(now);
        match outcome {
            Ok(Fetched { keys, fresh_for }) => {
                *known = Known { keys: Arc::new(keys), fresh_until: now + fresh_for, asked_at: Some(now), error: None };
            }
            Err(error) => {
                tracing::warn!(error = %crate::chain(error.as_ref()), "the keys of the identity provider cannot be had");
                known.error = Some(error);
                if known.fresh_until + STALE < now && !known.keys.keys.is_empty() {
                    known.keys = Arc::new(JwkSet { keys: vec![] });
                }
            }
        }
    }
}

/// An answer without a single key is none: no token could be good.
fn with_keys(fetched: Fetched) -> Result<Fetched, FetchError> {
    if fetched.keys.keys.is_empty() { Err(Arc::new(io::Error::other("the key set is empty"))) } else { Ok(fetched) }
}

/// Fetches over HTTPS, and reads from `Cache-Control` how long the answer is good for.
#[cfg(feature = "google")]
pub fn over_https(url: url::Url) -> Fetch {
    let client = reqwest::Client::new();
    Box::new(move || {
        let request = client.get(url.clone()).timeout(std::time::Duration::from_secs(5));
        Box::pin(async move {
            let failed = |error: reqwest::Error| Arc::new(error) as FetchError;
            let response = request.send().await.and_then(reqwest::Response::error_for_status).map_err(failed)?;
            let caching = response.headers().get("cache-control").and_then(|value| value.to_str().ok());
            let fresh_for = fresh_for(caching.unwrap_or_default());
            let body = response.bytes().await.map_err(failed)?;
            let keys = serde_json::from_slice(&body).map_err(|error| Arc::new(error) as FetchError)?;
            Ok(Fetched { keys, fresh_for })
        })
    })
}

/// `max-age` within reason: a minute to a day, five minutes where nothing is said.
#[cfg(any(test, feature = "google"))]
fn fresh_for(cache_control: &str) -> TimeDelta {
    let age = cache_control.split(',').find_map(|part| part.trim().strip_prefix("max-age="));
    let seconds = age.and_then(|age| age.parse::<i64>().ok()).unwrap_or(300);
    TimeDelta::seconds(seconds.clamp(60, 24 * 3600))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        time::Duration,
    };

    #[derive(Clone, Copy, PartialEq)]
    enum Provider {
        There,
        Away,
        Empty,
    }

    /// A provider that counts how often it is asked, has the keys `k1` and then `k1` and `k2`, and is away, or there
    /// without a key, when told.
    fn provider() -> (Arc<KeyCache>, Arc<AtomicUsize>, Arc<Mutex<Provider>>) {
        let (asked, state) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Provider::There)));
        let (count, stands) = (asked.clone(), state.clone());
        let fetch: Fetch = Box::new(move || {
            let (n, stands) = (count.fetch_add(1, Ordering::SeqCst), *stands.lock().unwrap());
            Box::pin(async move {
                tokio::time::sleep(Duration::from_millis(10)).await;
                let names: &[&str] = match (stands, n) {
                    (Provider::Away, _) => return Err(Arc::new(io::Error::other("away")) as FetchError),
                    (Provider::Empty, _) => &[],
                    (Provider::There, 0) => &["k1"],
                    (Provider::There, _) => &["k1", "k2"],
                };
                let key = |kid: &&str| json!({"kty": "RSA", "kid": kid, "n": "AQAB", "e": "AQAB", "alg": "RS256"});
                let keys = json!({"keys": names.iter().map(key).collect::<Vec<_>>()});
                Ok(Fetched { keys: serde_json::from_value(keys).unwrap(), fresh_for: TimeDelta::minutes(10) })
            })
        });
        (Arc::new(KeyCache::new(fetch)), asked, state)
    }

    fn at(minutes: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::minutes(minutes)
    }

    #[tokio::test]
    async fn keys_are_fetched_once_and_kept_for_as_long_as_the_provider_says() {
        let (cache, asked, _) = provider();
        let many = (0..20).map(|_| cache.refresh("k1", at(0)));
        assert!(futures::future::join_all(many).await.iter().all(Result::is_ok));
        assert_eq!(asked.load(Ordering::SeqCst), 1, "one fetch for all of them");
        cache.refresh("k1", at(9)).await.unwrap();
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        cache.refresh("k1", at(10)).await.unwrap();
        assert_eq!(asked.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn an_unknown_key_is_looked_for_at_most_once_a_minute() {
        let (cache, asked, _) = provider();
        cache.refresh("k1", at(0)).await.unwrap();
        cache.refresh("k2", at(1)).await.unwrap();
        assert!(cache.current().find("k2").is_some(), "the provider has changed its keys");
        for _ in 0..10 {
            cache.refresh("made-up", at(1)).await.unwrap();
        }
        assert_eq!(asked.load(Ordering::SeqCst), 2);
        cache.refresh("made-up", at(2)).await.unwrap();
        assert_eq!(asked.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn stale_keys_serve_for_a_day_while_the_provider_is_away() {
        let (cache, asked, state) = provider();
        cache.refresh("k1", at(0)).await.unwrap();
        *state.lock().unwrap() = Provider::Away;
        for minute in 11..=15 {
            cache.refresh("k1", at(minute)).await.unwrap();
            assert!(cache.current().find("k1").is_some());
        }
        assert_eq!(asked.load(Ordering::SeqCst), 6, "once a minute");
        assert!(cache.refresh("k1", at(11 + 24 * 60)).await.is_err(), "given up");
        *state.lock().unwrap() = Provider::There;
        cache.refresh("k1", at(12 + 24 * 60)).await.unwrap();
        assert!(cache.current().find("k1").is_some());
    }

    #[tokio::test]
    async fn a_provider_that_was_never_reached_is_an_error_of_ours() {
        let (cache, _, state) = provider();
        *state.lock().unwrap() = Provider::Away;
        assert!(cache.refresh("k1", at(0)).await.is_err());
    }

    #[tokio::test]
    async fn an_answer_without_a_key_replaces_no_good_ones() {
        let (cache, asked, state) = provider();
        *state.lock().unwrap() = Provider::Empty;
        assert!(cache.refresh("k1", at(0)).await.is_err(), "an error of ours, not of the token's");
        *state.lock().unwrap() = Provider::There;
        cache.refresh("k1", at(1)).await.unwrap();
        *state.lock().unwrap() = Provider::Empty;
        for minute in [11, 11, 12] {
            cache.refresh("k1", at(minute)).await.unwrap();
            assert!(cache.current().find("k1").is_some());
        }
        assert_eq!(asked.load(Ordering::SeqCst), 4, "and it is asked again a minute later");
    }

    #[tokio::test]
    async fn a_storm_of_unknown_keys_asks_once_a_minute_also_after_good_ones_were_given_up() {
        let (cache, asked, state) = provider();
        let after = |seconds| at(11 + 24 * 60) + TimeDelta::seconds(seconds);
        cache.refresh("k1", at(0)).await.unwrap();
        *state.lock().unwrap() = Provider::Away;
        for second in 0..60 {
            assert!(cache.refresh("made-up", after(second)).await.is_err());
        }
        assert_eq!(asked.load(Ordering::SeqCst), 2);
        *state.lock().unwrap() = Provider::There;
        assert!(cache.refresh("k1", after(60)).await.is_ok() && cache.current().find("k1").is_some());
    }

    #[test]
    fn the_time_to_keep_is_read_within_reason() {
        let seconds = |text| fresh_for(text).num_seconds();
        assert_eq!(seconds("public, max-age=19845, must-revalidate, no-transform"), 19845);
        assert_eq!((seconds(""), seconds("max-age=0"), seconds("max-age=999999999")), (300, 60, 86400));
    }
}
