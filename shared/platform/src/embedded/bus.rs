//! Messages go straight into the feed.

use super::{Change, Event, Store, feed};
use crate::{Message, Result, bus::BusCore};
use async_trait::async_trait;

#[async_trait]
impl BusCore for Store {
    async fn publish(&self, topic: &str, message: Message) -> Result<()> {
        let change = Change { at: self.0.clock.now(), event: Event::message(topic, &message) };
        self.transaction(move |transaction| feed::append(transaction, &change)).await?;
        self.0.changed.notify_one();
        Ok(())
    }
}
