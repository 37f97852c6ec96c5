use super::*;
use domain::Tier;
use platform::Query;
use serde_json::{Value, json};
use service::testing::{Bench, Reply, user};

const PATH: &str = "/api/v1/api-keys";

async fn create(bench: &Bench, by: &str, body: Value) -> Reply {
    bench.post(FUNCTION, by, PATH, None, &body).await
}

fn wanted(scopes: &[&str]) -> Value {
    json!({"name": "pipeline", "scopes": scopes})
}

#[tokio::test]
async fn a_key_is_shown_once_and_only_its_hash_is_kept() {
    let bench = Bench::new().await;
    let reply = create(&bench, "u1", wanted(&["submit", "read", "read"])).await;
    let key = reply.text("/key").to_owned();
    assert_eq!((reply.status, &reply.body["scopes"]), (201, &json!(["read", "submit"])));
    assert!(key.starts_with("omtx_") && key.len() == 5 + 48, "{key}");
    assert_eq!(reply.header("location"), format!("{PATH}/{}", reply.text("/key_id")));
    assert!(!ApiKey::path(&key).as_str().contains(reply.text("/key_id").trim_start_matches("key_")));
    for group in ["api_keys", "users", "idempotency"] {
        for document in bench.world.docs.query::<Value>(&Query::group(group)).await.unwrap() {
            assert!(!document.value.to_string().contains(&key) && !document.path.as_str().contains(&key));
        }
    }
    let made = bench.ask(FUNCTION, axum::http::Method::POST, &key, PATH).await;
    assert_eq!(made.status, 403, "it is taken, and may not manage");
}

#[tokio::test]
async fn a_request_sent_again_makes_one_key_and_does_not_show_it_again() {
    let bench = Bench::new().await;
    let post = async |body: Value| bench.post(FUNCTION, "u1", PATH, Some("k"), &body).await;
    let first = post(wanted(&["read"])).await;
    let again = post(wanted(&["read"])).await;
    assert_eq!((again.status, again.text("/key_id")), (201, first.text("/key_id")));
    assert_eq!((again.header("location"), &again.body["key"]), (first.header("location"), &Value::Null));
    assert_eq!(post(wanted(&["submit"])).await.status, 422);
    assert_eq!(api_key::of_user(&bench.world.docs, &user("u1")).await.unwrap().len(), 2, "the bench's own and this");
    let kept = bench.world.docs.query::<Value>(&Query::group("idempotency")).await.unwrap();
    assert!(kept.iter().all(|kept| !kept.value.to_string().contains("omtx_")));
}

#[tokio::test]
async fn a_key_makes_no_key_that_may_more_or_lasts_longer_than_itself() {
    let bench = Bench::new().await;
    bench.key("manager", "u1", &[Scope::Read, Scope::Manage]).await;
    let mut own = bench.world.docs.get::<ApiKey>(&ApiKey::path("manager")).await.unwrap();
    let (end, late) = (bench.now().plus_seconds(600), bench.now().plus_seconds(9000));
    own.value.expires_at = Some(end);
    bench.world.docs.replace(&own).await.unwrap();
    assert_eq!(create(&bench, "manager", wanted(&["read", "submit"])).await.status, 403);
    for asked in [json!(null), json!(late)] {
        let body = json!({"name": "x", "scopes": ["read"], "expires_at": asked});
        assert_eq!(create(&bench, "manager", body).await.body["expires_at"], json!(end));
    }
    bench.key("reader", "u1", &[Scope::Read, Scope::Submit]).await;
    assert_eq!(create(&bench, "reader", wanted(&["read"])).await.status, 403);
}

#[tokio::test]
async fn of_requests_at_once_no_more_keys_come_than_a_user_may_have() {
    let bench = Bench::new().await;
    for _ in 0..MOST_KEYS - 3 {
        assert_eq!(create(&bench, "u1", wanted(&["read"])).await.status, 201);
    }
    let at_once = || create(&bench, "u1", wanted(&["read"]));
    let (a, b, c, d) = tokio::join!(at_once(), at_once(), at_once(), at_once());
    let mut statuses = [a.status, b.status, c.status, d.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 201, 409, 409]);
    assert_eq!(api_key::of_user(&bench.world.docs, &user("u1")).await.unwrap().len(), MOST_KEYS);
    assert_eq!(create(&bench, "u2", wanted(&["read"])).await.status, 201, "everybody has their own");
}

#[tokio::test]
async fn what_is_wrong_is_named_and_makes_no_key() {
    let bench = Bench::new().await;
    for (wrong, pointer) in [
        (json!({"name": " ", "scopes": ["read"]}), "/name"),
        (json!({"name": "x", "scopes": []}), "/scopes"),
        (json!({"name": "x", "scopes": ["root"]}), "/scopes/0"),
        (json!({"name": "x", "scopes": ["read"], "expires_at": bench.now()}), "/expires_at"),
        (json!({"name": "x", "scopes": ["read"], "uid": "u2"}), "/uid"),
    ] {
        let reply = create(&bench, "u1", wrong).await;
        assert_eq!((reply.status, reply.pointers()), (422, vec![pointer]), "{}", reply.body);
    }
    assert_eq!(api_key::of_user(&bench.world.docs, &user("u1")).await.unwrap().len(), 1);
    assert_eq!(bench.account("u1").await.tier, Some(Tier::Enterprise));
}
