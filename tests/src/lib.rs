//! What the journeys stand on: the whole cloud in the test's own process ([`Hub`]) or as a program that can be killed
//! ([`Server`]), one [`Client`] for both, and the inputs they are given. Nothing here knows an expected value: what is
//! right stands in the tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod answer;
mod client;
mod hub;
pub mod inputs;
mod server;
mod things;

pub use answer::Answer;
pub use client::{Client, is_final};
pub use hub::Hub;
pub use server::{Server, screen};
pub use things::Things;
