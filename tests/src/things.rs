//! Everything that is stored: which documents and objects there are, and in which state.

use crate::Hub;
use domain::Pool;
use platform::Query;
use serde_json::{Value, json};
use service::places;
use std::collections::BTreeMap;

/// Documents and objects by name, each with what tells one state of it from the next.
#[derive(Clone, Debug, PartialEq)]
pub struct Things(pub BTreeMap<String, String>);

impl Things {
    /// What is there now.
    pub async fn of(hub: &Hub) -> Self {
        let world = &hub.cloud.world;
        let mut things = BTreeMap::new();
        for group in ["users", "jobs", "shards", "idempotency", "notices", "webhooks", "deliveries"] {
            for document in world.docs.query::<Value>(&Query::group(group)).await.unwrap() {
                things.insert(document.path.to_string(), document.version.0);
            }
        }
        for mut document in world.docs.query::<Value>(&Query::group("api_keys")).await.unwrap() {
            // Its use is noted some time after a request, whatever that asked for.
            document.value["last_used_at"].take();
            things.insert(document.path.to_string(), document.value.to_string());
        }
        // The first waking of the dispatcher makes the pool, whenever that comes; what counts is who holds slots.
        for pool in world.docs.query::<Pool>(&Query::group("pools")).await.unwrap() {
            for lease in pool.value.leases {
                things.insert(format!("{}/leases/{}", pool.path, lease.id), json!(lease).to_string());
            }
        }
        for bucket in [places::UPLOADS, places::ARTIFACTS, places::REPORTS] {
            for object in world.blobs.list(bucket, "", None, 10_000).await.unwrap() {
                things.insert(object.path.to_string(), object.generation.to_string());
            }
        }
        Things(things)
    }

    /// The names that hold this text.
    pub fn naming(&self, text: &str) -> Vec<&str> {
        self.0.keys().map(String::as_str).filter(|name| name.contains(text)).collect()
    }
}
