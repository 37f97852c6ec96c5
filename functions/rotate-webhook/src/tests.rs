use super::*;
use serde_json::Value;
use service::testing::{Bench, Reply};

async fn rotate(bench: &Bench, user: &str, id: &WebhookId) -> Reply {
    bench.ask(FUNCTION, axum::http::Method::POST, user, &format!("/api/v1/webhooks/{id}/rotate")).await
}

async fn signing(bench: &Bench, id: &WebhookId) -> Vec<String> {
    let webhook = webhooks::find(&bench.world.docs, &bench.caller("u1").uid, id).await.unwrap();
    webhook.signing(bench.now()).map(|secret| secret.reveal().to_owned()).collect()
}

#[tokio::test]
async fn the_new_secret_is_shown_and_the_old_one_ends_after_a_day() {
    let bench = Bench::new().await;
    let webhook = bench.webhook("u1", "https://example.org/").await;
    let old = signing(&bench, &webhook.id).await.remove(0);
    let reply = rotate(&bench, "u1", &webhook.id).await;
    let new = reply.text("/secret").to_owned();
    assert_eq!((reply.status, reply.text("/webhook_id")), (200, webhook.id.as_str()));
    assert_eq!(signing(&bench, &webhook.id).await, [new.clone(), old]);
    bench.wait(24 * 3600);
    assert_eq!(signing(&bench, &webhook.id).await, [new]);
}

#[tokio::test]
async fn it_is_not_rotated_without_end() {
    let bench = Bench::new().await;
    let webhook = bench.webhook("u1", "https://example.org/").await;
    let mut statuses = vec![];
    for _ in 0..5 {
        statuses.push(rotate(&bench, "u1", &webhook.id).await.status);
    }
    assert_eq!(statuses, [200, 200, 200, 200, 409]);
}

#[tokio::test]
async fn another_users_secret_cannot_be_changed() {
    let bench = Bench::new().await;
    let webhook = bench.webhook("u1", "https://example.org/").await;
    let before = signing(&bench, &webhook.id).await;
    assert_eq!((rotate(&bench, "u2", &webhook.id).await.status, signing(&bench, &webhook.id).await), (404, before));
}

#[tokio::test]
async fn a_rotation_sent_again_under_its_key_is_one_and_its_secret_is_not_shown_again() {
    let bench = Bench::new().await;
    let (webhook, other) =
        (bench.webhook("u1", "https://example.org/").await, bench.webhook("u1", "https://example.org/").await);
    let rotate = async |id: &WebhookId| {
        bench.post(FUNCTION, "u1", &format!("/api/v1/webhooks/{id}/rotate"), Some("k"), &Value::Null).await
    };
    let first = rotate(&webhook.id).await;
    let secrets = signing(&bench, &webhook.id).await;
    let again = rotate(&webhook.id).await;
    assert_eq!((first.status, again.status, &again.body["secret"]), (200, 200, &Value::Null));
    assert_eq!((signing(&bench, &webhook.id).await, secrets.len()), (secrets.clone(), 2), "rotated once");
    assert_eq!(secrets[0], first.text("/secret"));
    assert_eq!(rotate(&other.id).await.status, 422, "the key stands for that webhook");
}
