use std::process::ExitCode;

fn main() -> ExitCode {
    service::run(on_execution_ended::FUNCTION)
}
