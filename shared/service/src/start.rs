//! The `main` of every function: configuration from the environment, logs, the ports, then serve until told to stop.
//! The one place that reads the environment.

pub use crate::config::settings;

use crate::{
    Function, Shutdown, Work, chain,
    config::Config,
    serve,
    telemetry::{self, Trace},
};
use std::{collections::BTreeMap, error::Error, io, process::ExitCode, thread, time::Duration};
use tokio::{
    net::TcpListener,
    runtime::{Builder, Runtime},
    signal::unix::{SignalKind, signal},
};

/// After the stop signal, Cloud Run gives ten seconds; requests under way get nine of them.
const DRAIN: Duration = Duration::from_secs(9);

/// Runs a function as a process of its own, until SIGTERM or until its work is done.
pub fn run(function: Function) -> ExitCode {
    run_until(function, stopped())
}

/// Runs a function as a process of its own, until `stop` ends or until its work is done.
pub fn run_until(function: Function, stop: impl Future<Output = ()> + Send + 'static) -> ExitCode {
    let environment = environment();
    telemetry::logs(&environment);
    let runtime = runtime().map_err(Into::into);
    let outcome = runtime.and_then(|runtime| runtime.block_on(main(function, environment, Box::pin(stop))));
    outcome.unwrap_or_else(|error: Box<dyn Error + Send + Sync>| {
        tracing::error!(function = function.name, error = %chain(error.as_ref()), "cannot run");
        ExitCode::FAILURE
    })
}

/// Where everything runs: on one CPU, which is what most functions have, one thread that hands nothing to another.
pub fn runtime() -> io::Result<Runtime> {
    match thread::available_parallelism() {
        Ok(cpus) if cpus.get() > 1 => Runtime::new(),
        _ => Builder::new_current_thread().enable_all().build(),
    }
}

async fn main(
    function: Function,
    environment: BTreeMap<String, String>,
    stop: Shutdown,
) -> Result<ExitCode, Box<dyn Error + Send + Sync>> {
    let config = Config::read(&environment)?;
    let (host, port) = (config.host.clone(), config.port);
    let world = telemetry::handing_on(config.world()?);
    match function.work {
        Work::Job(job) => {
            let trace = environment.get("TRACEPARENT").and_then(|text| Trace::from_traceparent(text));
            Ok(telemetry::under(trace, job(world, environment, stop)).await)
        }
        Work::Service(_) => {
            let routes = function.routes().unwrap_or_default();
            let app = serve(routes, world);
            let listener = TcpListener::bind((host.as_str(), port)).await?;
            tracing::info!(function = function.name, port, "serving");
            let (told, hears) = tokio::sync::oneshot::channel::<()>();
            let server = axum::serve(listener, app).with_graceful_shutdown(async {
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
