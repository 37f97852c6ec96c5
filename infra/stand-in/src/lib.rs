//! A stand-in for the models' own command-line tools, for machines without a GPU or weights.
//! From the outside it is `boltz predict`, `chai-lab fold`, `rfdiffusion`, `proteinmpnn` or
//! `rf2`: their arguments, printed lines, files, exit codes and, on request, their failures.
//! The numbers come from a hash of the input, mean nothing, and say so in every result file.
//! Nothing here may know the worker, the domain or the cloud.

mod assembly;
mod boltz;
mod chai;
mod cif;
mod draws;
mod npz;
mod options;
mod rfantibody;
mod settings;
mod smiles;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use settings::Settings;

/// The tools that can be played, by the names of their executables.
const TOOLS: [&str; 5] = ["boltz", "chai-lab", "rfdiffusion", "proteinmpnn", "rf2"];

/// Why a tool stops early; decides the exit code as the real tool would.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// Wrong command line: exit code 2, or 0 for help.
    #[error(transparent)]
    Usage(#[from] clap::Error),
    /// What a Python tool shows as an uncaught exception: exit code 1.
    #[error("{class}: {message}")]
    Raised { class: &'static str, message: String },
    #[error("OSError: {0}")]
    Io(#[from] std::io::Error),
}

impl Failure {
    fn raised(class: &'static str, message: impl Into<String>) -> Self {
        Self::Raised { class, message: message.into() }
    }
}

type Outcome = Result<(), Failure>;

/// Plays one tool and returns its exit code.
///
/// `args` starts with the program's name, as in `std::env::args_os`. The tool is that name when
/// it is one of the five (a symbolic link works), else the first argument after it.
/// Timing and faults come from the environment; see the README.
pub fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    let outcome = Settings::from_env().and_then(|settings| play(args.collect(), &settings));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage(error)) => {
            eprintln!("{error}");
            ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
        }
        Err(error) => {
            eprintln!("Traceback (most recent call last):\n{error}");
            ExitCode::FAILURE
        }
    }
}

fn play(mut args: Vec<OsString>, settings: &Settings) -> Outcome {
    if !args.first().is_some_and(|name| TOOLS.contains(&tool(name))) && !args.is_empty() {
        args.remove(0);
    }
    match args.first().map(tool) {
        Some("boltz") => boltz::main(args, settings),
        Some("chai-lab") => chai::main(args, settings),
        Some("rfdiffusion") => rfantibody::rfdiffusion(args, settings),
        Some("proteinmpnn") => rfantibody::proteinmpnn(args, settings),
        Some("rf2") => rfantibody::rf2(args, settings),
        _ => Err(options::usage(format!("name a tool first: {}", TOOLS.join(", ")))),
    }
}

/// The executable's name without its folder, or nothing when it is not text.
fn tool(name: &OsString) -> &str {
    Path::new(name).file_name().and_then(|name| name.to_str()).unwrap_or_default()
}
