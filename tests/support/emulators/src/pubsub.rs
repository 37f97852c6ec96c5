//! What a test sets up in Pub/Sub and reads from it, over the emulator's REST interface.

use reqwest::{Client, Method};
use serde_json::{Value, json};
use std::net::SocketAddr;

/// One project of a Pub/Sub emulator.
#[derive(Clone, Debug)]
pub struct PubSub {
    address: SocketAddr,
    project: String,
    client: Client,
}

impl PubSub {
    pub fn new(address: SocketAddr, project: &str) -> Self {
        PubSub { address, project: project.to_owned(), client: Client::new() }
    }

    /// Makes a topic.
    pub async fn topic(&self, name: &str) -> reqwest::Result<()> {
        self.call(Method::PUT, &format!("topics/{name}"), json!({})).await.map(|_| ())
    }

    /// Makes a subscription of a topic; `settings` are fields of its resource, such as `pushConfig`.
    pub async fn subscription(&self, name: &str, topic: &str, mut settings: Value) -> reqwest::Result<()> {
        settings["topic"] = json!(self.topic_name(topic));
        self.call(Method::PUT, &format!("subscriptions/{name}"), settings).await.map(|_| ())
    }

    /// The full name of a topic, as settings name the one dead letters go to.
    pub fn topic_name(&self, topic: &str) -> String {
        format!("projects/{}/topics/{topic}", self.project)
    }

    /// Takes up to 100 messages that wait in a subscription, as the REST interface words them, and acknowledges them.
    pub async fn pull(&self, subscription: &str) -> reqwest::Result<Vec<Value>> {
        let path = format!("subscriptions/{subscription}");
        let pulled = self.call(Method::POST, &format!("{path}:pull"), json!({"maxMessages": 100})).await?;
        let received = pulled["receivedMessages"].as_array().cloned().unwrap_or_default();
        let ids: Vec<_> = received.iter().map(|message| message["ackId"].clone()).collect();
        if !ids.is_empty() {
            self.call(Method::POST, &format!("{path}:acknowledge"), json!({ "ackIds": ids })).await?;
        }
        Ok(received.into_iter().map(|mut message| message["message"].take()).collect())
    }

    async fn call(&self, method: Method, path: &str, body: Value) -> reqwest::Result<Value> {
        let url = format!("http://{}/v1/projects/{}/{path}", self.address, self.project);
        self.client.request(method, url).json(&body).send().await?.error_for_status()?.json().await
    }
}
