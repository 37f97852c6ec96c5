use std::process::ExitCode;

fn main() -> ExitCode {
    service::run(on_library_uploaded::FUNCTION)
}
