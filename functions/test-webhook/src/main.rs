use std::process::ExitCode;

fn main() -> ExitCode {
    service::run(test_webhook::FUNCTION)
}
