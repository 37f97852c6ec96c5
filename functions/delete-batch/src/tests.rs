use super::*;
use axum::http::Method;
use domain::{Run, Status};
use platform::Query as Documents;
use service::{places, testing::Bench};

async fn delete(bench: &Bench, user: &str, run: &Run, query: &str) -> (u16, serde_json::Value) {
    let path = format!("/api/v1/batches/{}{query}", run.job_id);
    let reply = bench.ask(FUNCTION, Method::DELETE, user, &path).await;
    (reply.status, reply.body)
}

/// How many documents and objects there are of a user's run.
async fn left(bench: &Bench, run: &Run) -> (usize, usize) {
    let job = bench.world.docs.find::<Run>(&places::job(&run.uid, &run.job_id)).await.unwrap();
    let shards = bench.world.docs.count(&Documents::collection(places::shards(&run.uid, &run.job_id))).await.unwrap();
    let prefix = places::run_prefix(&run.uid, &run.job_id);
    let mut objects = 0;
    for bucket in [places::ARTIFACTS, places::REPORTS, places::UPLOADS] {
        objects += bench.world.blobs.list(bucket, &prefix, None, 1000).await.unwrap().len();
    }
    (shards as usize + usize::from(job.is_some()), objects)
}

#[tokio::test]
async fn a_running_batch_is_cancelled_and_its_gpus_are_looked_after() {
    let bench = Bench::new().await;
    let (run, _) = bench.running("u1", 7).await;
    bench.happened().await;
    let (status, body) = delete(&bench, "u1", &run, "").await;
    assert_eq!((status, &body["status"], &body["running_jobs"]), (200, &"cancelled".into(), &0.into()));
    assert_eq!(bench.published(places::DISPATCH).await, 1);
    let cancelled = bench.run(&run).await;
    assert!(!cancelled.dispatchable && cancelled.completed_at.is_some());
    assert_eq!(delete(&bench, "u1", &run, "").await.0, 200, "cancelling twice is no error");
    assert_eq!(bench.run(&run).await, cancelled);
}

#[tokio::test]
async fn what_has_ended_cannot_be_cancelled_and_what_runs_cannot_be_purged() {
    let bench = Bench::new().await;
    let (finished, (running, _)) = (bench.finished("u1", 7).await, bench.running("u1", 7).await);
    assert_eq!(delete(&bench, "u1", &finished, "").await.0, 409);
    assert_eq!(delete(&bench, "u1", &running, "?purge=true").await.0, 409);
    assert_eq!(bench.run(&finished).await.status, Status::Completed);
    assert_eq!(bench.run(&running).await.status, Status::Running);
}

#[tokio::test]
async fn a_purged_batch_leaves_nothing_and_touches_no_other() {
    let bench = Bench::new().await;
    let (run, other) = (bench.finished("u1", 7).await, bench.finished("u1", 3).await);
    let before = left(&bench, &other).await;
    assert!(left(&bench, &run).await.1 > 10);
    assert_eq!(delete(&bench, "u1", &run, "?purge=true").await, (204, serde_json::Value::Null));
    assert_eq!(left(&bench, &run).await, (0, 0));
    assert_eq!(left(&bench, &other).await, before);
    assert_eq!(delete(&bench, "u1", &run, "?purge=true").await.0, 404);
}

#[tokio::test]
async fn a_purge_that_died_half_way_can_be_asked_for_again() {
    let bench = Bench::new().await;
    let run = bench.finished("u1", 7).await;
    bench.world.blobs.delete(&places::library(&run.uid, &run.job_id).unwrap()).await.unwrap();
    let gone = platform::Write::Delete { path: places::shard(&run.uid, &run.job_id, 0), version: None };
    bench.world.docs.commit(vec![gone]).await.unwrap();
    assert_eq!(delete(&bench, "u1", &run, "?purge=true").await.0, 204);
    assert_eq!(left(&bench, &run).await, (0, 0));
}

#[tokio::test]
async fn another_users_batch_is_not_there() {
    let bench = Bench::new().await;
    let (run, _) = bench.running("u1", 7).await;
    let single = bench.predict("u2").await;
    assert_eq!(delete(&bench, "u2", &run, "").await.0, 404);
    assert_eq!(delete(&bench, "u2", &run, "?purge=true").await.0, 404);
    assert_eq!(delete(&bench, "stranger", &run, "").await.0, 401);
    assert_eq!(delete(&bench, "u2", &single, "").await.0, 404, "a single prediction is no batch");
    assert_eq!(delete(&bench, "u1", &run, "?purge=perhaps").await.0, 400);
    assert_eq!(bench.run(&run).await.status, Status::Running);
}
