use super::*;
use crate::testing::{Bench, Log};
use axum::{Router, body::Body, extract::Request, routing::get};
use platform::{BlobPath, Clock, Message, PutOptions, StartRequest, embedded::Event};
use serde_json::{Value, json};
use std::time::Duration;
use tower::ServiceExt;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// What Cloud Logging gets for one request with these headers.
async fn logged(headers: &[(&str, &str)]) -> Vec<Value> {
    let log = Log::default();
    let inner = log.clone();
    let layer = cloud_logging("omtx".to_owned(), move || inner.clone());
    let subscriber = tracing_subscriber::registry().with(layer);
    let _guard = tracing::subscriber::set_default(subscriber);
    let handler = || async {
        tracing::info!(job.id = "job_1", shard = 3, "shard reported");
        tokio::task::yield_now().await;
        tracing::warn!("slow");
        tracing::error!(error = "broken", "request failed");
    };
    let app = crate::serve(Router::new().route("/", get(handler)), Bench::new().await.world);
    let mut request = Request::new(Body::empty());
    for (name, value) in headers {
        request.headers_mut().insert(http::HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
    }
    app.oneshot(request).await.unwrap();
    log.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn a_line_is_what_cloud_logging_reads() {
    let mut lines = logged(&[("traceparent", PARENT)]).await;
    for line in &mut lines {
        let time = line.as_object_mut().unwrap().remove("time").unwrap();
        assert!(time.as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().is_ok(), "{time}");
    }
    let golden = |severity: &str, more: Value| {
        let mut line = json!({
            "severity": severity,
            "target": "service::telemetry::tests",
            "logging.googleapis.com/trace": "projects/omtx/traces/4bf92f3577b34da6a3ce929d0e0e4736",
            "logging.googleapis.com/spanId": "00f067aa0ba902b7",
            "logging.googleapis.com/trace_sampled": true,
        });
        line.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        line
    };
    let expected = [
        golden("INFO", json!({"message": "shard reported", "jobId": "job_1", "shard": 3})),
        golden("WARNING", json!({"message": "slow"})),
        golden("ERROR", json!({"message": "request failed", "error": "broken"})),
    ];
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn the_older_header_counts_where_the_standard_one_is_not_there() {
    let older = format!("{TRACE}/67667974448284343;o=1");
    let lines = logged(&[("x-cloud-trace-context", &older)]).await;
    assert_eq!(lines[0]["logging.googleapis.com/trace"], format!("projects/omtx/traces/{TRACE}"));
    assert_eq!(lines[0]["logging.googleapis.com/spanId"], "00f067aa0ba902b7");
    assert_eq!(lines[0]["logging.googleapis.com/trace_sampled"], true);
    let other = format!("00-{}-00f067aa0ba902b7-00", "a".repeat(32));
    let both = logged(&[("x-cloud-trace-context", &older), ("traceparent", &other)]).await;
    assert_eq!(both[0]["logging.googleapis.com/trace"], format!("projects/omtx/traces/{}", "a".repeat(32)));
    assert_eq!(both[0]["logging.googleapis.com/trace_sampled"], false);
}

#[tokio::test]
async fn a_request_without_a_right_trace_is_logged_without_one() {
    let zeros = format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32));
    let wrong = ["", "junk", "00-xyz-1-01", "00-\"},{\"-a-01", &zeros, &PARENT.to_uppercase()];
    for text in wrong {
        let lines = logged(&[("traceparent", text)]).await;
        assert_eq!(lines.len(), 3);
        assert!(lines[0].get("logging.googleapis.com/trace").is_none(), "{text}");
    }
}

#[tokio::test]
async fn what_a_request_causes_carries_its_trace() {
    let bench = Bench::new().await;
    let (world, store) = (handing_on(bench.world.clone()), bench.store.clone());
    let start = |claim: &str| StartRequest {
        job: "predict-worker".to_owned(),
        claim: claim.to_owned(),
        env: BTreeMap::new(),
        tasks: 1,
        timeout: Duration::from_secs(60),
    };
    let path = BlobPath::new("reports", "r.json").unwrap();
    under(Trace::from_traceparent(PARENT), async {
        world.bus.publish("dispatch", Message::default()).await.unwrap();
        world.blobs.put_bytes(&path, "{}", PutOptions::default()).await.unwrap();
        world.executions.start(start("c")).await.unwrap();
        let named = Message { data: vec![], attributes: BTreeMap::from([(TRACEPARENT.into(), "mine".into())]) };
        world.bus.publish("notify", named).await.unwrap();
    })
    .await;
    assert_eq!(world.blobs.head(&path).await.unwrap().unwrap().metadata[TRACEPARENT], PARENT);
    assert_eq!(store.unfinished().await.unwrap()[0].env["TRACEPARENT"], PARENT);
    store.route(|_| vec!["everybody".into()]).await.unwrap();
    let due = store.due(Clock::system().now(), vec![], 100).await.unwrap();
    let traces = due.into_iter().filter_map(|delivery| match delivery.change.event {
        Event::Message { topic, attributes, .. } => Some((topic, attributes[TRACEPARENT].clone())),
        _ => None,
    });
    let traces: BTreeMap<_, _> = traces.collect();
    assert_eq!(traces["dispatch"], PARENT);
    assert_eq!(traces["notify"], "mine", "a trace that is named stays");
}

#[tokio::test]
async fn a_request_goes_on_under_the_trace_its_content_names() {
    under(None, async {
        adopt(Some(PARENT));
        assert_eq!(current().unwrap().traceparent(), PARENT);
        adopt(None);
        adopt(Some("junk"));
        assert_eq!(current().unwrap().traceparent(), PARENT);
        assert_eq!(
            beside(async { traceparent() }).await.unwrap().unwrap(),
            PARENT,
            "what it does at the same time too"
        );
    })
    .await;
}

#[test]
fn only_cloud_run_gets_lines_for_cloud_logging() {
    let on = |names: &[&str]| is_on_cloud_run(&names.iter().map(|name| ((*name).to_owned(), "x".to_owned())).collect());
    assert!(on(&["K_SERVICE"]) && on(&["CLOUD_RUN_JOB", "DOCS_URL"]));
    assert!(!on(&[]) && !on(&["CLOUD_RUN_JOB", "STORE_URL"]), "a task of the local server keeps to standard error");
}

#[test]
fn the_project_of_traces_is_the_one_named_or_that_of_the_documents() {
    let of = |pairs: &[(&str, &str)]| {
        project(&pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    };
    assert_eq!(of(&[("DOCS_URL", "firestore://omtx/(default)")]), "omtx");
    assert_eq!(of(&[("DOCS_URL", "firestore://omtx/x"), ("GOOGLE_CLOUD_PROJECT", "named")]), "named");
    assert_eq!(of(&[]), "");
}
