use std::process::ExitCode;

fn main() -> ExitCode {
    service::run(create_api_key::FUNCTION)
}
