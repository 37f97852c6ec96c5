use std::process::ExitCode;

fn main() -> ExitCode {
    service::run(get_usage::FUNCTION)
}
