//! What opens something is never logged, at whatever level: tokens, API keys, secrets of webhooks, signed links.

use crate::{id, start};
use journeys::inputs::{batch, library, target};
use serde_json::{Value, json};
use service::testing::Log;

#[tokio::test]
async fn nothing_that_opens_anything_is_logged() {
    let (log, _guard) = Log::listen();
    let hub = start(&[]).await;
    let (access, now) = (hub.cloud.access.clone(), hub.cloud.world.clock.now());
    let mut secrets = vec![];

    let good = access.token_with("maria", now, &json!({"canary": "canary-in-a-claim"})).unwrap();
    let foreign = access.token_with("maria", now, &json!({"aud": "canary-audience"})).unwrap();
    let late = access.token_with("maria", now, &json!({"exp": 1})).unwrap();
    for token in [&good, &foreign, &late] {
        secrets.extend(token.split('.').skip(1).map(str::to_owned));
    }
    let maria = hub.client.with_token(&good);
    let made = async |path: &str, body: Value, member: &str| {
        maria.post(path, &body).await.json(201)[member].as_str().unwrap().to_owned()
    };
    let key = made("/api/v1/api-keys", json!({"name": "n", "scopes": ["read", "submit", "manage"]}), "key").await;
    let webhook = json!({"url": "https://8.8.8.8/", "events": ["job.failed"]});
    secrets.push(made("/api/v1/webhooks", webhook, "secret").await);
    let upload = json!({"file_name": "hits.csv", "protein_sequence": target()});
    let upload = maria.post("/api/v1/uploads", &upload).await.json(201);
    assert_eq!(maria.put(&upload, &library(2)).await.status, 200);
    let link = upload["upload_url"].as_str().unwrap();
    secrets.push(link.split("signature=").nth(1).unwrap().split('&').next().unwrap().to_owned());

    let anonymous = hub.client.anonymous();
    let path = "/api/v1/batches";
    assert_eq!(anonymous.with_key(&key).get(path).await.status, 200);
    for (client, canary) in [
        (anonymous.with_key("omtx_canary-key-nobody-has"), "canary-key-nobody-has"),
        (anonymous.with_token("canary-token-that-is-none"), "canary-token-that-is-none"),
        (anonymous.with_token("canary.token.three-parts"), "three-parts"),
        (anonymous.with_token(&foreign), "canary-audience"),
        (anonymous.with_token(&late), "canary-in-a-claim"),
        (anonymous.with_token(&key), "omtx_"),
    ] {
        assert_eq!(client.get(path).await.status, 401);
        secrets.push(canary.to_owned());
    }
    let done = hub.client.with_key(&key).run_batch(&batch(2)).await;
    let file = hub.client.with_key(&key).get(&format!("{path}/{}/export?format=csv", id(&done))).await;
    secrets.push(file.header("location").split("signature=").nth(1).unwrap().split('&').next().unwrap().to_owned());
    secrets.push(key);
    hub.settled().await;

    let log = log.text();
    assert!(log.contains("token refused") && log.contains("run submitted"), "it was listened to");
    for secret in secrets {
        assert!(secret.len() > 4, "{secret:?} could be anywhere");
        assert!(!log.contains(&secret), "{secret} was logged: {}", around(&log, &secret));
    }
}

/// The line with the secret.
fn around<'a>(log: &'a str, secret: &str) -> &'a str {
    log.lines().find(|line| line.contains(secret)).unwrap_or_default()
}
