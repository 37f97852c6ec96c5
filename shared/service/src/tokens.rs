//! Verification of identity tokens, in full: signature by a known key, RS256 only, issuer, audience, times, subject.
//! What the token's own header says about where keys may be found is never followed.

use chrono::{DateTime, Utc};
use domain::Uid;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, jwk::JwkSet};
use serde::Deserialize;

/// Clocks may differ by this much, in seconds.
const LEEWAY: u64 = 60;

/// Whose tokens are taken, and the keys they are signed with.
pub struct Verifier {
    issuer: String,
    audience: String,
    keys: JwkSet,
}

/// Why a token was not taken. The caller learns only that it was not.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("the token is not signed with RS256 by a known key")]
    Key,
    #[error("the token is not valid")]
    Invalid(#[source] jsonwebtoken::errors::Error),
    #[error("the token was issued in the future")]
    Times,
    #[error("the token names no user")]
    Subject,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    iat: i64,
    auth_time: Option<i64>,
}

impl Verifier {
    pub fn new(issuer: String, audience: String, keys: JwkSet) -> Self {
        Verifier { issuer, audience, keys }
    }

    /// The user a token speaks for.
    pub fn verify(&self, token: &str, now: DateTime<Utc>) -> Result<Uid, TokenError> {
        let header = jsonwebtoken::decode_header(token).map_err(TokenError::Invalid)?;
        let key = header.kid.filter(|_| header.alg == Algorithm::RS256).and_then(|kid| self.keys.find(&kid));
        let key = DecodingKey::from_jwk(key.ok_or(TokenError::Key)?).map_err(TokenError::Invalid)?;
        let mut rules = Validation::new(Algorithm::RS256);
        rules.leeway = LEEWAY;
        rules.validate_nbf = true;
        rules.set_issuer(&[&self.issuer]);
        rules.set_audience(&[&self.audience]);
        rules.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        let claims = jsonwebtoken::decode::<Claims>(token, &key, &rules).map_err(TokenError::Invalid)?.claims;
        let latest = now.timestamp() + LEEWAY as i64;
        if claims.iat > latest || claims.auth_time.is_some_and(|time| time > latest) {
            return Err(TokenError::Times);
        }
        Uid::try_from(claims.sub).map_err(|_| TokenError::Subject)
    }
}
