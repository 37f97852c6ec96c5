//! The embedded adapters: every port on one data folder, for a laptop and for tests. One SQLite database holds the
//! documents, the index of objects, executions and the queue of deliveries; object contents are files beside it.
//! A write and the event that tells of it are one transaction, so an event survives what kills the process. Several
//! processes may share a folder: the local server and its worker tasks do.

mod blobs;
mod bus;
mod docs;
mod executions;
mod feed;
mod links;
mod query;
mod store;

pub use executions::{Started, TaskRow};
pub use feed::{Change, Delivery, Event};
pub use links::Links;
pub use store::Store;
