use std::process::ExitCode;

fn main() -> ExitCode {
    service::run(repair_runs::FUNCTION)
}
