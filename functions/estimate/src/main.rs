use std::process::ExitCode;

fn main() -> ExitCode {
    service::run(estimate::FUNCTION)
}
