//! The whole cloud in one process, on one data folder. It plays what Google plays in production: the load balancer
//! (one router over every HTTP function), Eventarc and Pub/Sub (document writes, objects and messages become the same
//! bytes on the wire, delivered at least once, with retries and a dead-letter queue), Cloud Scheduler (timers), Cloud
//! Run jobs (worker tasks as child processes), the identity provider (tokens from a key of its own) and signed links.
//! The functions do not know the difference. The tests drive the same [`Cloud`].

mod access;
mod cli;
mod cloud;
mod deliver;
pub mod screen;
mod serve;
mod tasks;
mod tools;

pub use access::Access;
pub use cli::main;
pub use cloud::{Cloud, CloudOptions, LOCAL_USER};
pub use deliver::{MAX_ATTEMPTS, dead_letter, request, subscribers};
pub use serve::{http, listen};
pub use tasks::{MAX_RETRIES, TASK, ended_notice};
pub use tools::STAND_IN;
