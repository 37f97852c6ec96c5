use std::process::ExitCode;

fn main() -> ExitCode {
    service::run(delete_webhook::FUNCTION)
}
