use super::*;
use axum::{
    body::{Body, to_bytes},
    http::Request,
};
use futures::{FutureExt, StreamExt};
use serde_json::Value;
use service::testing::Bench;
use std::time::Duration;

/// The answer to a client that has seen `seen`.
async fn connect(bench: &Bench, name: &str, run: &Run, seen: Option<&str>) -> Response {
    let mut request = Request::get(format!("/api/v1/batches/{}/events", run.job_id)).header("x-api-key", name);
    if let Some(seen) = seen {
        request = request.header("last-event-id", seen);
    }
    bench.answer(FUNCTION, request.body(Body::empty()).unwrap()).await
}

/// Everything that is sent until the connection ends, while time goes by.
async fn read(bench: &Bench, response: Response, mut meanwhile: impl AsyncFnMut(u32)) -> String {
    let mut whole = Box::pin(to_bytes(response.into_body(), 1 << 20));
    for second in 0..2000 {
        for _ in 0..50 {
            if let Some(bytes) = (&mut whole).now_or_never() {
                return String::from_utf8(bytes.unwrap().to_vec()).unwrap();
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
            if second > 0 {
                break;
            }
        }
        meanwhile(second).await;
        bench.wait(1);
    }
    panic!("the connection never ends");
}

/// The ids and the data of the events.
fn events(text: &str) -> Vec<(String, Value)> {
    let of = |block: &str, field: &str| {
        block.lines().find_map(|line| line.strip_prefix(field)).map(|text| text.trim().to_owned())
    };
    let named = text.split("\n\n").filter(|block| of(block, "event:").is_some_and(|name| name == "run"));
    named
        .map(|block| (of(block, "id:").unwrap(), serde_json::from_str(&of(block, "data:").unwrap()).unwrap()))
        .collect()
}

#[tokio::test]
async fn a_client_sees_the_state_now_every_change_and_the_end() {
    let bench = Bench::new().await;
    let (run, _) = bench.running("u1", 7).await;
    let response = connect(&bench, "u1", &run, None).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let text = read(&bench, response, async |second| {
        if second == 5 {
            let now = bench.now();
            bench.change(&run, |run| run.cancel(now)).await;
        }
    })
    .await;
    let events = events(&text);
    let statuses: Vec<_> = events.iter().map(|(_, data)| data["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["running", "cancelled"]);
    assert_eq!(events[1].1["progress"]["cancelled"], 7);
}

#[tokio::test]
async fn a_client_that_comes_back_is_not_told_twice_and_learns_that_it_is_over() {
    let bench = Bench::new().await;
    let run = bench.finished("u1", 2).await;
    let first = events(&read(&bench, connect(&bench, "u1", &run, None).await, async |_| {}).await);
    assert_eq!((first.len(), &first[0].1["status"]), (1, &"completed".into()));
    assert_eq!(connect(&bench, "u1", &run, Some(&first[0].0)).await.status(), StatusCode::NO_CONTENT);
    let again = events(&read(&bench, connect(&bench, "u1", &run, Some("older")).await, async |_| {}).await);
    assert_eq!(again[0].0, first[0].0);
}

#[tokio::test]
async fn a_silent_connection_is_kept_alive_and_ends_after_ten_minutes() {
    let bench = Bench::new().await;
    let (run, _) = bench.running("u1", 2).await;
    let began = bench.now();
    let text = read(&bench, connect(&bench, "u1", &run, None).await, async |_| {}).await;
    assert_eq!(events(&text).len(), 1);
    let beats = text.lines().filter(|line| line.starts_with(':')).count();
    let seconds = bench.now().seconds_since(began);
    assert!((35..=40).contains(&beats) && (600.0..=700.0).contains(&seconds), "{beats} beats in {seconds} s");
}

#[tokio::test]
async fn a_user_has_twenty_streams_at_once_and_one_that_is_closed_makes_room() {
    let bench = Bench::new().await;
    let (run, other) = (bench.submit("u1", 2).await, bench.submit("u2", 2).await);
    let mut open = vec![];
    for _ in 0..20 {
        open.push(connect(&bench, "u1", &run, None).await);
    }
    assert!(open.iter().all(|response| response.status() == StatusCode::OK));
    let refused = connect(&bench, "u1", &run, None).await;
    assert_eq!(
        (refused.status(), refused.headers()["retry-after"].to_str().unwrap()),
        (StatusCode::TOO_MANY_REQUESTS, "30")
    );
    assert_eq!(connect(&bench, "u2", &other, None).await.status(), StatusCode::OK);
    open.pop();
    assert_eq!(connect(&bench, "u1", &run, None).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_client_that_lost_its_connection_during_the_run_goes_on_after_what_it_saw() {
    let bench = Bench::new().await;
    let (run, _) = bench.running("u1", 7).await;
    let mut first = connect(&bench, "u1", &run, None).await.into_body().into_data_stream();
    let begun = first.next().await.unwrap().unwrap();
    let seen = events(std::str::from_utf8(&begun).unwrap())[0].0.clone();
    drop(first);
    let response = connect(&bench, "u1", &run, Some(&seen)).await;
    let text = read(&bench, response, async |second| match second {
        3 => {
            bench
                .change(&run, |run| {
                    run.count(2, 0, 5);
                    true
                })
                .await;
        }
        6 => {
            let now = bench.now();
            bench.change(&run, |run| run.cancel(now)).await;
        }
        _ => {}
    })
    .await;
    let told: Vec<_> = events(&text).into_iter().map(|(_, data)| data).collect();
    assert_eq!(told.len(), 2, "what was seen is not told again");
    assert_eq!((&told[0]["progress"]["completed"], &told[1]["status"]), (&2.into(), &"cancelled".into()));
}

#[tokio::test]
async fn another_users_run_has_no_events() {
    let bench = Bench::new().await;
    let run = bench.submit("u1", 2).await;
    assert_eq!(connect(&bench, "u2", &run, None).await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_fields_a_frontend_may_listen_to_are_those_the_readme_lists() {
    let bench = Bench::new().await;
    let run = bench.finished("u1", 2).await;
    let written = serde_json::to_value(&run).unwrap();
    let readme = include_str!("../README.md");
    let listed: Vec<_> =
        readme.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`')).map(|(name, _)| name).collect();
    let mut fields: Vec<_> = written.as_object().unwrap().keys().map(String::as_str).collect();
    fields.sort_unstable();
    let mut sorted = listed.clone();
    sorted.sort_unstable();
    sorted.retain(|name| {
        !["ligand_smiles", "item", "row", "letter", "traceparent", "stopped", "retry_of", "retried_by"].contains(name)
    });
    assert_eq!(sorted, fields);
}
