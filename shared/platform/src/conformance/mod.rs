//! What every adapter of a port must do, as suites that panic where it does not. The embedded adapters run them in
//! this crate's tests; the others run the same ones against real servers.
#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, reason = "a suite fails by panicking")]

mod blobs;
mod bus;
mod clock;
mod docs;
mod executions;

pub use blobs::blobs;
pub use bus::bus;
pub use clock::clock;
pub use docs::docs;
pub use executions::executions;
