use super::*;
use axum::{body::Body, http::Request};
use domain::{MAX_LAUNCHES, OutcomeStatus, Run, ShardState, Status};
use serde_json::json;
use service::{
    runs::shards::refresh,
    testing::{Bench, completed, execution_ended, post_event, push, router as served},
};

async fn ended(bench: &Bench, execution: &str, message: &str) {
    bench.end(execution).await;
    bench.happened().await;
    assert_eq!(bench.tell(FUNCTION, execution_ended(execution, message)).await, StatusCode::NO_CONTENT);
}

async fn states(bench: &Bench, run: &Run) -> Vec<ShardState> {
    let mut states = vec![];
    for shard in 0..run.plan.as_ref().unwrap().shards {
        states.push(bench.shard(run, shard).await.state);
    }
    states
}

#[tokio::test]
async fn what_an_execution_left_unfinished_waits_for_another_one() {
    let bench = Bench::new().await;
    let (run, execution) = bench.running("u1", 7).await;
    bench.final_report(&run, 1, 1).await;
    refresh(&bench.world, &run.uid, &run.job_id, 1).await.unwrap();
    ended(&bench, &execution, "a task failed").await;
    assert_eq!(states(&bench, &run).await, [ShardState::Pending, ShardState::Done, ShardState::Pending]);
    assert_eq!((bench.run(&run).await.status, bench.shard(&run, 0).await.execution), (Status::Running, None));
    assert_eq!(bench.published(places::DISPATCH).await, 1, "the dispatcher is to look for GPUs");
}

#[tokio::test]
async fn a_last_report_that_was_on_its_way_counts() {
    let bench = Bench::new().await;
    let (run, execution) = bench.running("u1", 7).await;
    for shard in 0..3 {
        bench.final_report(&run, shard, 1).await;
    }
    ended(&bench, &execution, "").await;
    assert_eq!(states(&bench, &run).await, [ShardState::Done; 3]);
    assert_eq!((bench.run(&run).await.status, bench.run(&run).await.progress.completed), (Status::Aggregating, 7));
}

#[tokio::test]
async fn an_end_told_again_takes_nothing_from_the_next_execution() {
    let bench = Bench::new().await;
    let (run, first) = bench.running("u1", 7).await;
    ended(&bench, &first, "a task failed").await;
    bench.launch(&run, &[0, 1, 2]).await;
    for shard in 0..3 {
        bench.claim(&run, shard).await;
    }
    ended(&bench, &first, "a task failed").await;
    assert_eq!(states(&bench, &run).await, [ShardState::Running; 3]);
    assert_eq!(bench.shard(&run, 0).await.attempt, 2);
}

#[tokio::test]
async fn after_the_last_launch_items_fail_with_the_reason_and_results_are_kept() {
    let bench = Bench::new().await;
    let run = bench.planned("u1", 7).await;
    for launch in 1..=MAX_LAUNCHES {
        let execution = bench.launch(&run, &[0]).await;
        let attempt = bench.claim(&run, 0).await;
        if launch == 2 {
            bench.report(&run, 0, 1, false, vec![completed(&run, 2, attempt)]).await;
        }
        ended(&bench, &execution, "out of memory").await;
    }
    // The report that closes the shard is told of like any other.
    let shard = refresh(&bench.world, &run.uid, &run.job_id, 0).await.unwrap().unwrap();
    assert_eq!((shard.done, shard.completed, shard.failed), (true, 1, 2));
    let mut rows = bench.rows(&bench.run(&run).await).await;
    rows.sort_by_key(|row| row.row);
    assert_eq!(rows.iter().map(|row| row.row).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!((rows[1].status, rows[1].affinity_prob), (OutcomeStatus::Completed, Some(0.002)));
    for row in [&rows[0], &rows[2]] {
        let error = row.error.as_ref().unwrap();
        assert_eq!((row.status, error.code.as_str()), (OutcomeStatus::Failed, "worker_lost"));
        assert!(error.message.contains("3 times") && error.message.contains("out of memory"), "{}", error.message);
    }
}

#[tokio::test]
async fn a_shard_nobody_ever_claimed_waits_again_too() {
    let bench = Bench::new().await;
    let run = bench.planned("u1", 7).await;
    let execution = bench.launch(&run, &[0, 1, 2]).await;
    ended(&bench, &execution, "the image could not be pulled").await;
    assert_eq!(states(&bench, &run).await, [ShardState::Pending; 3]);
}

#[tokio::test]
async fn the_execution_is_known_by_its_resource_too() {
    let bench = Bench::new().await;
    let (run, execution) = bench.running("u1", 7).await;
    bench.end(&execution).await;
    let resource = format!("namespaces/project/executions/{execution}");
    let entry = json!({"protoPayload": {"methodName": "/Jobs.RunJob", "resourceName": resource}});
    assert_eq!(bench.tell(FUNCTION, push(&entry)).await, StatusCode::NO_CONTENT);
    assert_eq!(states(&bench, &run).await, [ShardState::Pending; 3]);
}

#[tokio::test]
async fn an_execution_that_goes_on_keeps_its_shards_whatever_a_message_says() {
    let bench = Bench::new().await;
    let (run, execution) = bench.running("u1", 7).await;
    bench.happened().await;
    assert_eq!(bench.tell(FUNCTION, execution_ended(&execution, "")).await, StatusCode::NO_CONTENT);
    assert_eq!(
        (states(&bench, &run).await, bench.published(places::DISPATCH).await),
        (vec![ShardState::Running; 3], 0)
    );
}

#[tokio::test]
async fn an_execution_that_holds_no_lease_is_ignored() {
    let bench = Bench::new().await;
    assert_eq!(bench.tell(FUNCTION, execution_ended("predict-worker-x", "")).await, StatusCode::NO_CONTENT);
    let (run, _) = bench.running("u1", 7).await;
    for name in ["predict-worker-x", "predict-worker", ""] {
        assert_eq!(bench.tell(FUNCTION, execution_ended(name, "")).await, StatusCode::NO_CONTENT, "{name:?}");
    }
    assert_eq!(states(&bench, &run).await, [ShardState::Running; 3]);
}

#[tokio::test]
async fn what_is_no_log_entry_is_refused() {
    let bench = Bench::new().await;
    for data in [json!({}), json!("text"), json!({"protoPayload": "text"})] {
        assert_eq!(bench.tell(FUNCTION, push(&data)).await, StatusCode::BAD_REQUEST, "{data}");
    }
    let request = Request::post("/").body(Body::from("{}")).unwrap();
    assert_eq!(post_event(served(FUNCTION, &bench.world), request).await, StatusCode::BAD_REQUEST);
}
