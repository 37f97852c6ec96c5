//! The stand-in against the real tools: every test runs the executable and looks at what it
//! leaves behind. Files of real runs are in `tests/fixtures`.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail like the tests themselves")]

mod boltz;
mod boltz_failures;
mod chai;
mod rfantibody;
mod support;
