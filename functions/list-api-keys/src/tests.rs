use super::*;
use domain::Scope;
use service::testing::Bench;

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
