//! What the environment says, read once: which adapters, whose tokens, the operator's settings. Everything that is
//! missing or wrong is told at once.

mod backends;

use crate::{Limiter, Settings, World, runs::recent::Recent, tokens::Verifier, webhooks::Resolver};
use backends::{Backends, Stores};
use jsonwebtoken::jwk::JwkSet;
use platform::{Clock, Ids, embedded::Store};
use std::{collections::BTreeMap, str::FromStr, sync::Arc, time::Duration};

/// Everything that is missing or wrong in the environment, at once.
#[derive(Debug, thiserror::Error)]
#[error("the environment is incomplete: {}", .0.join("; "))]
pub(crate) struct ConfigError(Vec<String>);

/// A right environment.
pub(crate) struct Config {
    pub host: String,
    pub port: u16,
    backends: Backends,
    issuer: String,
    audience: String,
    keys: Keys,
    settings: Settings,
}

/// Where the keys of identity tokens come from.
enum Keys {
    Given(JwkSet),
    #[cfg(feature = "google")]
    Fetched(crate::keys::KeyCache),
}

/// Reads variables and notes what is wrong with them.
struct Reader<'a> {
    environment: &'a BTreeMap<String, String>,
    wrong: Vec<String>,
}

impl Reader<'_> {
    /// The variable, if it is set and not empty.
    fn get(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The variable, which must be set; `what` says to what.
    fn need(&mut self, name: &str, what: &str) -> Option<String> {
        let value = self.get(name).map(str::to_owned);
        if value.is_none() {
            self.wrong.push(format!("{name} is not set ({what})"));
        }
        value
    }

    fn parsed<T: FromStr>(&mut self, name: &str) -> Option<T> {
        let text = self.get(name)?.to_owned();
        let value = text.parse().ok();
        if value.is_none() {
            self.wrong.push(format!("{name} is {text:?}, which it cannot be"));
        }
        value
    }

    fn keys(&mut self) -> Option<Keys> {
        if self.get("TOKEN_KEYS").is_none()
            && let Some(url) = self.parsed("TOKEN_KEYS_URL")
        {
            return self.fetched(url);
        }
        let text = self.need("TOKEN_KEYS", "the JSON Web Key Set of the issuer, or its address in TOKEN_KEYS_URL")?;
        match serde_json::from_str(&text) {
            Ok(keys) => Some(Keys::Given(keys)),
            Err(error) => {
                self.wrong.push(format!("TOKEN_KEYS is not a key set ({error})"));
                None
            }
        }
    }

    #[cfg(feature = "google")]
    fn fetched(&mut self, url: url::Url) -> Option<Keys> {
        Some(Keys::Fetched(crate::keys::KeyCache::new(crate::keys::over_https(url))))
    }

    #[cfg(not(feature = "google"))]
    fn fetched(&mut self, url: url::Url) -> Option<Keys> {
        self.wrong.push(format!("TOKEN_KEYS_URL is {url}, but this program was built without the feature `google`"));
        None
    }
}

impl Config {
    pub(crate) fn read(environment: &BTreeMap<String, String>) -> Result<Self, ConfigError> {
        let mut reader = Reader { environment, wrong: vec![] };
        let stores = Stores::read(&mut reader);
        let issuer = reader.need("TOKEN_ISSUER", "the issuer of identity tokens");
        let audience = reader.need("TOKEN_AUDIENCE", "the audience of identity tokens");
        let keys = reader.keys();
        let port = reader.parsed("PORT").unwrap_or(8080);
        let host = reader.get("HOST").unwrap_or("0.0.0.0").to_owned();
        let mut settings = settings(environment, &mut reader.wrong);
        if let Some(prefix) = stores.bucket_prefix() {
            settings.bucket_prefix = prefix.to_owned();
        }
        match (stores.complete(), issuer, audience, keys) {
            (Some(backends), Some(issuer), Some(audience), Some(keys)) if reader.wrong.is_empty() => {
                Ok(Config { host, port, backends, issuer, audience, keys, settings })
            }
            _ => Err(ConfigError(reader.wrong)),
        }
    }

    pub(crate) fn world(self) -> Result<World, platform::Error> {
        let clock = Clock::system();
        let (docs, blobs, bus, executions) = self.backends.open(&clock)?;
        let verifier = match self.keys {
            Keys::Given(keys) => Verifier::new(self.issuer, self.audience, keys),
            #[cfg(feature = "google")]
            Keys::Fetched(keys) => Verifier::fetching(self.issuer, self.audience, keys),
        };
        Ok(World {
            docs,
            blobs,
            bus,
            executions,
            clock,
            ids: Ids::random(),
            verifier: Arc::new(verifier),
            resolver: Resolver::system(),
            limiter: Limiter::default(),
            recent: Recent::default(),
            settings: Arc::new(self.settings),
        })
    }
}

impl World {
    /// A world on the embedded adapters.
    pub fn embedded(store: &Store, clock: Clock, ids: Ids, verifier: Verifier, settings: Settings) -> Self {
        World {
            docs: store.docs(),
            blobs: store.blobs(),
            bus: store.bus(),
            executions: store.executions(),
            clock,
            ids,
            verifier: Arc::new(verifier),
            resolver: Resolver::system(),
            limiter: Limiter::default(),
            recent: Recent::default(),
            settings: Arc::new(settings),
        }
    }
}

/// The operator's settings; what is not set has its default.
pub fn settings(environment: &BTreeMap<String, String>, wrong: &mut Vec<String>) -> Settings {
    let mut reader = Reader { environment, wrong: vec![] };
    let mut settings = Settings::default();
    let mut number = |name: &str, default: u32| reader.parsed(name).unwrap_or(default);
    settings.gpu_capacity = number("GPU_CAPACITY", settings.gpu_capacity);
    settings.gpu_reserve = number("GPU_RESERVE", settings.gpu_reserve);
    settings.webhooks_to_loopback = number("WEBHOOKS_TO_LOOPBACK", 0) == 1;
    let seconds = |duration: Duration| duration.as_secs() as u32;
    settings.task_limit = Duration::from_secs(number("TASK_SECONDS", seconds(settings.task_limit)).into());
    settings.stuck_after = Duration::from_secs(number("STUCK_SECONDS", seconds(settings.stuck_after)).into());
    settings.bucket_prefix = reader.get("BUCKET_PREFIX").unwrap_or_default().to_owned();
    settings.cors_origins = names(reader.get("CORS_ORIGINS"));
    settings.simulated_models = names(reader.get("SIMULATED_MODELS"));
    settings.limits = match reader.get("LIMITS").unwrap_or("on") {
        "on" => true,
        "off" => false,
        other => {
            let told = format!("LIMITS is {other:?}, which it cannot be (on, off)");
            reader.wrong.push(told);
            true
        }
    };
    wrong.append(&mut reader.wrong);
    settings
}

/// Names with commas between them.
fn names(list: Option<&str>) -> Vec<String> {
    let names = list.unwrap_or_default().split(',').map(str::trim);
    names.filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests;
