use super::*;
use domain::{Role, Scope};
use service::{
    runs::{repair, shards},
    testing::Bench,
};

async fn status(bench: &Bench) -> serde_json::Value {
    let reply = bench.get(FUNCTION, "u1", "/api/v1/system/status").await;
    assert_eq!(reply.status, 200);
    reply.body
}

/// What an operator sees.
async fn as_operator(bench: &Bench) -> serde_json::Value {
    bench.change_account("u1", |account| account.roles = Some(vec![Role::Admin])).await;
    status(bench).await["operator"].clone()
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
async fn a_report_that_nobody_has_read_is_an_event_that_waits() {
    let bench = Bench::new().await;
    let (run, _) = bench.running("u1", 3).await;
    bench.final_report(&run, 1, 1).await;
    bench.wait(50);
    let oldest = async || status(&bench).await["completion_monitor"]["oldest_unprocessed_event_seconds"].clone();
    assert_eq!(oldest().await, 50.0);
    shards::refresh(&bench.world, &run.uid, &run.job_id, 1).await.unwrap();
    assert_eq!(oldest().await, serde_json::Value::Null);
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
    let operator = as_operator(&bench).await;
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

#[tokio::test]
async fn each_reason_for_standing_still_is_told_in_words() {
    let bench = Bench::with(|settings| settings.gpu_capacity = 9).await;
    let runs = [
        (bench.submit("u1", 2).await, "its shards are not written"),
        (bench.planned("u1", 2).await, "the dispatcher has not started it"),
        (bench.running("u1", 2).await.0, "no worker has reported"),
        (bench.aggregating("u1", 2).await, "its results are not written"),
    ];
    bench.wait(600);
    let operator = as_operator(&bench).await;
    let stuck = operator["stuck"].as_array().unwrap();
    assert_eq!(stuck.len(), runs.len());
    for (run, why) in runs {
        let told = stuck.iter().find(|told| told["job_id"] == run.job_id.as_str()).unwrap();
        assert!(told["why"].as_str().unwrap().contains(why) && told["silent_seconds"] == 610.0, "{told}");
    }
}

#[tokio::test]
async fn operators_read_the_latest_repairs_and_dead_letters_first() {
    let bench = Bench::new().await;
    let mut mended = vec![];
    for n in 0..2 {
        let run = bench.submit("u2", 2).await;
        bench.wait(60);
        repair::sweep(&bench.world).await.unwrap();
        let subject = Some(format!("users/u2/jobs/{}", run.job_id));
        let letter = DeadLetterRecord::new("plan-run", subject.clone(), 20, bench.now());
        bench.world.docs.create(&places::dead_letters().doc(&n.to_string()), &letter).await.unwrap();
        mended.push((run.job_id.to_string(), subject));
    }
    let operator = as_operator(&bench).await;
    let (repairs, letters) = (&operator["repairs"], &operator["dead_letters"]);
    assert_eq!((&repairs[0]["kind"], &repairs[0]["uid"]), (&"told_again".into(), &"u2".into()));
    assert!(repairs[0]["reason"].as_str().unwrap().contains("queued"));
    let last = mended.pop().unwrap();
    let of_last = repairs.as_array().unwrap().iter().position(|repair| repair["job_id"] == last.0.as_str());
    assert!(of_last.is_some_and(|place| place < 2), "{repairs}");
    assert_eq!((&letters[0]["subject"], &letters[0]["attempts"]), (&serde_json::json!(last.1), &20.into()));
    assert_eq!(letters.as_array().unwrap().len(), 2);
}
