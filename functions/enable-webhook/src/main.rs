use std::process::ExitCode;

fn main() -> ExitCode {
    service::run(enable_webhook::FUNCTION)
}
