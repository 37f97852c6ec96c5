use super::*;
use service::testing::{Bench, Reply};

async fn get(bench: &Bench, user: &str, id: &JobId) -> Reply {
    bench.get(FUNCTION, user, &format!("/api/v1/batches/{id}")).await
}

#[tokio::test]
async fn a_batch_waits_in_line_behind_batches_and_not_behind_predictions() {
    let bench = Bench::new().await;
    bench.planned("u2", 3).await;
    let single = bench.predict("u1").await;
    bench.plan(&single).await;
    bench.wait(1);
    let run = bench.planned("u1", 3).await;
    let reply = get(&bench, "u1", &run.job_id).await;
    assert_eq!((reply.text("/queue/lane"), &reply.body["queue"]["position"]), ("bulk", &2.into()));
    assert!(reply.body["export_links"].is_null() && reply.body["summary"].is_null());
}

#[tokio::test]
async fn a_finished_batch_has_its_figures_and_files() {
    let bench = Bench::new().await;
    let run = bench.finished("u1", 7).await;
    let reply = get(&bench, "u1", &run.job_id).await;
    assert_eq!((reply.text("/status"), &reply.body["completed_jobs"]), ("completed", &7.into()));
    assert_eq!((&reply.body["progress"]["milestone"], &reply.body["running_jobs"]), (&100.into(), &0.into()));
    assert_eq!(reply.body["summary"]["best_affinity"], -0.007);
    assert_eq!(reply.text("/export_links/csv"), format!("/api/v1/batches/{}/export?format=csv", run.job_id));
    assert!(reply.body["queue"].is_null() && reply.body["estimated_completion_seconds"].is_null());
}

#[tokio::test]
async fn another_users_batch_and_a_prediction_are_no_batches_here() {
    let bench = Bench::new().await;
    let run = bench.submit("u1", 3).await;
    let single = bench.predict("u1").await;
    assert_eq!(
        (get(&bench, "u2", &run.job_id).await.status, get(&bench, "u1", &single.job_id).await.status),
        (404, 404)
    );
}
