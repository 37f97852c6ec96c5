//! Messages: whoever is told of changes is told of them.

use super::Port;
use async_trait::async_trait;
use platform::{Message, Result, bus::BusCore, embedded::Event};

#[async_trait]
impl BusCore for Port {
    async fn publish(&self, topic: &str, message: Message) -> Result<()> {
        self.call("publish", true, topic, |state, _| {
            state.happened.push(Event::message(topic, &message));
            Ok(())
        })
        .await
    }
}
