use std::process::ExitCode;

fn main() -> ExitCode {
    service::run(dispatch_shards::FUNCTION)
}
