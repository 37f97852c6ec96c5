use super::*;
use axum::http::Method;
use domain::{DisabledReason, EventKind};
use service::testing::Bench;

#[tokio::test]
async fn a_disabled_endpoint_listens_again_when_its_owner_says_so() {
    let bench = Bench::new().await;
    let webhook = bench.webhook("u1", "https://example.org/").await;
    let (uid, now) = (bench.caller("u1").uid, bench.now());
    let disable = |webhook: &mut Webhook| Ok(webhook.disable(DisabledReason::Failing, now, now));
    webhooks::change(&bench.world.docs, &uid, &webhook.id, disable).await.unwrap();
    let enable = async |user: &str| {
        bench.ask(FUNCTION, Method::POST, user, &format!("/api/v1/webhooks/{}/enable", webhook.id)).await
    };
    assert_eq!(enable("u2").await.status, 404);
    for _ in 0..2 {
        let reply = enable("u1").await;
        assert_eq!((reply.status, reply.body["disabled"].is_null()), (200, true));
    }
    let webhook = webhooks::find(&bench.world.docs, &uid, &webhook.id).await.unwrap();
    assert!(webhook.wants(EventKind::BatchCompleted, bench.now()));
}
