//! What every function runs in. A function is a [`Function`]: a name, a trigger and a router over [`World`]; its
//! handlers take what they touch from extractors (`Caller`, `Body`, `DocumentChange`, `Finalized`, `Push`) and answer
//! with a value or a [`Problem`]. What several functions do with runs (submit them, read reports, build rows and
//! views) lives in [`runs`], what they do with webhooks in [`webhooks`]; where everything lies in [`places`].

pub mod api_key;
mod beside;
pub mod caller;
mod config;
pub mod events;
mod extract;
mod function;
pub mod keys;
mod limits;
pub mod paging;
pub mod places;
mod problem;
pub mod repeat;
pub mod runs;
#[cfg(test)]
mod signing;
pub mod start;
pub mod telemetry;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod tokens;
#[cfg(test)]
mod tokens_tests;
pub mod webhooks;
mod world;

pub use beside::Beside;
pub use caller::{Admin, Caller, Downloads, Manager, Submitter};
pub use extract::{Body, IdempotencyKey, Path, Query};
pub use function::{Environment, Function, Shutdown, Trigger, Work, serve};
pub use limits::{Held, Hold, Limiter};
pub use problem::{FieldProblem, Problem, ProblemDetails, Refusals, Result, chain};
pub use start::run;
pub use world::{Settings, World};
