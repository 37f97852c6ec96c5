use super::*;
use axum::http::Method;
use domain::Scope;
use service::testing::{Bench, Reply, user};

async fn delete(bench: &Bench, by: &str, id: &str) -> Reply {
    bench.ask(FUNCTION, Method::DELETE, by, &format!("/api/v1/api-keys/{id}")).await
}

async fn left(bench: &Bench, name: &str) -> usize {
    api_key::of_user(&bench.world.docs, &user(name)).await.unwrap().len()
}

#[tokio::test]
async fn a_revoked_key_is_not_taken_from_the_next_request_on() {
    let bench = Bench::new().await;
    bench.world.docs.create(&api_key::ApiKey::path("lost"), &key(&bench, "key_lost").await).await.unwrap();
    assert_eq!(delete(&bench, "lost", "key_nowhere").await.status, 404, "it is taken");
    assert_eq!(delete(&bench, "u1", "key_lost").await.status, 204);
    assert_eq!(delete(&bench, "lost", "key_nowhere").await.status, 401);
    assert_eq!(delete(&bench, "u1", "key_lost").await.status, 404, "there is none any more");
}

/// A key of `u1` with another id.
async fn key(bench: &Bench, id: &str) -> api_key::ApiKey {
    let own = bench.world.docs.get::<api_key::ApiKey>(&api_key::ApiKey::path("u1")).await.unwrap().value;
    api_key::ApiKey { id: id.to_owned(), ..own }
}

#[tokio::test]
async fn another_users_key_is_not_there() {
    let bench = Bench::new().await;
    for id in ["key_u1", "../key_u1", "%2e%2e%2fkey_u1", &api_key::hash("u1")] {
        assert_eq!(delete(&bench, "u2", id).await.status, 404, "{id}");
    }
    bench.key("reader", "u1", &[Scope::Read, Scope::Submit]).await;
    assert_eq!(delete(&bench, "reader", "key_u1").await.status, 403);
    assert_eq!((left(&bench, "u1").await, left(&bench, "u2").await), (2, 1));
}
