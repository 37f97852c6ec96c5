use super::*;
use domain::Scope;
use service::{api_key::ApiKey, testing::Bench};

const PATH: &str = "/api/v1/api-keys";

#[tokio::test]
async fn a_user_sees_their_own_keys_and_nothing_that_opens_anything() {
    let bench = Bench::new().await;
    bench.key("secret-text", "u1", &[Scope::Read]).await;
    let reply = bench.get(FUNCTION, "u1", PATH).await;
    let keys = reply.body["api_keys"].as_array().unwrap();
    assert_eq!((reply.status, keys.len()), (200, 2));
    let all = reply.body.to_string();
    assert!(!all.contains("secret-text") && !all.contains(&api_key::hash("secret-text")));
    assert_eq!(bench.get(FUNCTION, "u2", PATH).await.body["api_keys"].as_array().unwrap().len(), 1);
    assert_eq!(bench.get(FUNCTION, "secret-text", PATH).await.status, 403, "a key for reading runs");
}

#[tokio::test]
async fn it_is_told_when_a_key_was_used_last() {
    let bench = Bench::new().await;
    let mut key = bench.world.docs.get::<ApiKey>(&ApiKey::path("u1")).await.unwrap();
    bench.wait(100);
    key.value.last_used_at = Some(bench.now());
    bench.world.docs.replace(&key).await.unwrap();
    let mut unused = key.value.clone();
    unused.last_used_at = None;
    bench.world.docs.create(&ApiKey::path("unused"), &unused).await.unwrap();
    let keys = bench.get(FUNCTION, "u1", PATH).await.body["api_keys"].clone();
    let mut told: Vec<_> = keys.as_array().unwrap().iter().map(|key| key["last_used_at"].clone()).collect();
    told.sort_by_key(|at| !at.is_null());
    assert_eq!(told, [serde_json::Value::Null, serde_json::json!(bench.now())]);
}
