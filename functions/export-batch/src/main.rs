use std::process::ExitCode;

fn main() -> ExitCode {
    service::run(export_batch::FUNCTION)
}
