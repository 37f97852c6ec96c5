use std::process::ExitCode;

fn main() -> ExitCode {
    service::run(predict_worker::FUNCTION)
}
