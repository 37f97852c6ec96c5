use super::*;
use axum::http::Method;
use service::testing::Bench;

#[tokio::test]
async fn only_its_owner_deletes_an_endpoint_and_only_that_one() {
    let bench = Bench::new().await;
    let (gone, stays) =
        (bench.webhook("u1", "https://a.example.org/").await, bench.webhook("u1", "https://b.example.org/").await);
    let path = format!("/api/v1/webhooks/{}", gone.id);
    let delete = async |user: &str, path: &str| bench.ask(FUNCTION, Method::DELETE, user, path).await.status;
    assert_eq!(delete("u2", &path).await, 404, "somebody else's is not there");
    assert_eq!(delete("u1", "/api/v1/webhooks/..%2Fu1").await, 404);
    assert_eq!((delete("u1", &path).await, delete("u1", &path).await), (204, 404));
    let left = webhooks::of(&bench.world.docs, &bench.caller("u1").uid).await.unwrap();
    assert_eq!(left.endpoints, [stays]);
}
