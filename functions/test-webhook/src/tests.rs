use super::*;
use axum::http::Method;
use domain::{DisabledReason, Webhook};
use service::{
    places,
    testing::{Bench, Reply},
};

async fn test(bench: &Bench, user: &str, webhook: &Webhook) -> Reply {
    bench.ask(FUNCTION, Method::POST, user, &format!("/api/v1/webhooks/{}/test", webhook.id)).await
}

#[tokio::test]
async fn a_test_takes_the_way_of_all_messages() {
    let bench = Bench::new().await;
    let webhook = bench.webhook("u1", "https://example.org/").await;
    bench.happened().await;
    let reply = test(&bench, "u1", &webhook).await;
    assert_eq!((reply.status, bench.published(places::WEBHOOKS).await), (202, 1));
    let path = places::delivery(&bench.caller("u1").uid, reply.text("/delivery_id"));
    let delivery = bench.world.docs.get::<Delivery>(&path).await.unwrap().value;
    assert!(delivery.is_due(bench.now()) && delivery.is_test() && delivery.webhook_id == webhook.id);
    let payload: serde_json::Value = serde_json::from_str(&delivery.payload).unwrap();
    let wanted = json!({"type": "webhook.test", "timestamp": bench.now(), "data": {"webhook_id": webhook.id}});
    assert_eq!(payload, wanted);
    assert_ne!(test(&bench, "u1", &webhook).await.text("/delivery_id"), delivery.id, "each is a message of its own");
}

#[tokio::test]
async fn nobody_elses_endpoint_and_no_disabled_one_is_tried() {
    let bench = Bench::new().await;
    let webhook = bench.webhook("u1", "https://example.org/").await;
    assert_eq!(test(&bench, "u2", &webhook).await.status, 404);
    let now = bench.now();
    bench.change_webhook("u1", &webhook.id, |webhook| webhook.disable(DisabledReason::Gone, now, now)).await;
    assert_eq!(test(&bench, "u1", &webhook).await.status, 409);
    assert_eq!(bench.published(places::WEBHOOKS).await, 0);
}

#[tokio::test]
async fn a_test_sent_again_under_its_key_is_one_message() {
    let bench = Bench::new().await;
    let webhook = bench.webhook("u1", "https://example.org/").await;
    let path = format!("/api/v1/webhooks/{}/test", webhook.id);
    let ask = async |key| bench.post(FUNCTION, "u1", &path, Some(key), &json!(null)).await;
    let (first, again, other) = (ask("k1").await, ask("k1").await, ask("k2").await);
    assert_eq!((again.status, &again.body), (202, &first.body));
    assert_ne!(other.body, first.body);
    let made = platform::Query::collection(places::deliveries(&bench.caller("u1").uid));
    assert_eq!(bench.world.docs.count(&made).await.unwrap(), 2);
}
