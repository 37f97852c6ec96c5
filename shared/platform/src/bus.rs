//! The message port: publish, and nothing else. Who receives what is infrastructure, not code.

use crate::Result;
use async_trait::async_trait;
use std::{collections::BTreeMap, sync::Arc};

/// A message: ids, never state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    pub data: Vec<u8>,
    pub attributes: BTreeMap<String, String>,
}

/// What an adapter implements. Callers use [`Bus`].
#[async_trait]
pub trait BusCore: Send + Sync {
    async fn publish(&self, topic: &str, message: Message) -> Result<()>;
}

/// The handle functions hold.
#[derive(Clone)]
pub struct Bus(Arc<dyn BusCore>);

impl Bus {
    pub fn new(core: Arc<dyn BusCore>) -> Self {
        Bus(core)
    }

    /// When this returns, the message will be delivered at least once.
    pub async fn publish(&self, topic: &str, message: Message) -> Result<()> {
        self.0.publish(topic, message).await
    }
}
