use super::*;
use domain::{EventKind, NoticeEvent, Webhook};
use platform::Versioned;
use serde_json::{Value, json};
use service::testing::Bench;

/// Tells the function of the notice, which is there already where the run's own move wrote it.
async fn tell(bench: &Bench, run: &Run, event: NoticeEvent) {
    let notice = Notice::new(run.uid.clone(), run.job_id.clone(), event, bench.now());
    let path = places::notice(&notice.uid, &notice.id());
    let _ = bench.world.docs.create(&path, &notice).await;
    let event = bench.document_event(&path).await;
    assert_eq!(bench.tell(FUNCTION, event).await, StatusCode::NO_CONTENT);
}

async fn deliveries(bench: &Bench) -> Vec<Delivery> {
    let all = platform::Query::group(places::DELIVERIES);
    bench.world.docs.query(&all).await.unwrap().into_iter().map(|d: Versioned<Delivery>| d.value).collect()
}

async fn payload(bench: &Bench) -> Value {
    let deliveries = deliveries(bench).await;
    assert_eq!(deliveries.len(), 1);
    serde_json::from_str(&deliveries[0].payload).unwrap()
}

#[tokio::test]
async fn every_endpoint_that_wants_to_hear_of_it_gets_one_message_however_often_it_is_told() {
    let bench = Bench::new().await;
    let run = bench.finished("u1", 3).await;
    let (a, b) =
        (bench.webhook("u1", "https://a.example.org/").await, bench.webhook("u1", "https://b.example.org/").await);
    bench.webhook("u2", "https://c.example.org/").await;
    bench.happened().await;
    for _ in 0..3 {
        tell(&bench, &run, NoticeEvent::BatchCompleted).await;
    }
    let mut to: Vec<_> = deliveries(&bench).await.into_iter().map(|delivery| delivery.webhook_id).collect();
    to.sort_by_key(|id| *id != a.id);
    assert_eq!(to, [a.id, b.id]);
    assert!(deliveries(&bench).await.iter().all(|delivery| delivery.is_due(bench.now()) && !delivery.id.contains('.')));
    assert_eq!(bench.published(places::WEBHOOKS).await, 6, "a message lost the first time is published again");
}

#[tokio::test]
async fn a_delivery_that_was_tried_is_not_made_new() {
    let bench = Bench::new().await;
    let run = bench.finished("u1", 3).await;
    bench.webhook("u1", "https://example.org/").await;
    tell(&bench, &run, NoticeEvent::BatchCompleted).await;
    let path = places::delivery(&run.uid, &deliveries(&bench).await[0].id);
    let mut read = bench.world.docs.get::<Delivery>(&path).await.unwrap();
    read.value.claim(bench.now());
    bench.world.docs.replace(&read).await.unwrap();
    tell(&bench, &run, NoticeEvent::BatchCompleted).await;
    assert_eq!(deliveries(&bench).await, [read.value]);
}

#[tokio::test]
async fn that_an_endpoint_was_disabled_is_sent_to_nobody() {
    let bench = Bench::new().await;
    bench.webhook("u1", "https://example.org/").await;
    let gone = bench.webhook("u1", "https://gone.example.org/").await;
    let notice = domain::DisabledNotice::new(gone.id, domain::DisabledReason::Gone, bench.now());
    let path = places::notice(&bench.caller("u1").uid, &notice.id());
    bench.world.docs.create(&path, &notice).await.unwrap();
    assert_eq!(bench.tell(FUNCTION, bench.document_event(&path).await).await, StatusCode::NO_CONTENT);
    assert_eq!(deliveries(&bench).await, []);
}

#[tokio::test]
async fn who_did_not_ask_was_disabled_or_came_later_hears_nothing() {
    let bench = Bench::new().await;
    let run = bench.finished("u1", 3).await;
    let now = bench.now();
    let change =
        async |webhook: &Webhook, change: &dyn Fn(&mut Webhook)| bench.change_webhook("u1", &webhook.id, change).await;
    let deaf = bench.webhook("u1", "https://a.example.org/").await;
    change(&deaf, &|webhook| webhook.events = vec![EventKind::BatchFailed]).await;
    let disabled = bench.webhook("u1", "https://b.example.org/").await;
    change(&disabled, &|webhook| assert!(webhook.disable(domain::DisabledReason::Gone, now, now))).await;
    bench.wait(1);
    bench.webhook("u1", "https://c.example.org/").await;
    tell(&bench, &run, NoticeEvent::BatchCompleted).await;
    assert_eq!(deliveries(&bench).await, []);
}

#[tokio::test]
async fn a_batch_is_told_of_with_its_counts_and_without_a_molecule() {
    let bench = Bench::new().await;
    let run = bench.finished("u1", 3).await;
    bench.webhook("u1", "https://example.org/").await;
    tell(&bench, &run, NoticeEvent::BatchCompleted).await;
    let (payload, id) = (payload(&bench).await, &run.job_id);
    let path = format!("/api/v1/batches/{id}");
    let export = |format: &str| format!("{path}/export?format={format}");
    let wanted = json!({
        "type": "batch.completed",
        "timestamp": bench.now(),
        "data": {
            "batch_id": id, "batch_name": "kinase panel", "status": "completed", "model": "boltz2",
            "total_jobs": 3, "completed_jobs": 3, "failed_jobs": 0, "rejected": 0,
            "progress": {"percent": 100.0, "milestone": 100}, "error_code": null,
            "links": {"batch": path, "results": format!("{path}/results"),
                      "export": {"csv": export("csv"), "json": export("json"), "zip": export("zip"),
                                 "parquet": export("parquet"), "sdf": export("sdf")}},
        },
    });
    assert_eq!(payload, wanted);
    assert!(!payload.to_string().contains(service::testing::SEQUENCE));
}

#[tokio::test]
async fn a_milestone_says_which_one() {
    let bench = Bench::new().await;
    let (run, _) = bench.running("u1", 4).await;
    bench.webhook("u1", "https://example.org/").await;
    tell(&bench, &run, NoticeEvent::BatchMilestone(50)).await;
    let payload = payload(&bench).await;
    assert_eq!((&payload["type"], &payload["data"]["progress"]["milestone"]), (&json!("batch.milestone"), &json!(50)));
    assert_eq!(payload["data"]["links"]["export"], json!(null), "not before the results are written");
}

#[tokio::test]
async fn a_single_prediction_is_told_of_as_a_job() {
    let bench = Bench::new().await;
    let run = bench.predict("u1").await;
    let run =
        bench.change(&run, |run| run.fail(domain::RunError::new("stuck", "c1ccccc1 stood still"), bench.now())).await;
    bench.webhook("u1", "https://example.org/").await;
    tell(&bench, &run, NoticeEvent::JobFailed).await;
    let wanted = json!({"job_id": run.job_id, "job_name": "kinase panel", "status": "failed", "model": "boltz2",
                        "error_code": "stuck", "links": {"job": format!("/api/v1/jobs/{}", run.job_id)}});
    assert_eq!(payload(&bench).await["data"], wanted, "messages of errors may hold molecules");
}

#[tokio::test]
async fn a_purged_run_and_a_deleted_notice_are_no_errors() {
    let bench = Bench::new().await;
    let run = bench.finished("u1", 3).await;
    bench.webhook("u1", "https://example.org/").await;
    let gone = |path| bench.world.docs.commit(vec![platform::Write::Delete { path, version: None }]);
    gone(places::job(&run.uid, &run.job_id)).await.unwrap();
    tell(&bench, &run, NoticeEvent::BatchCompleted).await;
    let notice = Notice::new(run.uid.clone(), run.job_id.clone(), NoticeEvent::BatchCompleted, bench.now());
    let event = bench.document_event(&places::notice(&notice.uid, &notice.id())).await;
    gone(places::notice(&notice.uid, &notice.id())).await.unwrap();
    assert_eq!(bench.tell(FUNCTION, event).await, StatusCode::NO_CONTENT);
    assert!(deliveries(&bench).await.is_empty());
}
