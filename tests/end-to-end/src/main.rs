use std::process::ExitCode;

/// Every function as a process, as the image has them, and the stand-in for the models' tools.
fn main() -> ExitCode {
    let name = std::env::args().nth(1).unwrap_or_default();
    if name == "stand-in" {
        let program = std::ffi::OsString::from("model-stand-in");
        return stand_in::main(std::iter::once(program).chain(std::env::args_os().skip(2)));
    }
    hub::ALL.iter().find(|function| function.name == name).map_or(ExitCode::FAILURE, |function| service::run(*function))
}
