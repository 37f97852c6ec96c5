use super::*;
use axum::http::Method;
use domain::{DisabledReason, EventKind};
use service::testing::Bench;

#[tokio::test]
async fn a_disabled_endpoint_listens_again_when_its_owner_says_so() {
    let bench = Bench::new().await;
    let webhook = bench.webhook("u1", "https://example.org/").await;
    let now = bench.now();
    bench.change_webhook("u1", &webhook.id, |webhook| webhook.disable(DisabledReason::Failing, now, now)).await;
    let enable = async |user: &str| {
        bench.ask(FUNCTION, Method::POST, user, &format!("/api/v1/webhooks/{}/enable", webhook.id)).await
    };
    assert_eq!(enable("u2").await.status, 404);
    for _ in 0..2 {
        let reply = enable("u1").await;
        assert_eq!((reply.status, reply.body["disabled"].is_null()), (200, true));
    }
    let webhook = webhooks::find(&bench.world.docs, &bench.caller("u1").uid, &webhook.id).await.unwrap();
    assert!(webhook.wants(EventKind::BatchCompleted, bench.now()));
}
