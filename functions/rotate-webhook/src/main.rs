use std::process::ExitCode;

fn main() -> ExitCode {
    service::run(rotate_webhook::FUNCTION)
}
