use std::process::ExitCode;

/// `hub NAME` runs the function of that name.
fn main() -> ExitCode {
    let name = std::env::args().nth(1).unwrap_or_default();
    match hub::ALL.iter().find(|function| function.name == name) {
        Some(function) => service::run(*function),
        None => {
            let names: Vec<_> = hub::ALL.iter().map(|function| function.name).collect();
            eprintln!("hub: {name:?} is no function; there are {}", names.join(", "));
            ExitCode::FAILURE
        }
    }
}
