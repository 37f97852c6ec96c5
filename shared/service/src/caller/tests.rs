use super::*;
use crate::{
    Function,
    signing::{AUDIENCE, ISSUER, keys, signed},
    testing::{Bench, Reply, user},
    tokens::Verifier,
};
use axum::{
    Json,
    body::Body,
    http::{Request, StatusCode},
};
use serde_json::{Value, json};
use std::sync::Arc;
use tower::ServiceExt;
use utoipa_axum::{router::OpenApiRouter, routes};

const FUNCTION: Function = Function::http("probe", router);

fn router() -> OpenApiRouter<World> {
    OpenApiRouter::new()
        .routes(routes!(look, change))
        .routes(routes!(manage))
        .routes(routes!(submit))
        .routes(routes!(take))
        .routes(routes!(run))
        .routes(routes!(probe))
}

/// What a handler learns of its caller.
fn shown(caller: &Caller) -> Json<Value> {
    Json(json!({"uid": caller.uid, "tier": caller.tier, "roles": caller.roles}))
}

#[utoipa::path(get, path = "/", responses((status = 200)))]
async fn look(caller: Caller) -> Json<Value> {
    shown(&caller)
}

#[utoipa::path(post, path = "/", responses((status = 200)))]
async fn change(caller: Caller) -> Json<Value> {
    shown(&caller)
}

#[utoipa::path(get, path = "/manage", responses((status = 200)))]
async fn manage(Manager(caller): Manager) -> Json<Value> {
    shown(&caller)
}

#[utoipa::path(post, path = "/submit", responses((status = 200)))]
async fn submit(Submitter(caller): Submitter) -> Json<Value> {
    shown(&caller)
}

#[utoipa::path(get, path = "/take", responses((status = 200)))]
async fn take(Downloads(caller): Downloads) -> Json<Value> {
    shown(&caller)
}

#[utoipa::path(get, path = "/run", responses((status = 200)))]
async fn run(Admin(caller): Admin) -> Json<Value> {
    shown(&caller)
}

#[utoipa::path(get, path = "/api/probe", responses((status = 200)))]
async fn probe(caller: Caller) -> Json<Value> {
    shown(&caller)
}

/// A bench that takes the tests' tokens.
async fn bench() -> Bench {
    let mut bench = Bench::new().await;
    bench.world.verifier = Arc::new(Verifier::new(ISSUER.into(), AUDIENCE.into(), keys()));
    bench
}

async fn with_token(bench: &Bench, path: &str, claims: Value) -> Reply {
    let token = format!("bearer {}", signed(claims));
    bench.send(FUNCTION, Request::get(path).header("authorization", token).body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn the_tier_is_the_claims_unless_the_operator_said_another() {
    let bench = bench().await;
    let mut tiers = vec![];
    for claims in
        [json!({"sub": "new"}), json!({"sub": "new", "tier": "premium"}), json!({"sub": "u1", "tier": "admin"})]
    {
        tiers.push(with_token(&bench, "/", claims).await.body["tier"].clone());
    }
    assert_eq!(tiers, ["default", "premium", "enterprise"]);
}

#[tokio::test]
async fn a_tier_that_the_client_sends_along_is_not_looked_at() {
    let bench = bench().await;
    let token = format!("Bearer {}", signed(json!({"sub": "new"})));
    let request = Request::get("/?tier=admin").header("authorization", token).header("x-user-tier", "admin");
    let request = request.header("x-tier", "admin").header("cookie", "tier=admin").body(Body::empty()).unwrap();
    assert_eq!(bench.send(FUNCTION, request).await.body["tier"], "default");
}

#[tokio::test]
async fn an_api_key_has_the_tier_and_roles_of_its_owners_record() {
    let bench = bench().await;
    assert_eq!(bench.get(FUNCTION, "u1", "/").await.body["tier"], "enterprise");
    bench.change_account("u1", |account| (account.tier, account.claimed_tier) = (None, Some(Tier::Premium))).await;
    assert_eq!(bench.get(FUNCTION, "u1", "/").await.body, json!({"uid": "u1", "tier": "premium", "roles": []}));
    assert_eq!(bench.get(FUNCTION, "u1", "/run").await.status, 403);
    bench.change_account("u1", |account| account.roles = Some(vec![Role::Admin])).await;
    assert_eq!(bench.get(FUNCTION, "u1", "/run").await.status, 200);
}

#[tokio::test]
async fn operators_alone_reach_what_is_theirs() {
    let bench = bench().await;
    let status = async |claims: Value| with_token(&bench, "/run", claims).await.status;
    assert_eq!(status(json!({"tier": "admin"})).await, 403, "a tier is no role");
    assert_eq!((status(json!({"admin": true})).await, status(json!({"roles": ["admin"]})).await), (200, 200));
    bench.change_account("u1", |account| account.roles = Some(vec![])).await;
    assert_eq!(status(json!({"admin": true})).await, 403, "the operator took it back");
    bench.key("reader", "u2", &[Scope::Read]).await;
    bench.change_account("u2", |account| account.roles = Some(vec![Role::Admin])).await;
    assert_eq!(bench.get(FUNCTION, "reader", "/run").await.status, 403, "a key for reading");
}

#[tokio::test]
async fn a_key_does_what_its_scopes_say_and_no_more() {
    let bench = bench().await;
    for scope in Scope::ALL {
        bench.key(scope.as_str(), "u1", &[scope]).await;
        let mut done = vec![];
        for (method, path) in
            [(Method::GET, "/"), (Method::GET, "/take"), (Method::POST, "/"), (Method::GET, "/manage")]
        {
            done.push(bench.ask(FUNCTION, method, scope.as_str(), path).await.status);
        }
        let wanted = match scope {
            Scope::Read => [200, 200, 403, 403],
            Scope::Submit => [403, 403, 200, 403],
            Scope::Manage => [403, 403, 403, 200],
        };
        assert_eq!(done, wanted, "{}", scope.as_str());
    }
}

#[tokio::test]
async fn a_key_is_good_until_it_expires_and_its_use_is_told_once_an_hour() {
    let bench = bench().await;
    let mut key = bench.world.docs.get::<api_key::ApiKey>(&api_key::ApiKey::path("u1")).await.unwrap();
    key.value.expires_at = Some(bench.now().plus_seconds(7200));
    bench.world.docs.replace(&key).await.unwrap();
    assert_eq!(bench.get(FUNCTION, "u1", "/").await.status, 200);
    assert_eq!(bench.published(places::KEY_USED).await, 0, "within the hour");
    bench.wait(3600);
    assert_eq!(bench.get(FUNCTION, "u1", "/").await.status, 200);
    assert_eq!(bench.published(places::KEY_USED).await, 1);
    bench.wait(3600);
    let reply = bench.get(FUNCTION, "u1", "/").await;
    assert_eq!((reply.status, reply.header("www-authenticate")), (401, "Bearer"));
}

#[tokio::test]
async fn every_answer_to_somebody_known_tells_what_is_left() {
    let bench = bench().await;
    let told = |reply: &Reply| {
        let fields = ["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"];
        fields.map(|name| {
            if name != "ratelimit-reset" {
                assert_eq!(reply.header(name), reply.header(&format!("x-{name}")), "{name}");
            }
            reply.header(name).parse::<u64>().ok()
        })
    };
    let reply = with_token(&bench, "/", json!({"sub": "new"})).await;
    assert_eq!(told(&reply), [Some(60), Some(59), Some(1)]);
    assert_eq!(reply.header("x-ratelimit-reset"), "1700000001", "as Unix time");
    let refused = with_token(&bench, "/run", json!({"sub": "new"})).await;
    assert_eq!((refused.status, told(&refused)), (403, [Some(60), Some(58), Some(2)]));
    let file = with_token(&bench, "/take", json!({"sub": "new"})).await;
    assert_eq!(told(&file), [Some(20), Some(19), Some(3)], "the scarcer one");
    assert_eq!(told(&bench.get(FUNCTION, "nobody", "/").await), [None; 3], "this is no path of the API");
}

#[tokio::test]
async fn who_is_not_known_is_counted_by_address_whatever_they_are_answered() {
    let bench = bench().await;
    let ask = async |method: Method, path: &str, told: &str| {
        let request = Request::builder().method(method).uri(path).header("x-forwarded-for", told);
        bench.send(FUNCTION, request.body(Body::empty()).unwrap()).await
    };
    let mine = "198.51.100.7,203.0.113.1";
    for (n, (method, path, status)) in
        [(Method::GET, "/api/probe", 401), (Method::GET, "/api/nothing", 404), (Method::DELETE, "/api/probe", 405)]
            .into_iter()
            .enumerate()
    {
        let reply = ask(method, path, mine).await;
        assert_eq!((reply.status, reply.header("ratelimit-limit")), (status, "600"), "{path}");
        assert_eq!(reply.header("x-ratelimit-remaining"), (599 - n).to_string());
    }
    for n in 3..600 {
        let spoofed = format!("10.0.0.{n}, {mine}");
        assert_eq!(ask(Method::GET, "/api/probe", &spoofed).await.status, 401);
    }
    let refused = ask(Method::GET, "/api/probe", mine).await;
    assert_eq!(
        (refused.status, refused.header("retry-after"), refused.text("/title")),
        (429, "1", "Too Many Requests")
    );
    assert_eq!((refused.header("ratelimit-remaining"), refused.header("www-authenticate")), ("0", ""));
    assert_eq!(ask(Method::GET, "/api/probe", "198.51.100.8,203.0.113.1").await.status, 401, "nobody else waits");
    assert_eq!(bench.get(FUNCTION, "u1", "/api/probe").await.header("ratelimit-limit"), "1000", "who is known is");
    let health = bench.answer(FUNCTION, Request::get("/healthz").body(Body::empty()).unwrap()).await;
    assert!(health.status() == StatusCode::OK && !health.headers().contains_key("ratelimit-limit"));
}

#[tokio::test]
async fn too_many_requests_are_refused_until_there_is_room_again() {
    let bench = bench().await;
    let ask = async || with_token(&bench, "/", json!({"sub": "new"})).await;
    for _ in 0..60 {
        assert_eq!(ask().await.status, 200);
    }
    let refused = ask().await;
    assert_eq!((refused.status, refused.header("retry-after"), &refused.body["retry_after"]), (429, "1", &json!(1)));
    assert_eq!((refused.header("ratelimit-remaining"), refused.header("ratelimit-reset")), ("0", "60"));
    assert_eq!(with_token(&bench, "/", json!({"sub": "other"})).await.status, 200, "nobody else waits");
    bench.wait(1);
    assert_eq!((ask().await.status, ask().await.status), (200, 429));
}

#[tokio::test]
async fn downloads_are_counted_by_themselves() {
    let bench = bench().await;
    for _ in 0..20 {
        assert_eq!(with_token(&bench, "/take", json!({"sub": "new"})).await.status, 200);
    }
    let refused = with_token(&bench, "/take", json!({"sub": "new"})).await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, "3"));
    assert_eq!(with_token(&bench, "/", json!({"sub": "new"})).await.status, 200);
}

#[tokio::test]
async fn an_operator_may_switch_the_limits_off() {
    let mut bench = bench().await;
    bench.set(|settings| settings.limits = false);
    for _ in 0..61 {
        let reply = with_token(&bench, "/", json!({"sub": "new"})).await;
        assert_eq!((reply.status, reply.header("ratelimit-limit")), (200, ""));
    }
}

#[tokio::test]
async fn browsers_may_read_what_is_left() {
    let bench = Bench::with(|settings| settings.cors_origins = vec!["https://app.example".into()]).await;
    let request = Request::get("/").header("origin", "https://app.example").header(API_KEY, "u1");
    let router = crate::testing::router(FUNCTION, &bench.world);
    let response = router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let exposed = response.headers()["access-control-expose-headers"].to_str().unwrap().to_lowercase();
    for name in ["ratelimit-limit", "x-ratelimit-reset", "retry-after", "location"] {
        assert!(exposed.split(',').any(|field| field.trim() == name), "{name} in {exposed}");
    }
}

#[tokio::test]
async fn who_only_looks_is_let_in_by_the_account_of_a_moment_ago_and_who_changes_something_by_what_it_is() {
    let bench = bench().await;
    assert_eq!(bench.get(FUNCTION, "u1", "/").await.body["tier"], "enterprise");
    let mut account = bench.world.docs.get::<domain::Account>(&places::account(&user("u1"))).await.unwrap();
    account.value.tier = Some(Tier::Premium);
    bench.world.docs.replace(&account).await.unwrap();
    bench.wait(9);
    assert_eq!(bench.get(FUNCTION, "u1", "/").await.body["tier"], "enterprise");
    assert_eq!(bench.post(FUNCTION, "u1", "/", None, &Value::Null).await.body["tier"], "premium");
    bench.wait(1);
    assert_eq!(bench.get(FUNCTION, "u1", "/").await.body["tier"], "premium");
}

#[tokio::test]
async fn who_submits_is_let_in_by_the_account_of_a_moment_ago() {
    let bench = bench().await;
    assert_eq!(bench.post(FUNCTION, "u1", "/submit", None, &Value::Null).await.body["tier"], "enterprise");
    let mut account = bench.world.docs.get::<domain::Account>(&places::account(&user("u1"))).await.unwrap();
    account.value.tier = Some(Tier::Premium);
    bench.world.docs.replace(&account).await.unwrap();
    assert_eq!(bench.post(FUNCTION, "u1", "/submit", None, &Value::Null).await.body["tier"], "enterprise");
    bench.wait(10);
    assert_eq!(bench.post(FUNCTION, "u1", "/submit", None, &Value::Null).await.body["tier"], "premium");
    bench.key("looks", "u1", &[Scope::Read]).await;
    assert_eq!(bench.post(FUNCTION, "looks", "/submit", None, &Value::Null).await.status, 403);
}
