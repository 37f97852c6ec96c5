//! Tokens as an attacker would make them, and as clocks that differ would.

use crate::tokens::Verifier;
use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rsa::{KeyPair, KeySize},
};
use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use chrono::{DateTime, Utc};
use jsonwebtoken::{
    Algorithm, EncodingKey, Header, encode,
    jwk::{Jwk, JwkSet},
};
use serde_json::{Value, json};
use std::sync::LazyLock;

const ISSUER: &str = "https://securetoken.google.com/project";
const NOW: i64 = 1_700_000_000;

static OURS: LazyLock<EncodingKey> = LazyLock::new(new_key);
static THEIRS: LazyLock<EncodingKey> = LazyLock::new(new_key);

fn new_key() -> EncodingKey {
    let key = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let der: Pkcs8V1Der<'_> = key.as_der().unwrap();
    let pem =
        format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", BASE64_STANDARD.encode(der.as_ref()));
    EncodingKey::from_rsa_pem(pem.as_bytes()).unwrap()
}

fn public(key: &EncodingKey) -> Jwk {
    let mut public = Jwk::from_encoding_key(key, Algorithm::RS256).unwrap();
    public.common.key_id = Some("k1".into());
    public
}

fn header(algorithm: Algorithm) -> Header {
    Header { kid: Some("k1".into()), ..Header::new(algorithm) }
}

/// The claims of a good token, with others in their place; null takes one away.
fn claims(changes: Value) -> Value {
    let mut claims =
        json!({"sub": "u1", "iss": ISSUER, "aud": "project", "iat": NOW, "auth_time": NOW, "exp": NOW + 3600});
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    claims
}

fn signed(changes: Value) -> String {
    encode(&header(Algorithm::RS256), &claims(changes), &OURS).unwrap()
}

/// The user that a token speaks for so many seconds after it was issued.
fn user_after(token: &str, seconds: i64) -> Option<String> {
    let verifier = Verifier::new(ISSUER.into(), "project".into(), JwkSet { keys: vec![public(&OURS)] });
    let now = DateTime::<Utc>::from_timestamp_secs(NOW + seconds).unwrap();
    verifier.verify(token, now).ok().map(|uid| uid.to_string())
}

fn user(token: &str) -> Option<String> {
    user_after(token, 0)
}

#[test]
fn a_token_of_the_issuer_for_us_speaks_for_its_user() {
    assert_eq!(user(&signed(json!({}))).as_deref(), Some("u1"));
    assert_eq!(user(&signed(json!({"auth_time": null}))).as_deref(), Some("u1"));
}

#[test]
fn a_token_without_a_signature_is_refused() {
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    for algorithm in ["none", "None", "NONE"] {
        let head = json!({"alg": algorithm, "typ": "JWT", "kid": "k1"});
        assert_eq!(user(&format!("{}.{}.", part(&head), part(&claims(json!({}))))), None, "{algorithm}");
    }
    let good = signed(json!({}));
    assert_eq!(user(&format!("{}.", good.rsplit_once('.').unwrap().0)), None);
}

#[test]
fn a_public_key_is_no_secret_to_sign_with() {
    let public = public(&OURS);
    let json = serde_json::to_value(&public).unwrap();
    let modulus = json["n"].as_str().unwrap();
    let secrets =
        [modulus.as_bytes().to_vec(), BASE64_URL_SAFE_NO_PAD.decode(modulus).unwrap(), json.to_string().into_bytes()];
    for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
        for secret in &secrets {
            let token = encode(&header(algorithm), &claims(json!({})), &EncodingKey::from_secret(secret)).unwrap();
            assert_eq!(user(&token), None, "{algorithm:?}");
        }
    }
}

#[test]
fn only_rs256_is_taken_even_from_the_right_key() {
    for algorithm in [Algorithm::RS384, Algorithm::RS512, Algorithm::PS256] {
        let token = encode(&header(algorithm), &claims(json!({})), &OURS).unwrap();
        assert_eq!(user(&token), None, "{algorithm:?}");
    }
}

#[test]
fn a_key_that_is_unknown_unnamed_or_brought_along_is_refused() {
    let by = |header: Header, key: &EncodingKey| encode(&header, &claims(json!({})), key).unwrap();
    let unknown = Header { kid: Some("k2".into()), ..Header::new(Algorithm::RS256) };
    assert_eq!(user(&by(unknown, &OURS)), None);
    assert_eq!(user(&by(Header::new(Algorithm::RS256), &OURS)), None, "unnamed");
    assert_eq!(user(&by(header(Algorithm::RS256), &THEIRS)), None, "another key under a known name");
    let brought = Header { jwk: Some(public(&THEIRS)), ..header(Algorithm::RS256) };
    assert_eq!(user(&by(brought, &THEIRS)), None);
    let elsewhere = Header { jku: Some("https://attacker.invalid/keys".into()), ..header(Algorithm::RS256) };
    assert_eq!(user(&by(elsewhere, &THEIRS)), None);
}

#[test]
fn a_token_that_was_changed_after_signing_is_refused() {
    let token = signed(json!({}));
    let parts: Vec<_> = token.split('.').collect();
    let other = BASE64_URL_SAFE_NO_PAD.encode(claims(json!({"sub": "u2"})).to_string());
    assert_eq!(user(&format!("{}.{other}.{}", parts[0], parts[2])), None);
    for garbage in ["", ".", "..", "x.y.z", "Bearer x"] {
        assert_eq!(user(garbage), None, "{garbage:?}");
    }
}

#[test]
fn a_token_for_or_of_somebody_else_is_refused() {
    for changes in [
        json!({"aud": "another-project"}),
        json!({"aud": null}),
        json!({"aud": ""}),
        json!({"iss": "https://securetoken.google.com/another-project"}),
        json!({"iss": format!("{ISSUER}/")}),
        json!({"iss": null}),
        json!({"sub": ""}),
        json!({"sub": "../u2"}),
        json!({"sub": null}),
        json!({"exp": null}),
        json!({"exp": "tomorrow"}),
        json!({"iat": null}),
    ] {
        assert_eq!(user(&signed(changes.clone())), None, "{changes}");
    }
}

#[test]
fn clocks_may_differ_by_a_minute_and_no_more() {
    let good = signed(json!({}));
    assert!(user_after(&good, 3600 + 59).is_some());
    assert_eq!(user_after(&good, 3600 + 61), None, "expired");
    assert!(user_after(&good, -59).is_some());
    assert_eq!(user_after(&good, -61), None, "issued in the future");
    assert!(user(&signed(json!({"nbf": NOW + 59}))).is_some());
    assert_eq!(user(&signed(json!({"nbf": NOW + 61}))), None, "not valid yet");
    assert!(user(&signed(json!({"auth_time": NOW + 59}))).is_some());
    assert_eq!(user(&signed(json!({"auth_time": NOW + 61}))), None, "signed in in the future");
}
