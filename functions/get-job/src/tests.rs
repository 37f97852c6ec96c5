use super::*;
use domain::{ItemError, Outcome, RunError};
use service::{
    runs::shards,
    testing::{Bench, Reply, completed, smiles},
};

async fn get(bench: &Bench, user: &str, id: &str) -> Reply {
    bench.get(FUNCTION, user, &format!("/api/v1/jobs/{id}")).await
}

async fn child(bench: &Bench, run: &Run, index: u32) -> Reply {
    get(bench, "u1", &run.job_id.child(index)).await
}

#[tokio::test]
async fn a_prediction_waits_in_line_and_then_has_its_result() {
    let bench = Bench::new().await;
    let first = bench.predict("u1").await;
    bench.plan(&first).await;
    bench.wait(1);
    let run = bench.predict("u1").await;
    bench.plan(&run).await;
    let waiting = get(&bench, "u1", run.job_id.as_str()).await;
    assert_eq!((waiting.text("/status"), &waiting.body["queue"]["position"]), ("queued", &2.into()));
    assert!(waiting.body["results"].is_null() && waiting.body["download_links"].is_null());
    assert!(waiting.body["estimated_completion_seconds"].as_u64().unwrap() > 0);
    bench.launch(&run, &[0]).await;
    bench.claim(&run, 0).await;
    bench.final_report(&run, 0, 1).await;
    shards::refresh(&bench.world, &run.uid, &run.job_id, 0).await.unwrap();
    let done = get(&bench, "u1", run.job_id.as_str()).await;
    assert_eq!((done.text("/results/ligand_name"), &done.body["results"]["affinity_prob"]), ("ligand", &0.001.into()));
    assert_eq!(done.text("/download_links/cif"), format!("/api/v1/jobs/{}/files/cif", run.job_id));
    assert!(done.body["queue"].is_null() && done.body["results"].get("files").is_none());
    let older = bench.get(FUNCTION, "u1", &format!("/api/v1/jobs/{}/status", run.job_id)).await;
    assert_eq!(older.body, done.body);
}

#[tokio::test]
async fn each_item_of_a_batch_is_a_job() {
    let bench = Bench::new().await;
    let (run, _) = bench.running("u1", 7).await;
    let failed = Outcome::failed(2, ItemError::new("out_of_memory", "too large"));
    bench.report(&run, 0, 1, false, vec![completed(&run, 1, 1), failed]).await;
    shards::refresh(&bench.world, &run.uid, &run.job_id, 0).await.unwrap();
    let (done, failed, open) =
        (child(&bench, &run, 1).await, child(&bench, &run, 2).await, child(&bench, &run, 3).await);
    assert_eq!(
        (done.text("/status"), failed.text("/status"), open.text("/status")),
        ("completed", "failed", "running")
    );
    assert_eq!((done.text("/job_type"), done.text("/batch_id")), ("batch_child", run.job_id.as_str()));
    assert_eq!((done.text("/job_name"), done.text("/input/ligand_smiles")), ("ligand 1", smiles(1).as_str()));
    assert_eq!(done.text("/download_links/cif"), format!("/api/v1/jobs/{}/files/cif", run.job_id.child(1)));
    assert!(done.body["results"].get("files").is_none());
    assert_eq!((failed.text("/error/code"), failed.text("/error/message")), ("out_of_memory", "too large"));
    assert!(failed.body["download_links"].is_null() && open.body["results"].is_null());
    assert!(done.body["estimated_completion_seconds"].is_null(), "it has ended");
    assert!(open.body["estimated_completion_seconds"].as_u64().is_some());
    assert_eq!((&done.body["progress"]["completed"], &open.body["progress"]["running"]), (&1.into(), &1.into()));
}

#[tokio::test]
async fn an_item_that_never_ran_ends_with_its_batch() {
    let bench = Bench::new().await;
    let (run, _) = bench.running("u1", 7).await;
    let now = bench.now();
    let error = RunError { code: "stuck".into(), message: "it did not move on".into() };
    bench.change(&run, |run| run.fail(error.clone(), now)).await;
    let item = child(&bench, &run, 3).await;
    assert_eq!((item.text("/status"), item.text("/error/code")), ("failed", "stuck"));
    let (run, _) = bench.running("u1", 7).await;
    bench.change(&run, |run| run.cancel(now)).await;
    assert_eq!(child(&bench, &run, 3).await.text("/status"), "cancelled");
}

#[tokio::test]
async fn an_item_that_waits_says_so() {
    let bench = Bench::new().await;
    let run = bench.planned("u1", 7).await;
    assert_eq!(child(&bench, &run, 7).await.text("/status"), "queued");
}

#[tokio::test]
async fn what_is_not_ones_own_or_not_there_is_not_found() {
    let bench = Bench::new().await;
    let (run, _) = bench.running("u1", 7).await;
    let (id, item) = (run.job_id.to_string(), run.job_id.child(1));
    for (user, id) in
        [("u2", id.as_str()), ("u2", &item), ("u1", &run.job_id.child(8)), ("u1", "job_x"), ("u1", "..%2Fx")]
    {
        let reply = get(&bench, user, id).await;
        assert_eq!((reply.status, reply.text("/title")), (404, "Not Found"), "{user} {id}");
    }
    assert_eq!(get(&bench, "stranger", &id).await.status, 401);
}
