//! Who is asking. A handler that takes a [`Caller`] cannot be reached without a verified identity, and reaches
//! documents and objects only through paths made from it.

use crate::{Problem, World, places, tokens::TokenError};
use axum::{extract::FromRequestParts, http::request::Parts};
use domain::{JobId, Timestamp, Uid};
use platform::DocPath;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The header of API keys.
pub const API_KEY: &str = "x-api-key";

/// A verified user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    pub uid: Uid,
}

/// The record of an API key: the key itself is kept nowhere, only its SHA-256, which names the document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ApiKey {
    pub uid: Uid,
    pub name: String,
    pub created_at: Timestamp,
    pub revoked: bool,
}

impl ApiKey {
    /// The document of a key.
    pub fn path(key: &str) -> DocPath {
        places::api_key(&hex::encode(Sha256::digest(key.as_bytes())))
    }
}

impl Caller {
    /// The document of one of the caller's own runs. Another user's id leads nowhere.
    pub fn job(&self, id: &JobId) -> DocPath {
        places::job(&self.uid, id)
    }
}

impl FromRequestParts<World> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, world: &World) -> Result<Self, Problem> {
        let text = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        if let Some(token) = text("authorization").and_then(|value| value.strip_prefix("Bearer ")) {
            return match world.verifier.check(token, world.clock.now()).await {
                Ok(uid) => Ok(Caller { uid }),
                Err(TokenError::NoKeys(cause)) => Err(Problem::unavailable(cause)),
                Err(error) => {
                    tracing::info!(reason = %error, "token refused");
                    Err(Problem::unauthorized("the token is not valid"))
                }
            };
        }
        let Some(key) = text(API_KEY) else {
            return Err(Problem::unauthorized("send a bearer token, or an API key in x-api-key"));
        };
        let record = world.docs.find::<ApiKey>(&ApiKey::path(key)).await?;
        match record.filter(|record| !record.value.revoked) {
            Some(record) => Ok(Caller { uid: record.value.uid }),
            None => Err(Problem::unauthorized("the API key is not valid")),
        }
    }
}
