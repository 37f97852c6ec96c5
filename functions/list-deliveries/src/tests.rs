use super::*;
use domain::{Attempting, DeliveryOutcome, Webhook};
use serde_json::json;
use service::testing::Bench;

async fn deliver(bench: &Bench, webhook: &Webhook, id: &str) -> Delivery {
    let (uid, now) = (bench.caller("u1").uid, bench.now());
    let mut delivery = Delivery::new(id.into(), uid, webhook.id.clone(), "webhook.test", None, "{}".into(), now);
    assert_eq!(delivery.claim(now), Attempting::Granted(1));
    let outcome = DeliveryOutcome { status: Some(500), body: Some("out of order".into()), ..Default::default() };
    delivery.record(1, outcome, now);
    bench.world.docs.create(&places::delivery(&delivery.uid, id), &delivery).await.unwrap();
    delivery
}

#[tokio::test]
async fn what_came_back_is_shown_the_newest_first_page_by_page() {
    let bench = Bench::new().await;
    let (webhook, other) =
        (bench.webhook("u1", "https://a.example.org/").await, bench.webhook("u1", "https://b.example.org/").await);
    for id in ["msg_a", "msg_b", "msg_c"] {
        deliver(&bench, &webhook, id).await;
        bench.wait(1);
    }
    deliver(&bench, &other, "msg_d").await;
    let path = format!("/api/v1/webhooks/{}/deliveries", webhook.id);
    let first = bench.get(FUNCTION, "u1", &format!("{path}?limit=2")).await;
    let ids = |reply: &service::testing::Reply| {
        let list = reply.body["deliveries"].as_array().unwrap();
        list.iter().map(|delivery| delivery["delivery_id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!((ids(&first), &first.body["has_more"]), (vec!["msg_c".to_owned(), "msg_b".to_owned()], &json!(true)));
    let rest = bench.get(FUNCTION, "u1", &format!("{path}?limit=2&cursor={}", first.text("/next_cursor"))).await;
    assert_eq!((ids(&rest), &rest.body["next_cursor"]), (vec!["msg_a".to_owned()], &json!(null)));
    let shown = &rest.body["deliveries"][0];
    assert_eq!((&shown["state"], &shown["attempts"][0]["status"]), (&json!("failed"), &json!(500)));
    assert_eq!(shown["attempts"][0]["body"], "out of order");
}

#[tokio::test]
async fn another_users_deliveries_are_not_there() {
    let bench = Bench::new().await;
    let webhook = bench.webhook("u1", "https://example.org/").await;
    deliver(&bench, &webhook, "msg_a").await;
    let path = format!("/api/v1/webhooks/{}/deliveries", webhook.id);
    assert_eq!(bench.get(FUNCTION, "u2", &path).await.status, 404);
    for query in ["?limit=0", "?limit=501", "?cursor=x", "?state=failed"] {
        assert_eq!(bench.get(FUNCTION, "u1", &format!("{path}{query}")).await.status, 400, "{query}");
    }
}

#[tokio::test]
async fn one_that_failed_and_is_tried_again_says_when() {
    let bench = Bench::new().await;
    let webhook = bench.webhook("u1", "https://example.org/").await;
    let (uid, now) = (bench.caller("u1").uid, bench.now());
    let run = bench.submit("u1", 1).await;
    let mut delivery =
        Delivery::new("msg_a".into(), uid, webhook.id.clone(), "batch.failed", Some(run.job_id), "{}".into(), now);
    delivery.claim(now);
    let outcome = DeliveryOutcome { status: Some(503), retry_after: Some(120), ..Default::default() };
    delivery.record(1, outcome, now);
    bench.world.docs.create(&places::delivery(&delivery.uid, "msg_a"), &delivery).await.unwrap();
    let path = format!("/api/v1/webhooks/{}/deliveries", webhook.id);
    let shown = bench.get(FUNCTION, "u1", &path).await.body["deliveries"][0].clone();
    assert_eq!((&shown["state"], &shown["next_attempt_at"]), (&json!("waiting"), &json!(now.plus_seconds(120))));
    assert_eq!(shown["attempts"][0]["status"], 503);
}
