use std::process::ExitCode;

fn main() -> ExitCode {
    service::run(send_webhook::FUNCTION)
}
