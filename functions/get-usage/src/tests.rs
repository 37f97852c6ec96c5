use super::*;
use serde_json::json;
use service::{runs, testing::Bench};

#[tokio::test]
async fn a_months_runs_are_added_up_for_their_own_user_only() {
    let bench = Bench::new().await;
    bench.finished("u1", 7).await;
    bench.submit("u1", 3).await;
    bench.finished("u2", 5).await;
    let used = bench.get(FUNCTION, "u1", "/api/v1/usage").await.body;
    assert_eq!((&used["month"], &used["runs"], &used["gpu_seconds"]), (&json!("2023-11"), &json!(2), &json!(180.0)));
    assert_eq!(used["ligands"], json!({"completed": 7, "failed": 0}));
    assert_eq!((&used["usd"], &used["limit_gpu_seconds"]), (&json!(0.0523), &json!(108_000.0)));
    assert_eq!(used["months"], json!(["2023-11"]));
}

#[tokio::test]
async fn a_run_counts_to_the_month_it_was_made_in_and_every_month_since_is_listed() {
    let bench = Bench::new().await;
    bench.finished("u1", 2).await;
    bench.wait(60 * 24 * 3600);
    bench.submit("u1", 3).await;
    let month = async |month: &str| bench.get(FUNCTION, "u1", &format!("/api/v1/usage?month={month}")).await.body;
    let (first, between, now) = (month("2023-11").await, month("2023-12").await, month("2024-01").await);
    assert_eq!((&first["ligands"]["completed"], &between["runs"], &now["runs"]), (&json!(2), &json!(0), &json!(1)));
    assert_eq!(now["months"], json!(["2024-01", "2023-12", "2023-11"]));
}

#[tokio::test]
async fn what_purged_runs_used_stays_told_also_of_older_months() {
    let bench = Bench::new().await;
    let purge = async |run: &domain::Run| {
        let purged = runs::cancel_or_purge(&bench.world, &bench.caller("u1"), &run.job_id, true).await;
        assert!(purged.unwrap().is_none());
    };
    let usage = async |month: &str| bench.get(FUNCTION, "u1", &format!("/api/v1/usage?month={month}")).await.body;
    let first = bench.finished("u1", 7).await;
    let before = usage("2023-11").await;
    assert_eq!((&before["runs"], &before["charged_gpu_seconds"]), (&json!(1), &json!(180.0)));
    purge(&first).await;
    assert_eq!(usage("2023-11").await, before);
    bench.wait(60 * 24 * 3600);
    purge(&bench.finished("u1", 3).await).await;
    assert!(bench.runs("u1").await.is_empty());
    let mut after = usage("2023-11").await;
    assert_eq!(after["months"], json!(["2024-01", "2023-12", "2023-11"]));
    after["months"] = before["months"].clone();
    assert_eq!(after, before, "the older month is kept");
    let now = usage("2024-01").await;
    assert_eq!((&now["runs"], &now["ligands"]["completed"], &now["usd"]), (&json!(1), &json!(3), &json!(0.0523)));
}

#[tokio::test]
async fn who_has_run_nothing_has_used_nothing_and_a_month_that_is_none_is_refused() {
    let bench = Bench::new().await;
    let used = bench.get(FUNCTION, "u1", "/api/v1/usage").await.body;
    assert_eq!((&used["runs"], &used["usd"], &used["months"]), (&json!(0), &json!(0.0), &json!(["2023-11"])));
    for month in ["2023", "2023-13", "2023-00", "2023-1", "11-2023", "x"] {
        assert_eq!(bench.get(FUNCTION, "u1", &format!("/api/v1/usage?month={month}")).await.status, 400, "{month}");
    }
}
