use super::*;
use axum::http::Method;
use domain::{ItemError, Outcome, Run, Status};
use service::{
    places,
    runs::{rows, shards},
    testing::{Bench, completed},
};

/// An ended batch of seven of which the second and the fifth ligand failed.
async fn with_failures(bench: &Bench) -> Run {
    let (run, _) = bench.running("u1", 7).await;
    for shard in 0..run.plan.as_ref().unwrap().shards {
        let outcome = |index| match index {
            2 | 5 => Outcome::failed(index, ItemError::new("out_of_memory", "the complex is too large")),
            _ => completed(&run, index, 1),
        };
        let outcomes = bench.items(&run, shard).await.into_iter().map(outcome).collect();
        bench.report(&run, shard, 1, true, outcomes).await;
        shards::refresh(&bench.world, &run.uid, &run.job_id, shard).await.unwrap();
    }
    shards::evaluate(&bench.world, &run.uid, &run.job_id).await.unwrap();
    bench.finish(&run).await
}

/// The ligands of a run, by name.
async fn ligands(bench: &Bench, run: &Run) -> Vec<(u32, String)> {
    let mut items = vec![];
    let library = places::library(&run.uid, &run.job_id).unwrap();
    rows::for_each_line(&bench.world.blobs, &library, |item: domain::Item| items.push((item.index, item.name)))
        .await
        .unwrap();
    items
}

fn uri(run: &Run) -> String {
    format!("/api/v1/batches/{}/retry", run.job_id)
}

#[tokio::test]
async fn only_the_failed_ligands_are_submitted_again_with_the_same_target() {
    let bench = Bench::new().await;
    let first = with_failures(&bench).await;
    let answer = bench.ask(FUNCTION, Method::POST, "u1", &uri(&first)).await;
    assert_eq!(answer.status, 202, "{}", answer.body);
    let again = bench.runs("u1").await.into_iter().find(|run| run.retry_of.is_some()).unwrap();
    assert_eq!(answer.headers["location"].to_str().unwrap(), format!("/api/v1/batches/{}", again.job_id));
    assert_eq!((again.status, again.items, again.retry_of.as_ref()), (Status::Queued, 2, Some(&first.job_id)));
    assert_eq!((&again.input, &again.parameters, &again.model), (&first.input, &first.parameters, &first.model));
    assert_eq!(ligands(&bench, &again).await, [(1, "ligand 2".to_owned()), (2, "ligand 5".to_owned())]);
    let first = bench.run(&first).await;
    assert_eq!((first.status, first.retried_by), (Status::Completed, Some(again.job_id.clone())));
    bench.plan(&again).await;
}

#[tokio::test]
async fn asking_twice_makes_one_batch() {
    let bench = Bench::new().await;
    let first = with_failures(&bench).await;
    let path = uri(&first);
    let (a, b) =
        tokio::join!(bench.ask(FUNCTION, Method::POST, "u1", &path), bench.ask(FUNCTION, Method::POST, "u1", &path));
    let c = bench.ask(FUNCTION, Method::POST, "u1", &path).await;
    assert_eq!((a.status, b.status, c.status), (202, 202, 202));
    assert_eq!((a.text("/batch_id"), b.text("/batch_id")), (c.text("/batch_id"), c.text("/batch_id")));
    let ids: Vec<_> = bench.runs("u1").await.into_iter().map(|run| run.job_id.to_string()).collect();
    assert_eq!(ids.len(), 2);
    let objects = bench.world.blobs.list(places::ARTIFACTS, "u1/batch_", None, 1000).await.unwrap();
    let strays = objects.iter().filter(|object| !ids.iter().any(|id| object.path.name().contains(id.as_str())));
    assert_eq!(strays.count(), 0, "whoever came second leaves nothing");
}

#[tokio::test]
async fn after_a_purge_it_is_made_anew_under_a_name_that_nobody_has_used() {
    let bench = Bench::new().await;
    let first = with_failures(&bench).await;
    let ask = async || bench.ask(FUNCTION, Method::POST, "u1", &uri(&first)).await;
    let purged: JobId = ask().await.text("/batch_id").to_owned().try_into().unwrap();
    runs::cancel_or_purge(&bench.world, &bench.caller("u1"), &purged, false).await.unwrap();
    runs::cancel_or_purge(&bench.world, &bench.caller("u1"), &purged, true).await.unwrap();
    let again = ask().await;
    assert_eq!(again.status, 202, "{}", again.body);
    assert_ne!(again.text("/batch_id"), purged.as_str());
    assert_eq!(ask().await.text("/batch_id"), again.text("/batch_id"));
}

#[tokio::test]
async fn of_a_cancelled_batch_what_was_not_run_is_run() {
    let bench = Bench::new().await;
    let (run, _) = bench.running("u1", 7).await;
    bench.final_report(&run, 0, 1).await;
    shards::refresh(&bench.world, &run.uid, &run.job_id, 0).await.unwrap();
    let done = bench.items(&run, 0).await.len() as u32;
    let run = bench.change(&run, |run| run.cancel(bench.now())).await;
    let answer = bench.ask(FUNCTION, Method::POST, "u1", &uri(&run)).await;
    assert_eq!((answer.status, answer.body["total_jobs"].as_u64()), (202, Some(u64::from(7 - done))));
}

#[tokio::test]
async fn a_batch_that_runs_or_lacks_nothing_or_is_anothers_is_not_run_again() {
    let bench = Bench::new().await;
    let (running, _) = bench.running("u1", 2).await;
    let complete = bench.finished("u1", 2).await;
    assert_eq!(bench.ask(FUNCTION, Method::POST, "u1", &uri(&running)).await.status, 409);
    assert_eq!(bench.ask(FUNCTION, Method::POST, "u1", &uri(&complete)).await.status, 409);
    assert_eq!(bench.ask(FUNCTION, Method::POST, "u2", &uri(&complete)).await.status, 404);
    assert_eq!((bench.runs("u1").await.len(), bench.runs("u2").await.len()), (2, 0));
}

#[tokio::test]
async fn under_its_key_a_retry_is_answered_again_and_one_of_another_batch_is_refused() {
    let bench = Bench::new().await;
    let first = with_failures(&bench).await;
    let ask = async |path: &str| bench.post(FUNCTION, "u1", path, Some("k"), &serde_json::Value::Null).await;
    let (one, two) = (ask(&uri(&first)).await, ask(&uri(&first)).await);
    assert_eq!((one.status, two.status, two.text("/batch_id")), (202, 202, one.text("/batch_id")));
    let other = bench.finished("u1", 2).await;
    assert_eq!((ask(&uri(&other)).await.status, bench.runs("u1").await.len()), (422, 3));
}
