//! Everybody who asks, and what they are to be answered.

use super::{Marias, Needs, Route};
use chrono::TimeDelta;
use journeys::{Client, Hub};
use local::Access;
use serde_json::{Value, json};

/// Somebody who asks.
pub struct Asker {
    pub name: &'static str,
    pub client: Client,
    /// What they may do; nothing where nobody knows them.
    scopes: &'static [&'static str],
    operator: bool,
    /// Whether Maria's things are theirs.
    pub owner: bool,
}

const ALL: &[&str] = &["read", "submit", "manage"];

impl Asker {
    /// The status of the answer, for a route that names something of Maria's or nothing at all.
    pub fn expected(&self, route: &Route) -> u16 {
        let (names_something, known) = (route.path.contains('{'), !self.scopes.is_empty());
        match route.needs {
            Needs::Nothing => route.status,
            _ if !known => 401,
            Needs::Scope(scope) if !self.scopes.contains(&scope) => 403,
            Needs::Operator if !self.operator => 403,
            _ if names_something && !self.owner => 404,
            _ => route.status,
        }
    }

    /// Whether they are refused for who they are.
    pub fn is_refused(&self, route: &Route) -> bool {
        matches!(self.expected(route), 401 | 403 | 404)
    }
}

/// Everybody: each is refused somewhere.
pub fn askers(hub: &Hub, marias: &Marias) -> Vec<Asker> {
    let now = hub.cloud.world.clock.now();
    let token = |user: &str, claims: Value| hub.cloud.access.token_with(user, now, &claims).unwrap();
    let by = |user: &str, claims: Value| hub.client.with_token(&token(user, claims));
    let unknown = |name, client| Asker { name, client, scopes: &[], operator: false, owner: false };
    let known = |name, client| Asker { scopes: ALL, ..unknown(name, client) };
    let anonymous = hub.client.anonymous();
    let elsewhere = Access::open(tempfile::tempdir().unwrap().path()).unwrap();
    let good = token("maria", json!({}));
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let (head, _) = signed.split_once('.').unwrap();
    let payload = token("nils", json!({})).split('.').nth(1).unwrap().to_owned();
    let mut askers = vec![
        unknown("nobody", anonymous.clone()),
        unknown("a guessed key", anonymous.with_key("omtx_guessed")),
        unknown("an empty key", anonymous.with_key("")),
        unknown("an expired key", anonymous.with_key(&marias.expired)),
        unknown("a revoked key", anonymous.with_key(&marias.revoked)),
        unknown("nonsense", anonymous.with_token("nonsense")),
        unknown("an expired token", by("maria", json!({"exp": (now - TimeDelta::hours(1)).timestamp()}))),
        unknown("another audience", by("maria", json!({"aud": "another-project"}))),
        unknown("several audiences", by("maria", json!({"aud": ["omtx-hub-local"]}))),
        unknown("another issuer", by("maria", json!({"iss": "https://elsewhere.invalid"}))),
        unknown("another provider", anonymous.with_token(&elsewhere.token("maria", now).unwrap())),
        unknown("no signature", anonymous.with_token(&format!("{signed}."))),
        unknown("another payload", anonymous.with_token(&format!("{head}.{payload}.{signature}"))),
        // {"alg":"none"}
        unknown("alg none", anonymous.with_token(&format!("eyJhbGciOiJub25lIn0.{payload}."))),
        known("a stranger", by("nils", json!({"tier": "enterprise"}))),
        known("of the least tier", by("nora", json!({"tier": "default"}))),
        known("of the highest", by("noah", json!({"tier": "admin"}))),
        Asker { operator: true, ..known("an operator", by("olga", json!({"admin": true}))) },
        Asker { owner: true, ..known("the owner", by("maria", json!({"tier": "admin"}))) },
    ];
    for (scope, key) in &marias.keys {
        let place = ALL.iter().position(|name| name == scope).unwrap();
        let scopes = &ALL[place..=place];
        askers.push(Asker { scopes, owner: true, ..known(scope, anonymous.with_key(key)) });
    }
    askers
}
