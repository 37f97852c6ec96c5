//! What everybody asks for: the things of one user, and their addresses.

use super::Route;
use crate::id;
use axum::http::Method;
use journeys::{
    Client, Hub,
    inputs::{batch, target},
};
use serde_json::json;
use service::api_key::ApiKey;

/// What is Maria's: a finished batch and single prediction, a webhook that hears of neither, an API key of each scope and
/// one more, one that has expired and one that was revoked.
#[derive(Clone)]
pub struct Marias {
    pub batch: String,
    pub job: String,
    pub webhook: String,
    pub spare_key: String,
    /// By their scope.
    pub keys: Vec<(&'static str, String)>,
    pub expired: String,
    pub revoked: String,
}

impl Marias {
    pub async fn make(hub: &Hub) -> Self {
        let maria = hub.user("maria");
        let (batch, job) = runs(&maria).await;
        let mut keys = vec![];
        for scope in ["read", "submit", "manage"] {
            keys.push((scope, key(&maria, scope).await.0));
        }
        let (expired, revoked) = (key(&maria, "read").await.0, key(&maria, "read").await);
        let path = ApiKey::path(&expired);
        let mut record = hub.cloud.world.docs.get::<ApiKey>(&path).await.unwrap();
        record.value.expires_at = Some(record.value.created_at);
        hub.cloud.world.docs.replace(&record).await.unwrap();
        assert_eq!(maria.delete(&format!("/api/v1/api-keys/{}", revoked.1)).await.status, 204);
        let (webhook, spare_key) = spares(&maria).await;
        Marias { batch, job, webhook, spare_key, keys, expired, revoked: revoked.0 }
    }

    /// The same with a webhook and a key of their own, to be changed and deleted.
    pub async fn renewed(&self, hub: &Hub) -> Self {
        let (webhook, spare_key) = spares(&hub.user("maria")).await;
        Marias { webhook, spare_key, ..self.clone() }
    }

    /// Ids of the same kinds that nobody has.
    pub fn nobodys(&self) -> Self {
        let none = |id: &str| format!("{}_{}", id.split_once('_').unwrap().0, "0".repeat(24));
        let [batch, job] = [&self.batch, &self.job].map(|id| none(id));
        let [webhook, spare_key] = [&self.webhook, &self.spare_key].map(|id| none(id));
        Marias { batch, job, webhook, spare_key, ..self.clone() }
    }

    /// The addresses of a route with her ids in it; the first is the one that the route is about.
    pub fn addresses(&self, route: &Route) -> Vec<String> {
        let path = route.path.replace("{webhook_id}", &self.webhook).replace("{key_id}", &self.spare_key);
        let query = if path.ends_with("/export") { "?format=csv" } else { "" };
        let fill = |id: &str| path.replace("{batch_id}", id).replace("{job_id}", id).replace("{kind}", "json") + query;
        let mut all = match path.contains("{job_id}") {
            true => vec![fill(&self.job), fill(&self.batch), fill(&format!("{}_0001", self.batch))],
            false => vec![fill(&self.batch)],
        };
        if route.method == Method::DELETE {
            all.extend(all.clone().into_iter().map(|path| path + "?purge=true"));
        }
        all
    }
}

/// A batch and a single prediction that have ended.
pub async fn runs(maria: &Client) -> (String, String) {
    let single = json!({"model": "boltz2", "protein_sequence": target(), "ligand_smiles": "CCO"});
    let job = maria.post("/api/v1/predict", &single).await.json(202)["job_id"].as_str().unwrap().to_owned();
    let batch = id(&maria.run_batch(&batch(2)).await);
    maria.job_ends(&job).await;
    (batch, job)
}

/// A new key of the scope, and its id.
pub async fn key(maria: &Client, scope: &str) -> (String, String) {
    let made = maria.post("/api/v1/api-keys", &json!({"name": scope, "scopes": [scope]})).await.json(201);
    (made["key"].as_str().unwrap().to_owned(), made["key_id"].as_str().unwrap().to_owned())
}

/// A webhook and a key that nothing else needs; their ids.
async fn spares(maria: &Client) -> (String, String) {
    let webhook = json!({"url": "https://8.8.8.8/", "events": ["job.failed"]});
    let webhook = maria.post("/api/v1/webhooks", &webhook).await.json(201);
    (webhook["webhook_id"].as_str().unwrap().to_owned(), key(maria, "read").await.1)
}
