//! Messages through Pub/Sub: one publisher per topic, each message sent at once, because a function answers only when
//! its messages are safe.

use super::{Endpoint, error::failed, one_attempt};
use crate::{Error, Message, Result, bus::BusCore};
use async_trait::async_trait;
use google_cloud_pubsub::{
    client::{BasePublisher, Publisher},
    error::PublishError,
    model,
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::OnceCell;

pub(super) const WHAT: &str = "Pub/Sub";

pub(super) struct PubSub {
    project: String,
    endpoint: Option<Endpoint>,
    client: OnceCell<BasePublisher>,
    topics: Mutex<HashMap<String, Publisher>>,
}

impl PubSub {
    pub(super) fn new(project: &str, endpoint: Option<Endpoint>) -> Self {
        PubSub { project: project.to_owned(), endpoint, client: OnceCell::new(), topics: Mutex::default() }
    }

    async fn client(&self) -> Result<&BasePublisher> {
        let connect = || async {
            let mut builder = BasePublisher::builder().with_retry_policy(one_attempt());
            if let Some(Endpoint(url)) = &self.endpoint {
                builder = builder.with_endpoint(url).with_credentials(Endpoint::credentials());
            }
            builder.build().await.map_err(|error| Error::internal(WHAT, error))
        };
        self.client.get_or_try_init(connect).await
    }

    async fn topic(&self, topic: &str) -> Result<Publisher> {
        let client = self.client().await?;
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || {
            let name = format!("projects/{}/topics/{topic}", self.project);
            client.publisher(name).set_message_count_threshold(1).build()
        };
        Ok(topics.entry(topic.to_owned()).or_insert_with(make).clone())
    }
}

#[async_trait]
impl BusCore for PubSub {
    async fn publish(&self, topic: &str, message: Message) -> Result<()> {
        let message = model::Message::new().set_data(message.data).set_attributes(message.attributes);
        match self.topic(topic).await?.publish(message).await {
            Ok(_) => Ok(()),
            Err(PublishError::Rpc(cause)) => Err(match Arc::try_unwrap(cause) {
                Ok(cause) => failed(WHAT, cause),
                Err(shared) => Error::unavailable(WHAT, shared),
            }),
            Err(error) => Err(Error::unavailable(WHAT, error)),
        }
    }
}
