//! API keys: what is kept of one, and how its use is told. The key itself is kept nowhere, only its SHA-256, which names
//! the document; the id by which its owner speaks of it has nothing to do with either.

use crate::{Problem, World, places};
use domain::{Scope, Timestamp, Uid};
use platform::{DocPath, Docs, Message, Query, Versioned};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

/// The header of API keys.
pub const API_KEY: &str = "x-api-key";
/// Keys a user may have.
pub const MOST_KEYS: usize = 20;
/// The last use of a key is written down this often at most, in seconds: its document must not get hot.
pub const USE_WRITTEN_EVERY: u64 = 3600;

/// The document of a key. Revoking a key deletes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ApiKey {
    /// `key_…`, by which the API names it.
    pub id: String,
    #[serde(deserialize_with = "Uid::stored")]
    pub uid: Uid,
    pub name: String,
    pub scopes: Vec<Scope>,
    pub created_at: Timestamp,
    /// From then on it is not taken any more.
    pub expires_at: Option<Timestamp>,
    /// To the hour.
    pub last_used_at: Option<Timestamp>,
}

/// The message that a key was used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeyUsed {
    /// The SHA-256 of the key.
    pub hash: String,
    pub at: Timestamp,
}

/// The SHA-256 of a key, in hexadecimal. Keys are 240 random bits: no salt and no slow hash is needed.
pub fn hash(key: &str) -> String {
    hex::encode(Sha256::digest(key.as_bytes()))
}

impl ApiKey {
    /// The document of a key.
    pub fn path(key: &str) -> DocPath {
        places::api_key(&hash(key))
    }

    /// True where its use should be written down: whether it was within the last hour is all that is kept.
    pub fn use_is_due(&self, now: Timestamp) -> bool {
        self.last_used_at.is_none_or(|used| used.plus_seconds(USE_WRITTEN_EVERY) <= now)
    }
}

/// All keys of a user, the newest first.
pub async fn of_user(docs: &Docs, uid: &Uid) -> platform::Result<Vec<Versioned<ApiKey>>> {
    let mut keys = docs.query::<ApiKey>(&Query::collection(places::api_keys()).equals("uid", uid.as_str())).await?;
    keys.sort_by(|a, b| (b.value.created_at, &b.value.id).cmp(&(a.value.created_at, &a.value.id)));
    Ok(keys)
}

/// The record of the key that a request brings; its use is told where that is due.
pub(crate) async fn check(world: &World, key: &str) -> Result<ApiKey, Problem> {
    let hash = hash(key);
    let now = Timestamp::from(world.clock.now());
    let record = world.docs.find::<ApiKey>(&places::api_key(&hash)).await?.map(|record| record.value);
    let good = record.filter(|record| record.expires_at.is_none_or(|end| now < end));
    let record = good.ok_or_else(|| Problem::unauthorized("the API key is not valid"))?;
    if record.use_is_due(now) {
        let told = serde_json::to_vec(&KeyUsed { hash, at: now }).map_err(Problem::internal)?;
        let told = Message { data: told, ..Message::default() };
        // Which function is asked may not write documents: another one does. That it is told late harms nobody.
        if let Err(error) = world.bus.publish(places::KEY_USED, told).await {
            tracing::warn!(key.id = record.id, error = %crate::chain(&error), "the use of a key could not be told");
        }
    }
    Ok(record)
}

/// A key as its owner sees it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct KeyView {
    /// By which it is revoked; it opens nothing.
    #[schema(example = "key_0a1b2c3d4e5f6g7h8j9kmnpq")]
    pub key_id: String,
    pub name: String,
    pub scopes: Vec<Scope>,
    pub created_at: Timestamp,
    /// Null where it is good until it is revoked.
    pub expires_at: Option<Timestamp>,
    /// To the hour; null where it was never used.
    pub last_used_at: Option<Timestamp>,
}

impl From<&ApiKey> for KeyView {
    fn from(key: &ApiKey) -> Self {
        KeyView {
            key_id: key.id.clone(),
            name: key.name.clone(),
            scopes: key.scopes.clone(),
            created_at: key.created_at,
            expires_at: key.expires_at,
            last_used_at: key.last_used_at,
        }
    }
}
