//! An identity provider for tests: keys, and tokens signed with them, good or as an attacker would make them.

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rsa::{KeyPair, KeySize},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::{DateTime, Utc};
use jsonwebtoken::{
    Algorithm, EncodingKey, Header, encode,
    jwk::{Jwk, JwkSet},
};
use serde_json::{Value, json};
use std::sync::LazyLock;

pub const ISSUER: &str = "https://securetoken.google.com/project";
pub const AUDIENCE: &str = "project";
/// When every token here is issued; the clock of a bench stands there.
pub const NOW: i64 = 1_700_000_000;

/// The provider's key `k1`.
pub static OURS: LazyLock<EncodingKey> = LazyLock::new(new_key);
/// A key that is not the provider's, or its next one.
pub static THEIRS: LazyLock<EncodingKey> = LazyLock::new(new_key);

fn new_key() -> EncodingKey {
    let key = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let der: Pkcs8V1Der<'_> = key.as_der().unwrap();
    let pem =
        format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", BASE64_STANDARD.encode(der.as_ref()));
    EncodingKey::from_rsa_pem(pem.as_bytes()).unwrap()
}

/// The public half of a key, under this name.
pub fn public(key: &EncodingKey, name: &str) -> Jwk {
    let mut public = Jwk::from_encoding_key(key, Algorithm::RS256).unwrap();
    public.common.key_id = Some(name.to_owned());
    public
}

/// The provider's keys.
pub fn keys() -> JwkSet {
    JwkSet { keys: vec![public(&OURS, "k1")] }
}

/// The header of a token that names the key `k1`.
pub fn header(algorithm: Algorithm) -> Header {
    Header { kid: Some("k1".into()), ..Header::new(algorithm) }
}

/// The claims of a good token, with others in their place; null takes one away.
pub fn claims(changes: Value) -> Value {
    let mut claims =
        json!({"sub": "u1", "iss": ISSUER, "aud": AUDIENCE, "iat": NOW, "auth_time": NOW, "exp": NOW + 3600});
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    claims
}

/// A good token with these changes, signed with the provider's key.
pub fn signed(changes: Value) -> String {
    signed_by(header(Algorithm::RS256), &OURS, changes)
}

pub fn signed_by(header: Header, key: &EncodingKey, changes: Value) -> String {
    encode(&header, &claims(changes), key).unwrap()
}

/// So many seconds after the tokens were issued.
pub fn after(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_secs(NOW + seconds).unwrap()
}
