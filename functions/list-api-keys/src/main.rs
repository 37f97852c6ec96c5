use std::process::ExitCode;

fn main() -> ExitCode {
    service::run(list_api_keys::FUNCTION)
}
