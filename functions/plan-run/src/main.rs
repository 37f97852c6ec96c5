use std::process::ExitCode;

fn main() -> ExitCode {
    service::run(plan_run::FUNCTION)
}
