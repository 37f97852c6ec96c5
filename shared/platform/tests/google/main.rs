//! The adapters on Google Cloud against the suites of their ports: Firestore and Pub/Sub on the emulators of the Google
//! Cloud SDK, Cloud Storage and Cloud Run on this project's own test servers. Where the SDK is not installed, what
//! needs it is reported as ignored.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod blobs;
mod bus;
mod docs;
mod executions;

use emulators::{Emulator, Sdk};
use libtest_mimic::{Arguments, Trial};
use std::{future::Future, process::ExitCode};

/// The project everything is in.
const PROJECT: &str = "conformance";

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let sdk = Sdk::find().filter(|_| !arguments.list);
    let start = |emulator: fn(&Sdk) -> std::io::Result<Emulator>| sdk.as_ref().map(|sdk| emulator(sdk).unwrap());
    let firestore = start(|sdk| sdk.firestore(None));
    let pubsub = start(Sdk::pubsub);
    let trials = docs::trials(firestore.as_ref())
        .into_iter()
        .chain(bus::trials(pubsub.as_ref()))
        .chain(blobs::trials())
        .chain(executions::trials())
        .collect();
    // The emulators are stopped when this function is left.
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// A test on its own runtime.
fn trial<F: Future<Output = ()>>(name: &str, test: impl FnOnce() -> F + Send + 'static) -> Trial {
    Trial::test(name, || {
        tokio::runtime::Runtime::new()?.block_on(test());
        Ok(())
    })
}

/// A test that needs an emulator, ignored where there is none.
fn on<F: Future<Output = ()>>(
    emulator: Option<&Emulator>,
    name: &str,
    test: impl FnOnce(String) -> F + Send + 'static,
) -> Trial {
    let address = emulator.map(|emulator| emulator.address.to_string());
    let missing = address.is_none();
    trial(name, || test(address.unwrap_or_default())).with_ignored_flag(missing)
}
