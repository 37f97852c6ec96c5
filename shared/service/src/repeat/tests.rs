use super::*;
use crate::testing::{Bench, user};
use platform::Collection;
use serde_json::json;
use std::sync::atomic::{AtomicU32, Ordering};

fn counter() -> DocPath {
    Collection::root("things").doc("counter")
}

/// Makes a document named after the id; how often it was asked is counted.
async fn make(bench: &Bench, key: Option<&str>, body: &str, asked: &AtomicU32) -> Result<Answer, Problem> {
    let repeatable = repeatable(key.map(str::to_owned), body.to_owned());
    once(&bench.world, &user("u1"), "things", repeatable, |id| async move {
        asked.fetch_add(1, Ordering::SeqCst);
        let answer = Answer::new(StatusCode::CREATED, &json!({"id": id, "secret": "s3cret"}))?;
        let answer = answer.at(format!("/things/{id}"));
        let mut kept = answer.clone();
        kept.body["secret"] = Value::Null;
        let writes = vec![Write::create(Collection::root("things").doc(&id), &json!({}))?];
        Ok(Decided { answer, kept: Kept::Answer(kept), writes })
    })
    .await
}

async fn made(bench: &Bench) -> u64 {
    bench.world.docs.count(&platform::Query::group("things")).await.unwrap()
}

#[tokio::test]
async fn the_first_answer_comes_again_without_its_secret() {
    let (bench, asked) = (Bench::new().await, AtomicU32::new(0));
    let first = make(&bench, Some("k"), "body", &asked).await.unwrap();
    let again = make(&bench, Some("k"), "body", &asked).await.unwrap();
    assert_eq!((again.status, &again.location, &again.body["id"]), (201, &first.location, &first.body["id"]));
    assert_eq!((&first.body["secret"], &again.body["secret"]), (&json!("s3cret"), &Value::Null));
    assert_eq!((asked.load(Ordering::SeqCst), made(&bench).await), (1, 1));
    let stored = bench.world.docs.query::<Value>(&platform::Query::group("idempotency")).await.unwrap();
    assert!(!json!(stored.iter().map(|kept| &kept.value).collect::<Vec<_>>()).to_string().contains("s3cret"));
}

#[tokio::test]
async fn another_body_under_the_key_is_refused_until_the_day_is_over() {
    let (bench, asked) = (Bench::new().await, AtomicU32::new(0));
    let first = make(&bench, Some("k"), "body", &asked).await.unwrap();
    let refused = make(&bench, Some("k"), "other", &asked).await.unwrap_err();
    assert_eq!((refused.status(), made(&bench).await), (StatusCode::UNPROCESSABLE_ENTITY, 1));
    bench.wait(24 * 3600 - 1);
    assert!(make(&bench, Some("k"), "other", &asked).await.is_err());
    bench.wait(1);
    assert_eq!(make(&bench, Some("k"), "other", &asked).await.unwrap().status, 201);
    bench.wait(24 * 3600);
    let anew = make(&bench, Some("k"), "body", &asked).await.unwrap();
    assert_ne!(anew.body["id"], first.body["id"], "the same request as days ago is a new one");
    assert_eq!(made(&bench).await, 3);
}

#[tokio::test]
async fn without_a_key_every_request_counts() {
    let (bench, asked) = (Bench::new().await, AtomicU32::new(0));
    for _ in 0..2 {
        make(&bench, None, "body", &asked).await.unwrap();
    }
    assert_eq!(made(&bench).await, 2);
}

#[tokio::test]
async fn many_at_once_under_one_key_are_one() {
    let (bench, asked) = (Bench::new().await, AtomicU32::new(0));
    let all = (0..10).map(|_| make(&bench, Some("k"), "body", &asked));
    let answers = futures::future::join_all(all).await;
    let ids: std::collections::BTreeSet<_> =
        answers.iter().map(|answer| answer.as_ref().unwrap().body["id"].to_string()).collect();
    assert_eq!((ids.len(), made(&bench).await), (1, 1));
}

#[tokio::test]
async fn who_loses_a_race_decides_anew() {
    let bench = Bench::new().await;
    bench.world.docs.create(&counter(), &json!({"n": 0})).await.unwrap();
    let uid = user("u1");
    let add = || {
        once(&bench.world, &uid, "count", None, |_| async {
            let read = bench.world.docs.get::<Value>(&counter()).await?;
            let next = json!({"n": read.value["n"].as_u64().unwrap() + 1});
            let writes = vec![Write::replace(read.path, &next, read.version)?];
            Ok(Decided { answer: Answer::new(StatusCode::OK, &next)?, kept: Kept::Nothing, writes })
        })
    };
    for outcome in futures::future::join_all((0..5).map(|_| async { add().await })).await {
        outcome.unwrap();
    }
    assert_eq!(bench.world.docs.get::<Value>(&counter()).await.unwrap().value["n"], 5);
}
