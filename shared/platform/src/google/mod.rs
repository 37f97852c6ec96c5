//! The adapters on Google Cloud, one per port. Making one does no network: each connects at its first use, so that a
//! service starts while what it needs is still unreachable. Where an [`Endpoint`] is given, an emulator or a test
//! server is meant, and no credentials are looked up.

mod blobs;
mod bus;
mod docs;
mod error;
mod executions;
mod unproven;

use crate::{Blobs, Bus, Clock, Docs, Executions};
use chrono::{DateTime, Utc};
use google_cloud_auth::credentials::{Credentials, anonymous};
use std::{sync::Arc, time::Duration};

/// How long a call is tried again before the caller hears of it: well within any handler's own time.
const PATIENCE: Duration = Duration::from_secs(20);

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
pub fn docs(project: &str, database: &str, endpoint: Option<Endpoint>) -> Docs {
    Docs::new(Arc::new(docs::Firestore::new(project, database, endpoint)))
}

/// Objects in Cloud Storage, in buckets whose names begin with `prefix`.
pub fn blobs(prefix: &str, endpoint: Option<Endpoint>) -> Blobs {
    Blobs::new(Arc::new(blobs::CloudStorage::new(prefix, endpoint)))
}

/// Messages through Pub/Sub, to topics of `project`.
pub fn bus(project: &str, endpoint: Option<Endpoint>) -> Bus {
    Bus::new(Arc::new(bus::PubSub::new(project, endpoint)))
}

/// Executions of Cloud Run jobs. Claims are documents of `claims`, in the collection of that name.
pub fn executions(project: &str, region: &str, endpoint: Option<Endpoint>, claims: Docs, clock: Clock) -> Executions {
    Executions::new(Arc::new(executions::CloudRun::new(project, region, endpoint, claims, clock)))
}

fn moment(time: google_cloud_wkt::Timestamp) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(time.seconds(), u32::try_from(time.nanos()).ok()?)
}
