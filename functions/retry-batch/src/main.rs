use std::process::ExitCode;

fn main() -> ExitCode {
    service::run(retry_batch::FUNCTION)
}
