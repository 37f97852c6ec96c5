//! The `main` of every function: configuration from the environment, logs, the ports, then serve until told to stop.
//! The one place that reads the environment.

use crate::{Function, Settings, Shutdown, Work, World, chain, serve, tokens::Verifier};
use jsonwebtoken::jwk::JwkSet;
use platform::{
    Clock, Ids,
    embedded::{Links, Store},
};
use std::{collections::BTreeMap, error::Error, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tracing_subscriber::EnvFilter;
use url::Url;

/// After the stop signal, Cloud Run gives ten seconds; requests under way get nine of them.
const DRAIN: Duration = Duration::from_secs(9);

/// Runs a function as a process of its own, until SIGTERM or until its work is done.
pub fn run(function: Function) -> ExitCode {
    run_until(function, stopped())
}

/// Runs a function as a process of its own, until `stop` ends or until its work is done.
pub fn run_until(function: Function, stop: impl Future<Output = ()> + Send + 'static) -> ExitCode {
    logs();
    let runtime = tokio::runtime::Runtime::new().map_err(Into::into);
    let outcome = runtime.and_then(|runtime| runtime.block_on(main(function, Box::pin(stop))));
    outcome.unwrap_or_else(|error: Box<dyn Error + Send + Sync>| {
        tracing::error!(function = function.name, error = %chain(error.as_ref()), "cannot run");
        ExitCode::FAILURE
    })
}

/// Logs as JSON lines on standard error, at `info` unless `RUST_LOG` says otherwise.
pub fn logs() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    // A second subscriber in one process (a test's) stays the first one.
    let _ = tracing_subscriber::fmt().json().with_env_filter(filter).with_writer(std::io::stderr).try_init();
}

async fn main(function: Function, stop: Shutdown) -> Result<ExitCode, Box<dyn Error + Send + Sync>> {
    let environment = environment();
    let config = Config::read(&environment)?;
    let world = config.world()?;
    match function.work {
        Work::Job(job) => Ok(job(world, environment, stop).await),
        Work::Service(_) => {
            let routes = function.routes().unwrap_or_default();
            let listener = TcpListener::bind((config.host.as_str(), config.port)).await?;
            tracing::info!(function = function.name, port = config.port, "serving");
            let (told, hears) = tokio::sync::oneshot::channel::<()>();
            let server = axum::serve(listener, serve(routes, world)).with_graceful_shutdown(async {
                let _ = hears.await;
            });
            let late = async {
                stop.await;
                let _ = told.send(());
                tokio::time::sleep(DRAIN).await;
            };
            tokio::select! { ended = server => ended?, () = late => {} }
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// The process's environment as a map.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
pub fn environment() -> BTreeMap<String, String> {
    std::env::vars().collect()
}

/// Ends at SIGTERM or SIGINT.
pub async fn stopped() {
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
        return std::future::pending().await;
    };
    tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
}

/// What the environment says.
struct Config {
    host: String,
    port: u16,
    data: PathBuf,
    storage: Url,
    link_key: String,
    issuer: String,
    audience: String,
    keys: JwkSet,
    settings: Settings,
}

/// Everything that is missing or wrong in the environment, at once.
#[derive(Debug, thiserror::Error)]
#[error("the environment is incomplete: {}", .0.join("; "))]
struct ConfigError(Vec<String>);

impl Config {
    fn read(environment: &BTreeMap<String, String>) -> Result<Self, ConfigError> {
        let mut wrong = vec![];
        let mut need = |name: &str, what: &str| {
            environment.get(name).filter(|value| !value.is_empty()).cloned().unwrap_or_else(|| {
                wrong.push(format!("{name} is not set ({what})"));
                String::new()
            })
        };
        let store = need("STORE_URL", "file:FOLDER");
        let storage = need("STORAGE_URL", "the address signed links begin with");
        let link_key = need("LINK_KEY", "the key signed links are signed with");
        let issuer = need("TOKEN_ISSUER", "the issuer of identity tokens");
        let audience = need("TOKEN_AUDIENCE", "the audience of identity tokens");
        let keys = need("TOKEN_KEYS", "the JSON Web Key Set of the issuer");
        let data = store.strip_prefix("file:").map(PathBuf::from);
        if data.is_none() && !store.is_empty() {
            wrong.push(format!("STORE_URL is {store:?}, which names no known store"));
        }
        let storage = parsed(&storage, "STORAGE_URL", &mut wrong);
        let keys: Option<JwkSet> = serde_json::from_str(&keys)
            .map_err(|error| wrong.push(format!("TOKEN_KEYS is not a key set ({error})")))
            .ok();
        let port = environment.get("PORT").map_or(Some(8080), |port| parsed(port, "PORT", &mut wrong));
        let settings = settings(environment, &mut wrong);
        match (data, storage, keys, port) {
            (Some(data), Some(storage), Some(keys), Some(port)) if wrong.is_empty() => {
                let host = environment.get("HOST").cloned().unwrap_or_else(|| "0.0.0.0".to_owned());
                Ok(Config { host, port, data, storage, link_key, issuer, audience, keys, settings })
            }
            _ => Err(ConfigError(wrong)),
        }
    }

    fn world(&self) -> Result<World, platform::Error> {
        let clock = Clock::system();
        let links = Links::signed(self.storage.clone(), self.link_key.clone().into_bytes());
        let store = Store::open(&self.data, clock.clone(), links)?;
        let verifier = Verifier::new(self.issuer.clone(), self.audience.clone(), self.keys.clone());
        Ok(World::embedded(&store, clock, Ids::random(), verifier, self.settings.clone()))
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
            settings: Arc::new(settings),
        }
    }
}

fn parsed<T: std::str::FromStr>(text: &str, name: &str, wrong: &mut Vec<String>) -> Option<T> {
    let value = text.parse().ok();
    if value.is_none() && !text.is_empty() {
        wrong.push(format!("{name} is {text:?}, which it cannot be"));
    }
    value
}

/// The operator's settings; what is not set has its default.
pub fn settings(environment: &BTreeMap<String, String>, wrong: &mut Vec<String>) -> Settings {
    let mut settings = Settings::default();
    let mut number = |name: &str, into: &mut u32| {
        if let Some(value) = environment.get(name).and_then(|text| parsed(text, name, wrong)) {
            *into = value;
        }
    };
    number("GPU_CAPACITY", &mut settings.gpu_capacity);
    number("GPU_RESERVE", &mut settings.gpu_reserve);
    let (mut task, mut stuck) = (settings.task_limit.as_secs() as u32, settings.stuck_after.as_secs() as u32);
    number("TASK_SECONDS", &mut task);
    number("STUCK_SECONDS", &mut stuck);
    settings.task_limit = Duration::from_secs(task.into());
    settings.stuck_after = Duration::from_secs(stuck.into());
    settings.bucket_prefix = environment.get("BUCKET_PREFIX").cloned().unwrap_or_default();
    let origins = environment.get("CORS_ORIGINS").map_or("", String::as_str);
    settings.cors_origins = origins.split(',').map(str::trim).filter(|s| !s.is_empty()).map(str::to_owned).collect();
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_missing_is_said_at_once() {
        let environment = BTreeMap::from([
            ("STORE_URL".to_owned(), "redis://x".to_owned()),
            ("PORT".to_owned(), "eighty".to_owned()),
            ("GPU_CAPACITY".to_owned(), "many".to_owned()),
        ]);
        let Err(error) = Config::read(&environment) else { panic!("it must not start") };
        let text = error.to_string();
        for name in [
            "STORE_URL",
            "STORAGE_URL",
            "LINK_KEY",
            "TOKEN_ISSUER",
            "TOKEN_AUDIENCE",
            "TOKEN_KEYS",
            "PORT",
            "GPU_CAPACITY",
        ] {
            assert!(text.contains(name), "{name} in {text}");
        }
    }
}
