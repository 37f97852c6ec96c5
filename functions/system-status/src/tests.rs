use super::*;
use service::testing::Bench;

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
    bench.wait(500);
    let body = status(&bench).await;
    assert_eq!((&body["status"], &body["completion_monitor"]["stuck"]), (&"degraded".into(), &1.into()));
    assert_eq!(body["completion_monitor"]["longest_silence_seconds"], 500.0);
}
