//! Journeys through the whole program, from what a user does to what the user then finds, and the checks of the house
//! itself. One target, because each links the whole program.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod access;
mod aliases;
mod broken_rows;
mod cancelling;
mod chaos;
mod deployment;
mod doors;
mod failures;
mod house;
mod killed;
mod other_models;
mod problems;
mod readme;
mod repeats;
mod results;
mod reuse;
mod screen;
mod secrets;
mod single;
mod storm;
mod submitting;
mod uploads;
mod webhooks;

use journeys::Hub;

/// The program under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_local-hub");

/// A cloud with these settings of its operator.
async fn start(environment: &[(&str, &str)]) -> Hub {
    Hub::start(PROGRAM, environment).await
}

/// The id of a batch.
fn id(batch: &serde_json::Value) -> String {
    batch["batch_id"].as_str().unwrap_or_else(|| panic!("no batch: {batch}")).to_owned()
}
