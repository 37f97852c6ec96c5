use std::process::ExitCode;

/// The program under test: the tests of this package can find it by name.
fn main() -> ExitCode {
    local::main()
}
