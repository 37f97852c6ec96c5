use std::process::ExitCode;

fn main() -> ExitCode {
    service::run(stream_events::FUNCTION)
}
