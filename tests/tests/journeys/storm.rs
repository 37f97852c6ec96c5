//! Every shard of a large batch reports at once, as happens where a thousand GPUs were given at the same moment.

use axum::{body::Body, http::Request};
use domain::{Run, Status};
use futures::future::join_all;
use platform::{DocPath, embedded::Event};
use service::{
    Function, Settings, places,
    testing::{Bench, post_event, router},
};
use std::collections::BTreeSet;

/// At least so many shards.
const SHARDS: u32 = 2_000;
/// One or two in a shard.
const LIGANDS: u32 = 2_500;

fn function(name: &str) -> Function {
    *hub::ALL.iter().find(|function| function.name == name).unwrap()
}

/// Tells the function of all events at the same moment.
async fn tell(bench: &Bench, name: &str, events: Vec<Request<Body>>) {
    let serve = |event| {
        let served = router(function(name), &bench.world);
        async move { tokio::spawn(post_event(served, event)).await.unwrap() }
    };
    for status in join_all(events.into_iter().map(serve)).await {
        assert!(status.is_success(), "{name}: {status}");
    }
}

/// The states of the run in the order in which they were written, and every notice.
fn story(happened: &[Event], run: &DocPath, notices: &mut Vec<String>) -> Vec<Status> {
    let mut states = vec![];
    for event in happened {
        let Event::Document { path, after: Some(body), .. } = event else { continue };
        if path == run {
            states.push(serde_json::from_value(body["status"].clone()).unwrap());
        } else if path.as_str().contains("/notices/") {
            notices.push(path.id().split_once('.').unwrap().1.to_owned());
        }
    }
    states
}

async fn rows(bench: &Bench, run: &Run) -> BTreeSet<u64> {
    let path = places::result(&run.uid, &run.job_id, &format!("{:04}/ranked.ndjson", run.results.unwrap()));
    let lines = bench.world.blobs.get(&path.unwrap(), 1 << 30).await.unwrap();
    let lines = String::from_utf8(lines.to_vec()).unwrap();
    let indices: Vec<u64> = lines.lines().map(|line| index(&serde_json::from_str(line).unwrap())).collect();
    let distinct: BTreeSet<_> = indices.iter().copied().collect();
    assert_eq!(distinct.len(), indices.len(), "each ligand once");
    distinct
}

fn index(row: &serde_json::Value) -> u64 {
    row["row"].as_u64().unwrap()
}

/// 2,000 shards whose reports all arrive within a second, each so many times.
async fn storm(times: usize) {
    let as_many_gpus = |settings: &mut Settings| (settings.gpu_capacity, settings.limits) = (LIGANDS, false);
    let bench = Bench::with(as_many_gpus).await;
    let (run, _) = bench.running("u1", LIGANDS).await;
    let shards = run.plan.as_ref().unwrap().shards;
    assert!(shards >= SHARDS, "{shards}");
    let document = places::job(&run.uid, &run.job_id);
    let mut events = vec![];
    for shard in 0..shards {
        let report = bench.final_report(&run, shard, 1).await;
        for _ in 0..times {
            events.push(bench.object_event(&report).await);
        }
    }
    bench.happened().await;
    tell(&bench, "on-shard-report", events).await;

    let (mut states, mut notices) = (vec![], vec![]);
    loop {
        let news = story(&bench.happened().await, &document, &mut notices);
        if news.is_empty() {
            break;
        }
        // Every write of the run is an event of its own, and each of them comes as often as the reports did.
        let mut events = vec![];
        for _ in 0..news.len() * times {
            events.push(bench.document_event(&document).await);
        }
        states.extend(news);
        tell(&bench, "aggregate-run", events).await;
    }
    let order = [Status::Running, Status::Aggregating, Status::Completed];
    assert!(states.is_sorted_by_key(|state| order.iter().position(|known| known == state)), "{states:?}");
    let moves = |to: Status| states.windows(2).filter(|pair| pair[0] != to && pair[1] == to).count();
    assert_eq!((moves(Status::Completed), states.last()), (1, Some(&Status::Completed)));
    notices.sort();
    assert_eq!(notices, ["batch.completed", "batch.milestone.100"], "each is told once");
    let ended = bench.run(&run).await;
    assert_eq!((ended.progress.completed, ended.cost.gpu_seconds), (LIGANDS, f64::from(shards) * 60.0));
    assert_eq!(rows(&bench, &ended).await, (1..=u64::from(LIGANDS)).collect());
}

#[tokio::test]
async fn two_thousand_shards_that_report_within_a_second_end_their_batch_once_and_in_order() {
    storm(1).await;
}

#[tokio::test]
async fn the_same_holds_when_every_report_arrives_three_times() {
    storm(3).await;
}
