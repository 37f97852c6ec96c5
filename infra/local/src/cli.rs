//! The command line: serves the API on this machine, screens a library from the terminal, prints a token. Hidden
//! commands make the same executable a worker's task and the stand-in for the models' tools.

use crate::{Access, Cloud, CloudOptions, LOCAL_USER, STAND_IN, TASK, listen, screen, tasks::until_orphaned};
use clap::{Parser, Subcommand};
use domain::Tier;
use platform::Clock;
use serde_json::json;
use std::{error::Error, ffi::OsString, io::IsTerminal, path::PathBuf, process::ExitCode};
use tokio::net::TcpListener;
use tracing_subscriber::EnvFilter;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// OMTX-Hub on one machine. Without a command it serves the API on 127.0.0.1.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The port to serve on.
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Where everything is kept.
    #[arg(long, default_value = ".data", global = true)]
    data_dir: PathBuf,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Screens a library against a target and shows the hits.
    Screen(screen::ScreenArgs),
    /// Prints an identity token, good for an hour.
    Token {
        /// Whose.
        #[arg(long, default_value = LOCAL_USER)]
        user: String,
        /// How much they may use: default, premium, enterprise or admin.
        #[arg(long, default_value = "enterprise")]
        tier: String,
    },
    /// Prints the contract of the API, OpenAPI 3.1.
    Openapi,
}

/// The whole program.
pub fn main() -> ExitCode {
    let hidden = std::env::args_os().nth(1);
    match hidden.as_deref().and_then(|name| name.to_str()) {
        Some(TASK) => return service::start::run_until(predict_worker::FUNCTION, until_orphaned()),
        Some(STAND_IN) => {
            let program = OsString::from("model-stand-in");
            return stand_in::main(std::iter::once(program).chain(std::env::args_os().skip(2)));
        }
        _ => {}
    }
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Runtime::new().map_err(Into::into);
    match runtime.and_then(|runtime| runtime.block_on(run(arguments))) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("omtx-hub: {}", service::chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Outcome<bool> {
    match &arguments.command {
        None => serve(&arguments).await,
        Some(Command::Screen(args)) => run_screen(&arguments, args).await,
        Some(Command::Token { user, tier }) => {
            let tier = Tier::named(tier).ok_or_else(|| format!("{tier:?} is no tier"))?;
            let access = Access::open(&arguments.data_dir)?;
            println!("{}", access.token_with(user, Clock::system().now(), &json!({"tier": tier}))?);
            Ok(true)
        }
        Some(Command::Openapi) => {
            println!("{}", hub::openapi().to_pretty_json()?);
            Ok(true)
        }
    }
}

async fn serve(arguments: &Arguments) -> Outcome<bool> {
    logs("info");
    let listener = TcpListener::bind(("127.0.0.1", arguments.port)).await?;
    let port = listener.local_addr()?.port();
    let cloud = cloud(arguments, port)?;
    let _lock = cloud.lock()?.ok_or_else(|| format!("another process serves {}", cloud.data().display()))?;
    let world = &cloud.world;
    let key = cloud.access.api_key(&world.docs, LOCAL_USER, &world.clock, &world.ids).await?;
    println!("OMTX-Hub serves on http://127.0.0.1:{port}, with its data in {}", arguments.data_dir.display());
    println!("  export KEY={key}");
    println!("  curl -H \"x-api-key: $KEY\" http://127.0.0.1:{port}/api/v1/models");
    tokio::select! {
        served = listen(&cloud, listener) => served?,
        failed = cloud.run() => failed?,
    }
    Ok(true)
}

/// Where a server has the folder, that one does the work; otherwise this process does.
async fn run_screen(arguments: &Arguments, args: &screen::ScreenArgs) -> Outcome<bool> {
    logs("error");
    let cloud = cloud(arguments, arguments.port)?;
    match cloud.lock()? {
        None => screen::screen(&cloud, args).await,
        Some(_lock) => tokio::select! {
            screened = screen::screen(&cloud, args) => screened,
            failed = cloud.run() => Err(failed.err().map_or_else(|| "the local cloud stopped".into(), Into::into)),
        },
    }
}

fn cloud(arguments: &Arguments, port: u16) -> Outcome<Cloud> {
    let mut environment = service::start::environment();
    // A worker's log line on a terminal would tear the progress bar.
    if arguments.command.is_some() {
        environment.entry("RUST_LOG".into()).or_insert_with(|| "error".into());
    }
    Ok(Cloud::open(CloudOptions {
        data: arguments.data_dir.clone(),
        address: format!("http://127.0.0.1:{port}/").parse()?,
        executable: std::env::current_exe()?,
        environment,
    })?)
}

/// Logs for people, on standard error.
fn logs(level: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours).init();
}
