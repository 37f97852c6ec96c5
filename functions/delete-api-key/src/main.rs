use std::process::ExitCode;

fn main() -> ExitCode {
    service::run(delete_api_key::FUNCTION)
}
