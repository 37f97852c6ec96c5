//! The outside world, behind four small ports: documents ([`Docs`]), objects ([`Blobs`]), messages ([`Bus`]) and GPU
//! job executions ([`Executions`]), with a [`Clock`] and an id source ([`Ids`]) beside them. Each port is an
//! object-safe core with a cloneable typed handle over it, so that adapters are compiled once and not once per binary.
//! This crate knows no domain: no job, no ligand, no HTTP.

pub mod blobs;
pub mod bus;
mod clock;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod docs;
pub mod embedded;
mod error;
pub mod executions;
#[cfg(feature = "google")]
pub mod google;
pub mod guard;
mod ids;

pub use blobs::{BlobPath, Blobs, Method, ObjectMeta, PutMode, PutOptions};
pub use bus::{Bus, Message};
pub use clock::Clock;
pub use docs::{Collection, Cursor, Direction, DocPath, Docs, Document, Number, Query, Version, Versioned, Write};
pub use error::{Error, Result};
pub use executions::{Execution, ExecutionState, Executions, StartRequest};
pub use ids::Ids;
