//! What is never said: in a process of its own, since what a process logs is decided once for all its threads.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../src/tests/receiver.rs"]
#[allow(dead_code, reason = "shared with the unit tests, which use the rest")]
mod receiver;

use axum::http::StatusCode;
use receiver::{Receiver, due, stands};
use send_webhook::FUNCTION;
use serde_json::json;
use service::testing::{Log, push};

#[tokio::test]
async fn no_secret_no_signature_and_no_url_is_logged() {
    let ((log, _guard), receiver) = (Log::listen(), Receiver::start().await);
    let bench = receiver::bench().await;
    let mut secrets = vec!["canary-in-the-path".to_owned(), "canary-in-the-query".to_owned()];
    // One that answers, one that is gone, and one where nobody listens.
    for (n, (port, status)) in [(receiver.port, 200), (receiver.port, 410), (1029, 200)].into_iter().enumerate() {
        receiver.answers_status(status);
        let url = format!("http://127.0.0.1:{port}/canary-in-the-path?token=canary-in-the-query");
        let webhook = bench.webhook("u1", &url).await;
        due(&bench, &webhook, &format!("msg_{n}")).await;
        let message = push(&json!({"uid": "u1", "delivery": format!("msg_{n}")}));
        assert_eq!(bench.tell(FUNCTION, message).await, StatusCode::NO_CONTENT);
        secrets
            .extend(webhook.signing(bench.now()).map(|secret| secret.reveal().trim_start_matches("whsec_").to_owned()));
    }
    for seen in receiver.seen() {
        secrets.push(seen.headers["webhook-signature"].to_str().unwrap().trim_start_matches("v1,").to_owned());
    }
    let text = log.text();
    let ours: Vec<_> = text.lines().filter(|line| line.contains("webhook attempted")).collect();
    assert_eq!((ours.len(), secrets.len()), (3, 7), "{text}");
    for secret in secrets {
        assert!(!text.contains(&secret), "{secret} in {text}");
    }
    let kept = stands(&bench, "msg_2").await;
    assert!(!kept.attempts[0].outcome.error.clone().unwrap().contains("canary"), "{kept:?}");
}
