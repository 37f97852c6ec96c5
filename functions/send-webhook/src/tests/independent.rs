//! The messages as others verify them: the reference implementations of Standard Webhooks, in Rust and, where it is
//! installed, in Python.

use super::*;
use domain::Secret;
use platform::{Clock, Ids};
use receiver::Seen;
use std::{
    io::Write as _,
    process::{Command, Stdio},
};

/// Two messages under the real time: before the secret was changed, and after. And the secrets, the old one first.
async fn messages() -> ([Seen; 2], [String; 2]) {
    let (mut bench, receiver) = (bench().await, Receiver::start().await);
    bench.world.clock = Clock::system();
    let webhook = bench.webhook("u1", &receiver.url()).await;
    due(&bench, &webhook, "msg_1").await;
    send(&bench, "msg_1").await;
    let new = webhooks::new_secret(&bench.world.ids);
    let now = bench.now();
    assert!(bench.change_webhook("u1", &webhook.id, |webhook| webhook.rotate(new.clone(), now)).await);
    due(&bench, &webhook, "msg_2").await;
    send(&bench, "msg_2").await;
    let old = webhook.signing(now).next().map(Secret::reveal).unwrap().to_owned();
    (receiver.seen().try_into().unwrap_or_else(|_| panic!("two messages")), [old, new.reveal().to_owned()])
}

/// A message as it is sent again an hour later by somebody who overheard it.
async fn replayed() -> (Seen, String) {
    let (mut bench, receiver) = (bench().await, Receiver::start().await);
    let hour_ago = Clock::system().now() - chrono::TimeDelta::hours(1);
    bench.world.clock = Clock::manual(hour_ago);
    bench.world.ids = Ids::seeded(2);
    let webhook = bench.webhook("u1", &receiver.url()).await;
    due(&bench, &webhook, "msg_1").await;
    send(&bench, "msg_1").await;
    let secret = webhook.signing(bench.now()).next().map(Secret::reveal).unwrap().to_owned();
    (receiver.seen().remove(0), secret)
}

/// Which of the messages the library takes for genuine with which secret, in order; the last is a changed body, the
/// one before it a replay.
fn expected() -> [(&'static str, bool); 7] {
    [
        ("before, old secret", true),
        ("before, new secret", false),
        ("after, old secret", true),
        ("after, new secret", true),
        ("after, another's secret", false),
        ("replayed", false),
        ("changed body", false),
    ]
}

async fn cases() -> Vec<(Seen, String)> {
    let ([before, after], [old, new]) = messages().await;
    let (replayed, replayed_secret) = replayed().await;
    let changed = Seen { body: Bytes::from_static(b"{}"), ..after.clone() };
    vec![
        (before.clone(), old.clone()),
        (before, new.clone()),
        (after.clone(), old.clone()),
        (after.clone(), new.clone()),
        (after, replayed_secret.clone()),
        (replayed, replayed_secret),
        (changed, new),
    ]
}

#[tokio::test]
async fn the_rust_library_takes_what_we_sign_and_refuses_what_we_did_not() {
    let cases = cases().await;
    for ((seen, secret), (name, genuine)) in cases.into_iter().zip(expected()) {
        let verified = standardwebhooks::Webhook::new(&secret).unwrap().verify(&seen.body, &seen.headers);
        assert_eq!(verified.is_ok(), genuine, "{name}: {verified:?}");
    }
}

/// Reads cases as JSON and writes which of them the library takes.
const PYTHON: &str = "
import json, sys
from standardwebhooks.webhooks import Webhook, WebhookVerificationError
def genuine(case):
    try:
        return Webhook(case['secret']).verify(case['body'], case['headers']) == json.loads(case['body'])
    except WebhookVerificationError:
        return False
print(json.dumps([genuine(case) for case in json.load(sys.stdin)]))
";

#[tokio::test]
#[ignore = "needs the Python package standardwebhooks; .ci/run installs it and runs this"]
async fn the_python_library_takes_what_we_sign_and_refuses_what_we_did_not() {
    let case = |(seen, secret): (Seen, String)| {
        let headers = seen.headers.iter().map(|(name, value)| (name.to_string(), json!(value.to_str().unwrap())));
        json!({"secret": secret, "body": String::from_utf8(seen.body.to_vec()).unwrap(),
               "headers": headers.collect::<serde_json::Map<_, _>>()})
    };
    let cases: Vec<_> = cases().await.into_iter().map(case).collect();
    let mut python =
        Command::new("python3").args(["-c", PYTHON]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    python.stdin.take().unwrap().write_all(json!(cases).to_string().as_bytes()).unwrap();
    let answer: Vec<bool> = serde_json::from_slice(&python.wait_with_output().unwrap().stdout).unwrap();
    let answer: Vec<_> = expected().into_iter().map(|(name, _)| name).zip(answer).collect();
    assert_eq!(answer, expected());
}
