use super::*;
use domain::{Account, Role, Scope};
use service::testing::{Bench, user};

async fn status(bench: &Bench) -> serde_json::Value {
    let reply = bench.get(FUNCTION, "u1", "/api/v1/system/status").await;
    assert_eq!(reply.status, 200);
    reply.body
}

#[tokio::test]
async fn runs_are_counted_whoever_they_belong_to_and_none_is_named() {
    let bench = Bench::new().await;
    bench.submit("u1", 2).await;
    let (_, _) = bench.running("u2", 3).await;
    let body = status(&bench).await;
    let monitor = &body["completion_monitor"];
    assert_eq!((&monitor["queued"], &monitor["running"], &monitor["stuck"]), (&1.into(), &1.into(), &0.into()));
    assert_eq!(body["status"], "healthy");
    assert!(!body.to_string().contains("batch_") && !body.to_string().contains("u2"));
}

#[tokio::test]
async fn a_run_that_has_been_silent_for_long_is_told_of() {
    let bench = Bench::new().await;
    bench.running("u1", 3).await;
    bench.wait(700);
    let body = status(&bench).await;
    assert_eq!((&body["status"], &body["completion_monitor"]["stuck"]), (&"degraded".into(), &1.into()));
    assert_eq!(body["completion_monitor"]["longest_silence_seconds"], 700.0);
}

#[tokio::test]
async fn a_batch_that_waits_for_gpus_is_not_stuck_and_one_whose_planning_is_lost_is() {
    let bench = Bench::with(|settings| settings.gpu_capacity = 3).await;
    bench.running("u1", 3).await;
    bench.planned("u2", 3).await;
    bench.wait(120);
    let monitor = status(&bench).await["completion_monitor"].clone();
    assert_eq!(
        (&monitor["stuck"], &monitor["oldest_unprocessed_event_seconds"]),
        (&0.into(), &serde_json::Value::Null)
    );
    bench.submit("u2", 2).await;
    bench.wait(90);
    let monitor = status(&bench).await["completion_monitor"].clone();
    assert_eq!((&monitor["stuck"], &monitor["oldest_unprocessed_event_seconds"]), (&1.into(), &90.0.into()));
}

#[tokio::test]
async fn operators_see_how_long_runs_take_from_their_last_report_to_their_end() {
    let bench = Bench::new().await;
    assert!(status(&bench).await["completion_monitor"]["completion_lag_seconds"].is_null());
    let slow = bench.aggregating("u1", 2).await;
    bench.wait(4);
    bench.finish(&slow).await;
    bench.wait(1);
    bench.finished("u1", 2).await;
    let lag = status(&bench).await["completion_monitor"]["completion_lag_seconds"].clone();
    assert_eq!((&lag["last"], &lag["slowest"]), (&0.0.into(), &4.0.into()));
}

#[tokio::test]
async fn repairs_and_dead_letters_are_counted() {
    let bench = Bench::new().await;
    let run = bench.submit("u1", 2).await;
    bench.wait(60);
    repair::sweep(&bench.world).await.unwrap();
    let letter = DeadLetterRecord::new("plan-run", None, 20, bench.now());
    bench.world.docs.create(&places::dead_letters().doc("x"), &letter).await.unwrap();
    let monitor = status(&bench).await["completion_monitor"].clone();
    assert_eq!((&monitor["repairs"]["told_again"], &monitor["dead_letters"]), (&1.into(), &1.into()));
    assert!(!monitor.to_string().contains(run.job_id.as_str()));
}

#[tokio::test]
async fn operators_alone_see_whose_run_is_stuck_and_why_and_who_holds_gpus() {
    let bench = Bench::new().await;
    bench.running("u1", 3).await;
    let lost = bench.submit("u1", 2).await;
    bench.wait(60);
    assert!(status(&bench).await["operator"].is_null());
    let mut account = bench.world.docs.get::<Account>(&places::account(&user("u1"))).await.unwrap();
    account.value.roles = Some(vec![Role::Admin]);
    bench.world.docs.replace(&account).await.unwrap();
    let operator = status(&bench).await["operator"].clone();
    assert_eq!(
        (&operator["stuck"][0]["job_id"], operator["stuck"].as_array().unwrap().len()),
        (&serde_json::json!(lost.job_id), 1)
    );
    assert!(operator["stuck"][0]["why"].as_str().unwrap().contains("shards are not written"));
    assert_eq!((&operator["leases"][0]["gpus"], &operator["leases"][0]["uid"]), (&3.into(), &"u1".into()));
    bench.key("reader", "u1", &[Scope::Read, Scope::Submit]).await;
    let reply = bench.get(FUNCTION, "reader", "/api/v1/system/status").await;
    assert_eq!((reply.status, &reply.body["operator"]), (200, &serde_json::Value::Null), "a key that may not manage");
}
