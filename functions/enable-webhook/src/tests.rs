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

#[tokio::test]
async fn a_request_sent_again_under_its_key_enables_nothing_that_was_disabled_since() {
    let bench = Bench::new().await;
    let webhook = bench.webhook("u1", "https://example.org/").await;
    let path = format!("/api/v1/webhooks/{}/enable", webhook.id);
    let enable = async |key| bench.post(FUNCTION, "u1", &path, Some(key), &serde_json::Value::Null).await;
    let first = enable("k1").await;
    bench.wait(1);
    let now = bench.now();
    bench.change_webhook("u1", &webhook.id, |webhook| webhook.disable(DisabledReason::Gone, now, now)).await;
    let listens = async || {
        webhooks::find(&bench.world.docs, &bench.caller("u1").uid, &webhook.id).await.unwrap().disabled.is_none()
    };
    assert_eq!((enable("k1").await.body, listens().await), (first.body, false));
    assert_eq!((enable("k2").await.status, listens().await), (200, true));
}
