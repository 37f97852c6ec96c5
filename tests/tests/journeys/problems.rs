//! What is refused is refused in one shape, and browsers of other origins may call.

use crate::start;
use axum::http::{Method, Request};
use bytes::Bytes;
use journeys::inputs::batch;

#[tokio::test]
async fn every_refusal_is_a_problem_document() {
    let hub = start(&[]).await;
    let client = &hub.client;
    let body = |kind: &str, text: &str| {
        let request = Request::post("/api/v1/predict/batch").header("content-type", kind);
        request.body(Bytes::copy_from_slice(text.as_bytes())).unwrap()
    };
    client.get("/api/v1/nothing/here").await.problem(404);
    client.get("/").await.problem(404);
    client.get("/api/v1/jobs/not-an-id").await.problem(404);
    client.get("/api/v1/jobs/job_0123456789abcdefghjkmnpq").await.problem(404);
    client.get("/api/v1/jobs/job_0123456789abcdefghjkmnpq/files/exe").await.problem(404);
    client.call(Method::PUT, "/api/v1/predict").await.problem(405);
    client.get("/api/v1/predict").await.problem(405);
    client.send(body("text/plain", "{}")).await.problem(415);
    client.call(Method::POST, "/api/v1/predict").await.problem(415);
    client.send(body("application/json", "{")).await.problem(400);
    client.send(body("application/json", &format!("{} x", batch(1)))).await.problem(400);
    client.get("/api/v1/jobs?limit=many").await.problem(400);
    client.get("/api/v1/jobs?limit=0").await.problem(400);
    client.send(body("application/json", "{}")).await.problem(422);
    let mut misspelt = batch(1);
    misspelt["ligands"][0]["smile"] = "C".into();
    assert_eq!(client.post("/api/v1/predict/batch", &misspelt).await.pointers(422), ["/ligands/0/smile"]);
    let huge = format!("{{\"model\":\"{}\"}}", "x".repeat(33 << 20));
    client.send(body("application/json", &huge)).await.problem(413);
}

#[tokio::test]
async fn a_browser_of_another_origin_may_call() {
    let hub = start(&[("CORS_ORIGINS", "https://app.example.org")]).await;
    let preflight = |origin: &str| {
        let request = Request::options("/api/v1/predict/batch").header("origin", origin);
        let request = request.header("access-control-request-method", "POST");
        let headers = "authorization,content-type,idempotency-key,x-api-key";
        request.header("access-control-request-headers", headers).body(Bytes::new()).unwrap()
    };
    let client = hub.client.anonymous();
    let answer = client.send(preflight("https://app.example.org")).await;
    assert!(answer.status.is_success());
    assert_eq!(answer.header("access-control-allow-origin"), "https://app.example.org");
    for method in ["GET", "POST", "DELETE"] {
        assert!(answer.header("access-control-allow-methods").contains(method));
    }
    for header in ["authorization", "content-type", "idempotency-key", "x-api-key"] {
        assert!(answer.header("access-control-allow-headers").contains(header), "{header}");
    }
    let stranger = client.send(preflight("https://evil.example.org")).await;
    assert_eq!(stranger.header("access-control-allow-origin"), "");

    let refused = Request::get("/api/v1/jobs").header("origin", "https://app.example.org").body(Bytes::new()).unwrap();
    let refused = client.send(refused).await;
    refused.problem(401);
    assert_eq!(refused.header("access-control-allow-origin"), "https://app.example.org", "a page can read refusals");
    assert!(refused.header("access-control-expose-headers").contains("location"));
}

#[tokio::test]
async fn the_system_says_how_it_is() {
    let hub = start(&[]).await;
    hub.client.run_batch(&batch(1)).await;
    hub.settled().await;
    let status = hub.client.get("/api/v1/system/status").await.json(200);
    assert_eq!(status["status"], "healthy", "{status}");
    for count in ["queued", "running", "aggregating", "stuck"] {
        assert_eq!(status["completion_monitor"][count], 0, "{status}");
    }
    assert_eq!(status["gpus"]["leased"], 0, "the slot was given back: {status}");
    assert_eq!(hub.client.get("/healthz").await.text(), "ok");
}
