//! Everything a function may touch, and nothing else: handed to the router as its state, from which a handler's
//! signature picks what it needs.

use crate::{limits::Limiter, runs::recent::Recent, tokens::Verifier, webhooks::Resolver};
use axum::extract::FromRef;
use domain::Slots;
use platform::{Blobs, Bus, Clock, Docs, Executions, Ids};
use std::{sync::Arc, time::Duration};

/// The state of every router.
#[derive(Clone, FromRef)]
pub struct World {
    pub docs: Docs,
    pub blobs: Blobs,
    pub bus: Bus,
    pub executions: Executions,
    pub clock: Clock,
    pub ids: Ids,
    pub verifier: Arc<Verifier>,
    pub resolver: Resolver,
    pub limiter: Limiter,
    pub recent: Recent,
    pub settings: Arc<Settings>,
}

/// What an operator decides.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// GPUs that may run at once.
    pub gpu_capacity: u32,
    /// Of them, kept free of bulk work.
    pub gpu_reserve: u32,
    /// The limit of one GPU task; at most an hour on Cloud Run.
    pub task_limit: Duration,
    /// A run without news for so long is looked at by the reconciler.
    pub stuck_after: Duration,
    /// Put before the names of buckets (`<prefix>uploads`).
    pub bucket_prefix: String,
    /// Origins of web frontends that may call the API; `*` allows any.
    pub cors_origins: Vec<String>,
    /// Webhooks may go to this machine, without TLS: for tests and for work on a laptop only.
    pub webhooks_to_loopback: bool,
    /// Whether users are held to the limits of their tiers.
    pub limits: bool,
    /// Models whose tool is a stand-in: its values are used again only where it would be asked again.
    pub simulated_models: Vec<String>,
}

impl Settings {
    /// The GPUs there are to hand out.
    pub fn slots(&self) -> Slots {
        Slots { capacity: self.gpu_capacity, reserve: self.gpu_reserve }
    }

    /// How long an execution may hold its slots before it is looked into: both tries of its tasks, on clocks of which
    /// each is wrong by up to ten minutes.
    pub fn lease_time(&self) -> Duration {
        self.task_limit * 2 + Duration::from_secs(1200)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            gpu_capacity: 3,
            gpu_reserve: 1,
            task_limit: Duration::from_secs(3600),
            stuck_after: Duration::from_secs(60),
            bucket_prefix: String::new(),
            cors_origins: vec![],
            webhooks_to_loopback: false,
            limits: true,
            simulated_models: vec![],
        }
    }
}
