use super::*;
use domain::DisabledReason;
use serde_json::json;
use service::testing::Bench;

#[tokio::test]
async fn a_user_sees_their_own_endpoints_without_the_secrets_and_why_one_is_silent() {
    let bench = Bench::new().await;
    let (first, second) =
        (bench.webhook("u1", "https://a.example.org/").await, bench.webhook("u1", "https://b.example.org/").await);
    bench.webhook("u2", "https://c.example.org/").await;
    bench.wait(60);
    let now = bench.now();
    bench.change_webhook("u1", &second.id, |webhook| webhook.disable(DisabledReason::Gone, now, now)).await;
    let reply = bench.get(FUNCTION, "u1", "/api/v1/webhooks").await;
    let listed = reply.body["webhooks"].as_array().unwrap();
    assert_eq!((reply.status, listed.len()), (200, 2));
    assert_eq!((&listed[0]["webhook_id"], &listed[0]["disabled"]), (&json!(first.id), &json!(null)));
    assert_eq!(listed[1]["disabled"], json!({"reason": "gone", "since": now}));
    assert!(!reply.body.to_string().contains("whsec_"));
    assert_eq!(bench.get(FUNCTION, "stranger", "/api/v1/webhooks").await.status, 401);
}

#[tokio::test]
async fn who_has_none_is_told_so() {
    let bench = Bench::new().await;
    assert_eq!(bench.get(FUNCTION, "u1", "/api/v1/webhooks").await.body, json!({"webhooks": []}));
}
