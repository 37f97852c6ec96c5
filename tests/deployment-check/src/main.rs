use clap::Parser;
use std::process::ExitCode;

/// Exit code 0 only if every check passed.
#[tokio::main]
async fn main() -> ExitCode {
    if deployment_check::run(deployment_check::Arguments::parse()).await {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
