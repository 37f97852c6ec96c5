use std::process::ExitCode;

fn main() -> ExitCode {
    service::run(system_status::FUNCTION)
}
