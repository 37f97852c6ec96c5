//! The stand-in for the models' tools as an executable beside this package's tests, which run it as a real process.

fn main() -> std::process::ExitCode {
    stand_in::main(std::env::args_os())
}
