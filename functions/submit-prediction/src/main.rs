use std::process::ExitCode;

fn main() -> ExitCode {
    service::run(submit_prediction::FUNCTION)
}
