//! The executable form of the stand-in: nothing but its entry point.
fn main() -> std::process::ExitCode {
    stand_in::main(std::env::args_os())
}
