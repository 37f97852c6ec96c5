//! Tokens as an attacker would make them, as clocks that differ would, and as a provider's keys come and go.

use crate::{
    keys::{Fetch, FetchError, Fetched, KeyCache},
    signing::{AUDIENCE, ISSUER, NOW, OURS, THEIRS, after, claims, header, keys, public, signed, signed_by},
    tokens::{TokenError, Verifier},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use domain::{Role, Tier};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, jwk::JwkSet};
use serde_json::{Value, json};
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

/// The user that a token speaks for so many seconds after it was issued.
fn user_after(token: &str, seconds: i64) -> Option<String> {
    let verifier = Verifier::new(ISSUER.into(), AUDIENCE.into(), keys());
    verifier.verify(token, after(seconds)).ok().map(|identity| identity.uid.to_string())
}

fn user(token: &str) -> Option<String> {
    user_after(token, 0)
}

/// None of these changes to a good token's claims is taken.
fn refused(changes: impl IntoIterator<Item = Value>) {
    for changes in changes {
        assert_eq!(user(&signed(changes.clone())), None, "{changes}");
    }
}

/// Who gets in with a header of these members besides, signed with our key and with another one.
fn with_header(members: Value) -> (Option<String>, Option<String>) {
    let mut whole = json!({"alg": "RS256", "typ": "JWT", "kid": "k1"});
    for (name, value) in members.as_object().unwrap() {
        whole[name] = value.clone();
    }
    let header: Header = serde_json::from_value(whole).unwrap();
    (user(&signed_by(header.clone(), &OURS, json!({}))), user(&signed_by(header, &THEIRS, json!({}))))
}

#[test]
fn a_token_of_the_issuer_for_us_speaks_for_its_user() {
    assert_eq!(user(&signed(json!({}))).as_deref(), Some("u1"));
    assert_eq!(user(&signed(json!({"auth_time": null}))).as_deref(), Some("u1"));
}

#[test]
fn a_token_without_a_signature_is_refused() {
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    for algorithm in ["none", "None", "NONE", "nOnE", ""] {
        let head = json!({"alg": algorithm, "typ": "JWT", "kid": "k1"});
        assert_eq!(user(&format!("{}.{}.", part(&head), part(&claims(json!({}))))), None, "{algorithm}");
    }
    let good = signed(json!({}));
    assert_eq!(user(&format!("{}.", good.rsplit_once('.').unwrap().0)), None);
}

#[test]
fn a_public_key_is_no_secret_to_sign_with() {
    let public = public(&OURS, "k1");
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
        assert_eq!(user(&signed_by(header(algorithm), &OURS, json!({}))), None, "{algorithm:?}");
    }
}

#[test]
fn a_key_that_is_unknown_or_unnamed_is_refused() {
    let unknown = Header { kid: Some("k2".into()), ..Header::new(Algorithm::RS256) };
    assert_eq!(user(&signed_by(unknown, &OURS, json!({}))), None);
    assert_eq!(user(&signed_by(Header::new(Algorithm::RS256), &OURS, json!({}))), None, "unnamed");
    assert_eq!(user(&signed_by(header(Algorithm::RS256), &THEIRS, json!({}))), None, "another key under a known name");
}

#[test]
fn the_name_of_a_key_is_never_a_path() {
    for name in ["../../dev/null", "/dev/null", "./k1", "k1/../k1", "keys/k1", "k1\0", "' OR 1=1 --"] {
        let named = Header { kid: Some(name.into()), ..Header::new(Algorithm::RS256) };
        assert_eq!(user(&signed_by(named, &THEIRS, json!({}))), None, "{name:?}");
    }
    // What an empty file would be to a naive reader.
    let empty = Header { kid: Some("../../dev/null".into()), ..Header::new(Algorithm::HS256) };
    assert_eq!(user(&encode(&empty, &claims(json!({})), &EncodingKey::from_secret(b"")).unwrap()), None);
}

#[test]
fn the_name_of_a_key_is_never_an_address() {
    for name in ["https://attacker.invalid/keys", "http://127.0.0.1/keys", "file:///dev/null"] {
        let named = Header { kid: Some(name.into()), ..Header::new(Algorithm::RS256) };
        assert_eq!(user(&signed_by(named, &THEIRS, json!({}))), None, "{name:?}");
    }
}

#[test]
fn keys_at_an_address_of_the_token_are_not_looked_at() {
    let (ours, theirs) = with_header(json!({"jku": "https://attacker.invalid/keys"}));
    assert_eq!((ours.as_deref(), theirs), (Some("u1"), None));
}

#[test]
fn a_certificate_at_an_address_of_the_token_is_not_looked_at() {
    let members = json!({"x5u": "https://attacker.invalid/cert", "x5t": "AAAA", "x5c": ["AAAA"]});
    let (ours, theirs) = with_header(members);
    assert_eq!((ours.as_deref(), theirs), (Some("u1"), None));
}

#[test]
fn a_key_that_the_token_brings_along_is_not_used() {
    let (ours, theirs) = with_header(json!({"jwk": public(&THEIRS, "k1")}));
    assert_eq!((ours.as_deref(), theirs), (Some("u1"), None));
}

#[test]
fn a_header_that_must_be_understood_is_refused() {
    assert_eq!(with_header(json!({"crit": ["b64"], "b64": false})), (None, None));
    assert_eq!(with_header(json!({"crit": []})), (None, None));
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
fn a_token_for_another_audience_is_refused() {
    refused([json!({"aud": "another-project"}), json!({"aud": "Project"}), json!({"aud": "project "})]);
}

#[test]
fn a_token_for_no_audience_is_refused() {
    refused([json!({"aud": null}), json!({"aud": ""})]);
}

#[test]
fn a_token_for_several_audiences_is_refused_even_if_we_are_one() {
    refused([json!({"aud": ["project"]}), json!({"aud": ["project", "another-project"]}), json!({"aud": []})]);
}

#[test]
fn a_token_of_another_project_is_refused() {
    refused([
        json!({"iss": "https://securetoken.google.com/another-project"}),
        json!({"iss": null}),
        json!({"iss": ""}),
    ]);
}

#[test]
fn the_issuer_has_one_spelling() {
    refused([
        json!({"iss": format!("{ISSUER}/")}),
        json!({"iss": ISSUER.replace("https", "http")}),
        json!({"iss": ISSUER.to_uppercase()}),
        json!({"iss": format!("{ISSUER}.attacker.invalid")}),
        json!({"iss": [ISSUER]}),
    ]);
}

#[test]
fn a_token_without_a_user_is_refused() {
    refused([json!({"sub": ""}), json!({"sub": null}), json!({"sub": 7}), json!({"sub": " "})]);
}

#[test]
fn a_user_whose_name_could_leave_its_place_is_refused() {
    refused(["../u2", "u1/jobs", ".", "__x__", "u1\n"].map(|sub| json!({"sub": sub})));
    refused([json!({"sub": "u".repeat(129)})]);
}

#[test]
fn a_token_without_readable_times_is_refused() {
    refused([json!({"exp": null}), json!({"exp": "tomorrow"}), json!({"exp": 1e300}), json!({"iat": null})]);
}

#[test]
fn a_token_runs_out_a_minute_after_its_end() {
    let good = signed(json!({}));
    assert!(user_after(&good, 3600 + 60).is_some());
    assert_eq!(user_after(&good, 3600 + 61), None);
}

#[test]
fn a_token_that_was_taken_before_is_judged_by_its_times_and_its_signature_all_the_same() {
    let (verifier, token) = (Verifier::new(ISSUER.into(), AUDIENCE.into(), keys()), signed(json!({})));
    let takes = |token: &str, seconds: i64| verifier.verify(token, after(seconds)).is_ok();
    assert!(takes(&token, 0) && takes(&token, 3600));
    assert!(!takes(&token, 3661) && !takes(&token, -61));
    let (signed_part, _) = token.rsplit_once('.').unwrap();
    assert!(!takes(&format!("{signed_part}."), 0) && !takes(signed_part, 0));
    let another = signed_by(header(Algorithm::RS256), &THEIRS, json!({}));
    assert!(!takes(&format!("{signed_part}.{}", another.rsplit_once('.').unwrap().1), 0));
    assert!(takes(&token, 0));
}

#[test]
fn a_token_may_be_issued_a_minute_in_the_future() {
    assert!(user(&signed(json!({"iat": NOW + 60}))).is_some());
    refused([json!({"iat": NOW + 61})]);
}

#[test]
fn a_token_may_begin_a_minute_in_the_future() {
    assert!(user(&signed(json!({"nbf": NOW + 60}))).is_some());
    refused([json!({"nbf": NOW + 61})]);
}

#[test]
fn a_sign_in_may_be_a_minute_in_the_future() {
    assert!(user(&signed(json!({"auth_time": NOW + 60}))).is_some());
    refused([json!({"auth_time": NOW + 61})]);
}

#[test]
fn tier_and_roles_are_what_the_claims_say_and_nothing_else_is() {
    let verifier = Verifier::new(ISSUER.into(), AUDIENCE.into(), keys());
    let said = |changes: Value| {
        let identity = verifier.verify(&signed(changes), after(0)).unwrap();
        (identity.tier, identity.roles)
    };
    assert_eq!(said(json!({})), (Tier::Default, vec![]));
    assert_eq!(said(json!({"tier": "premium"})), (Tier::Premium, vec![]));
    assert_eq!(said(json!({"tier": "admin"})), (Tier::Admin, vec![]), "a tier opens nothing");
    assert_eq!(said(json!({"roles": ["admin", "tester"]})).1, [Role::Admin]);
    assert_eq!(said(json!({"admin": true, "roles": ["admin"]})).1, [Role::Admin]);
    for odd in
        [json!({"tier": "Premium"}), json!({"tier": ["premium"]}), json!({"tier": 3}), json!({"Tier": "premium"})]
    {
        assert_eq!(said(odd).0, Tier::Default);
    }
    for odd in [json!({"admin": "true"}), json!({"admin": 1}), json!({"roles": "admin"}), json!({"role": "admin"})] {
        assert_eq!(said(odd).1, []);
    }
}

/// A provider whose answer a test sets, and how often it was asked; `None` is a provider that is away.
struct Provider {
    verifier: Arc<Verifier>,
    answer: Arc<Mutex<Option<JwkSet>>>,
    asked: Arc<AtomicUsize>,
}

impl Provider {
    fn new(answer: Option<JwkSet>) -> Self {
        let (answer, asked) = (Arc::new(Mutex::new(answer)), Arc::new(AtomicUsize::new(0)));
        let (says, count) = (answer.clone(), asked.clone());
        let fetch: Fetch = Box::new(move || {
            count.fetch_add(1, Ordering::SeqCst);
            let says = says.lock().unwrap().clone();
            Box::pin(async move {
                // Everybody who waits for keys comes to wait before there are any.
                tokio::task::yield_now().await;
                let away = || Arc::new(std::io::Error::other("away")) as FetchError;
                says.map(|keys| Fetched { keys, fresh_for: TimeDelta::minutes(10) }).ok_or_else(away)
            })
        });
        let verifier = Arc::new(Verifier::fetching(ISSUER.into(), AUDIENCE.into(), KeyCache::new(fetch)));
        Provider { verifier, answer, asked }
    }

    fn says(&self, answer: Option<JwkSet>) {
        *self.answer.lock().unwrap() = answer;
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    async fn takes(&self, token: &str, seconds: i64) -> bool {
        self.verifier.check(token, after(seconds)).await.is_ok()
    }
}

/// A token signed with the provider's next key, `k2`.
fn by_next_key() -> String {
    let header = Header { kid: Some("k2".into()), ..Header::new(Algorithm::RS256) };
    signed_by(header, &THEIRS, json!({}))
}

#[tokio::test]
async fn while_keys_change_both_are_good_and_a_withdrawn_one_is_not() {
    let (old, new) = (signed(json!({})), by_next_key());
    let provider = Provider::new(Some(keys()));
    assert!(provider.takes(&old, 0).await);
    assert!(!provider.takes(&new, 1).await, "not announced yet");
    provider.says(Some(JwkSet { keys: vec![public(&OURS, "k1"), public(&THEIRS, "k2")] }));
    assert!(provider.takes(&new, 61).await && provider.takes(&old, 61).await);
    provider.says(Some(JwkSet { keys: vec![public(&THEIRS, "k2")] }));
    assert!(provider.takes(&old, 62).await, "until the keys at hand run out");
    assert!(provider.takes(&new, 700).await && !provider.takes(&old, 700).await);
}

#[tokio::test]
async fn while_the_provider_is_away_the_keys_at_hand_stay_good() {
    let token = signed(json!({}));
    let provider = Provider::new(Some(keys()));
    assert!(provider.takes(&token, 0).await);
    provider.says(None);
    assert!(provider.takes(&token, 3000).await, "long after they ran out");
    assert!(!provider.takes(&by_next_key(), 3000).await);
}

#[tokio::test]
async fn without_any_keys_a_token_is_not_judged() {
    let provider = Provider::new(None);
    let outcome = provider.verifier.check(&signed(json!({})), after(0)).await;
    assert!(matches!(outcome, Err(TokenError::NoKeys(_))), "an error of ours, not of the token");
}

#[tokio::test]
async fn a_storm_of_unknown_keys_asks_the_provider_once_a_minute() {
    let provider = Provider::new(Some(keys()));
    assert!(provider.takes(&signed(json!({})), 0).await);
    let storm = |from: i64| -> Vec<String> {
        let token = move |n: i64| {
            let header = Header { kid: Some(format!("made-up-{n}")), ..Header::new(Algorithm::RS256) };
            signed_by(header, &THEIRS, json!({}))
        };
        (from..from + 20).map(token).collect()
    };
    for (minute, asked) in [(0, 1), (1, 2), (2, 3)] {
        let tokens = storm(minute * 100);
        let all = tokens.iter().map(|token| provider.takes(token, minute * 60));
        assert!(futures::future::join_all(all).await.iter().all(|taken| !taken));
        assert_eq!(provider.asked(), asked, "minute {minute}");
    }
}

#[tokio::test]
async fn what_is_plainly_no_token_of_ours_does_not_ask_the_provider() {
    let provider = Provider::new(Some(keys()));
    let unnamed = signed_by(Header::new(Algorithm::RS256), &OURS, json!({}));
    let shared = encode(&header(Algorithm::HS256), &claims(json!({})), &EncodingKey::from_secret(b"x")).unwrap();
    for token in ["", "x.y.z", &unnamed, &shared] {
        assert!(!provider.takes(token, 0).await);
    }
    assert_eq!(provider.asked(), 0);
}
