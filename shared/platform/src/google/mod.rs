//! The adapters on Google Cloud, one per port, each behind its [`guard`]. Making one does no network: each connects at its first use, so that a
//! service starts while what it needs is still unreachable. Where an [`Endpoint`] is given, an emulator or a test
//! server is meant, and no credentials are looked up.

mod blobs;
mod bus;
mod docs;
mod error;
mod executions;
mod unproven;

use crate::{Blobs, Bus, Clock, Docs, Executions, guard};
use chrono::{DateTime, Utc};
use google_cloud_auth::credentials::{Credentials, anonymous};
use google_cloud_gax::retry_policy::{NeverRetry, RetryPolicyArg, RetryPolicyExt};
use std::{sync::Arc, time::Duration};

/// How long one attempt may wait for its answer.
const ATTEMPT: Duration = Duration::from_secs(15);
/// How long a client tries again by itself, where only it can: it knows how far a stream had got.
const PATIENCE: Duration = Duration::from_secs(20);

/// One attempt: repeating is the guard's.
fn one_attempt() -> RetryPolicyArg {
    NeverRetry.with_time_limit(ATTEMPT).into()
}

/// Where an emulator or a test server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(String);

impl Endpoint {
    /// Takes an address with or without a scheme, as emulators print it (`127.0.0.1:8901`).
    pub fn new(address: &str) -> Self {
        let address = address.trim_end_matches('/');
        Endpoint(if address.contains("://") { address.to_owned() } else { format!("http://{address}") })
    }

    fn credentials() -> Credentials {
        anonymous::Builder::new().build()
    }
}

/// Documents in Firestore. `database` is usually `(default)`.
pub fn docs(project: &str, database: &str, endpoint: Option<Endpoint>, clock: &Clock) -> Docs {
    guard::docs(docs::WHAT, Arc::new(docs::Firestore::new(project, database, endpoint)), clock)
}

/// Objects in Cloud Storage, in buckets whose names begin with `prefix`.
pub fn blobs(prefix: &str, endpoint: Option<Endpoint>, clock: &Clock) -> Blobs {
    guard::blobs(blobs::WHAT, Arc::new(blobs::CloudStorage::new(prefix, endpoint)), clock)
}

/// Messages through Pub/Sub, to topics of `project`.
pub fn bus(project: &str, endpoint: Option<Endpoint>, clock: &Clock) -> Bus {
    guard::bus(bus::WHAT, Arc::new(bus::PubSub::new(project, endpoint)), clock)
}

/// Executions of Cloud Run jobs. Claims are documents of `claims`, in the collection of that name.
pub fn executions(project: &str, region: &str, endpoint: Option<Endpoint>, claims: Docs, clock: &Clock) -> Executions {
    let adapter = executions::CloudRun::new(project, region, endpoint, claims, clock.clone());
    guard::executions(executions::WHAT, Arc::new(adapter), clock)
}

fn moment(time: google_cloud_wkt::Timestamp) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(time.seconds(), u32::try_from(time.nanos()).ok()?)
}
