use std::process::ExitCode;

fn main() -> ExitCode {
    service::run(reconcile::FUNCTION)
}
