use std::process::ExitCode;

fn main() -> ExitCode {
    service::run(aggregate_run::FUNCTION)
}
