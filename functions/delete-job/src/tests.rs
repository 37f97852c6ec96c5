use super::*;
use axum::http::Method;
use domain::Status;
use service::testing::Bench;

async fn delete(bench: &Bench, user: &str, id: &str, query: &str) -> u16 {
    bench.ask(FUNCTION, Method::DELETE, user, &format!("/api/v1/jobs/{id}{query}")).await.status
}

#[tokio::test]
async fn a_prediction_is_cancelled_and_then_purged() {
    let bench = Bench::new().await;
    let run = bench.predict("u1").await;
    let id = run.job_id.as_str();
    assert_eq!(delete(&bench, "u1", id, "?purge=true").await, 409);
    assert_eq!(delete(&bench, "u2", id, "").await, 404);
    assert_eq!(delete(&bench, "u1", id, "").await, 200);
    assert_eq!(bench.run(&run).await.status, Status::Cancelled);
    assert_eq!(delete(&bench, "u1", id, "?purge=true").await, 204);
    assert!(bench.runs("u1").await.is_empty());
}

#[tokio::test]
async fn one_item_of_a_batch_cannot_be_cancelled_alone() {
    let bench = Bench::new().await;
    let (run, _) = bench.running("u1", 7).await;
    assert_eq!(delete(&bench, "u1", &run.job_id.child(3), "").await, 409);
    assert_eq!(delete(&bench, "u2", &run.job_id.child(3), "").await, 404);
    assert_eq!(delete(&bench, "u1", "job_x", "").await, 404);
    assert_eq!(bench.run(&run).await.status, Status::Running);
}
