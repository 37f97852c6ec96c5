//! Verification of identity tokens, in full: signature by a known key, RS256 only, one issuer, one audience (a list of
//! them is refused, even one that holds ours), times, subject. What the token's own header says about where keys may be
//! found (`jku`, `jwk`, `x5u`, `x5c`) is never followed; a header that says something must be understood (`crit`) is
//! refused.

use crate::keys::{FetchError, KeyCache};
use chrono::{DateTime, Utc};
use domain::{Role, Tier, Uid};
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation, jwk::JwkSet};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Clocks may differ by this much, in seconds.
const LEEWAY: i64 = 60;
/// Tokens that are remembered before all are forgotten: about 5 MB.
const REMEMBERED: usize = 10_000;

/// Whose tokens are taken, and the keys they are signed with.
pub struct Verifier {
    issuer: String,
    audience: String,
    keys: Keys,
    checked: Mutex<Checked>,
}

/// What tokens claim whose signature was found right, by the SHA-256 of the token: a client sends the same one for an
/// hour, and checking its signature takes longer than finding a document. Times are compared anew in every request.
#[derive(Default)]
struct Checked {
    /// The keys they were checked by; with others, all is forgotten.
    keys: Option<Arc<JwkSet>>,
    claims: HashMap<[u8; 32], Arc<Claims>>,
}

enum Keys {
    Given(Arc<JwkSet>),
    Fetched(KeyCache),
}

/// Why a token was not taken. The caller learns only that it was not.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("the token is not signed with RS256 by a known key")]
    Key,
    #[error("the token is not valid")]
    Invalid(#[source] jsonwebtoken::errors::Error),
    #[error("the token has run out, or begins or was issued in the future")]
    Times,
    #[error("the token names no user")]
    Subject,
    #[error("the token is for another audience or of another issuer")]
    Foreign,
    /// Nothing is wrong with the token: it cannot be judged now.
    #[error("the keys of the issuer cannot be had")]
    NoKeys(#[source] FetchError),
}

/// What a verified token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub uid: Uid,
    /// The claim `tier`; the least one where it is missing or names none.
    pub tier: Tier,
    /// The claims `roles` and `admin`.
    pub roles: Vec<Role>,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    /// One text: a list does not read as one.
    iss: String,
    aud: String,
    exp: i64,
    nbf: Option<i64>,
    iat: i64,
    auth_time: Option<i64>,
    #[serde(default)]
    tier: Tier,
    #[serde(default)]
    roles: Value,
    #[serde(default)]
    admin: Value,
}

impl Claims {
    /// A role that is claimed in any other way than the two there are is not claimed.
    fn roles(&self) -> Vec<Role> {
        let mut roles = domain::roles(&self.roles);
        if self.admin == Value::Bool(true) && !roles.contains(&Role::Admin) {
            roles.push(Role::Admin);
        }
        roles
    }
}

impl Verifier {
    pub fn new(issuer: String, audience: String, keys: JwkSet) -> Self {
        Verifier { issuer, audience, keys: Keys::Given(Arc::new(keys)), checked: Mutex::default() }
    }

    /// A verifier whose keys are the issuer's current ones.
    pub fn fetching(issuer: String, audience: String, keys: KeyCache) -> Self {
        Verifier { issuer, audience, keys: Keys::Fetched(keys), checked: Mutex::default() }
    }

    /// The user a token speaks for, once the issuer's keys are at hand.
    pub async fn check(&self, token: &str, now: DateTime<Utc>) -> Result<Identity, TokenError> {
        if let Keys::Fetched(cache) = &self.keys {
            let header = jsonwebtoken::decode_header(token).map_err(TokenError::Invalid)?;
            let key = key_id(header).ok_or(TokenError::Key)?;
            cache.refresh(&key, now).await.map_err(TokenError::NoKeys)?;
        }
        self.verify(token, now)
    }

    /// The user a token speaks for, by the keys at hand.
    pub fn verify(&self, token: &str, now: DateTime<Utc>) -> Result<Identity, TokenError> {
        let claims = self.claims(token)?;
        let begins = [Some(claims.iat), claims.auth_time, claims.nbf].into_iter().flatten().max().unwrap_or(claims.iat);
        if begins > now.timestamp() + LEEWAY || claims.exp < now.timestamp() - LEEWAY {
            return Err(TokenError::Times);
        }
        let uid = Uid::named(claims.sub.clone()).map_err(|_| TokenError::Subject)?;
        Ok(Identity { uid, tier: claims.tier, roles: claims.roles() })
    }

    /// What a token claims that is signed by one of the keys at hand, is of our issuer and for us.
    fn claims(&self, token: &str) -> Result<Arc<Claims>, TokenError> {
        let keys = match &self.keys {
            Keys::Given(keys) => keys.clone(),
            Keys::Fetched(cache) => cache.current(),
        };
        let digest = Sha256::digest(token).into();
        if let Some(claims) = self.checked_by(&keys).claims.get(&digest) {
            return Ok(claims.clone());
        }
        let claims = Arc::new(self.check_signature(token, &keys)?);
        let mut checked = self.checked_by(&keys);
        if checked.claims.len() >= REMEMBERED {
            checked.claims.clear();
        }
        checked.claims.insert(digest, claims.clone());
        Ok(claims)
    }

    /// What was checked by these keys.
    fn checked_by(&self, keys: &Arc<JwkSet>) -> MutexGuard<'_, Checked> {
        let mut checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        if !checked.keys.as_ref().is_some_and(|known| Arc::ptr_eq(known, keys)) {
            *checked = Checked { keys: Some(keys.clone()), claims: HashMap::new() };
        }
        checked
    }

    fn check_signature(&self, token: &str, keys: &JwkSet) -> Result<Claims, TokenError> {
        let header = jsonwebtoken::decode_header(token).map_err(TokenError::Invalid)?;
        let key = key_id(header).and_then(|id| keys.find(&id).cloned()).ok_or(TokenError::Key)?;
        let key = DecodingKey::from_jwk(&key).map_err(TokenError::Invalid)?;
        let mut rules = Validation::new(Algorithm::RS256);
        // Times are compared by the caller's clock.
        rules.validate_exp = false;
        rules.set_issuer(&[&self.issuer]);
        rules.set_audience(&[&self.audience]);
        rules.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        let claims = jsonwebtoken::decode::<Claims>(token, &key, &rules).map_err(TokenError::Invalid)?.claims;
        if claims.iss != self.issuer || claims.aud != self.audience {
            return Err(TokenError::Foreign);
        }
        Ok(claims)
    }
}

/// The name of the key that a token says it is signed with: only a name among those at hand, never a place to look.
fn key_id(header: Header) -> Option<String> {
    header.kid.filter(|_| header.alg == Algorithm::RS256 && header.crit.is_none())
}
