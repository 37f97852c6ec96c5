//! An endpoint on this machine that remembers what it was sent and answers as it is told.

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use domain::{Delivery, NoticeEvent, Webhook};
use service::{places, testing::Bench, webhooks};
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

/// One request.
#[derive(Clone)]
pub struct Seen {
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

type Answer = Arc<dyn Fn() -> Response + Send + Sync>;

#[derive(Clone)]
pub struct Receiver {
    pub port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
    answer: Arc<Mutex<Answer>>,
}

impl Receiver {
    /// Answers 200 until it is told otherwise.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let answer: Answer = Arc::new(|| StatusCode::OK.into_response());
        let port = listener.local_addr().unwrap().port();
        let receiver = Receiver { port, seen: Arc::default(), answer: Arc::new(Mutex::new(answer)) };
        let app = Router::new().fallback(take).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        receiver
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port)
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub fn answers(&self, answer: impl Fn() -> Response + Send + Sync + 'static) {
        *self.answer.lock().unwrap() = Arc::new(answer);
    }

    pub fn answers_status(&self, status: u16) {
        self.answers(move || StatusCode::from_u16(status).unwrap().into_response());
    }

    pub fn answers_headers(&self, status: u16, name: &'static str, value: String) {
        self.answers(move || {
            Response::builder().status(status).header(name, value.as_str()).body(Body::empty()).unwrap()
        });
    }
}

async fn take(State(receiver): State<Receiver>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    receiver.seen.lock().unwrap().push(Seen { path: uri.path().to_owned(), headers, body });
    let answer = receiver.answer.lock().unwrap().clone();
    answer()
}

/// A bench whose webhooks may go to this machine.
pub async fn bench() -> Bench {
    Bench::with(|settings| settings.webhooks_to_loopback = true).await
}

/// A delivery of the user `u1` that is due now.
pub async fn due(bench: &Bench, webhook: &Webhook, id: &str) -> Delivery {
    let job = domain::JobId::new(true, "0123456789abcdefghjkmnpq").unwrap();
    let (uid, payload) = (bench.caller("u1").uid, r#"{"type":"batch.completed","data":{"name":"é"}}"#.to_owned());
    let event = NoticeEvent::BatchCompleted.kind().as_str();
    let delivery = Delivery::new(id.into(), uid, webhook.id.clone(), event, Some(job), payload, bench.now());
    webhooks::hand_over(&bench.world, &delivery).await.unwrap();
    delivery
}

/// The delivery as it stands.
pub async fn stands(bench: &Bench, id: &str) -> Delivery {
    bench.world.docs.get(&places::delivery(&bench.caller("u1").uid, id)).await.unwrap().value
}
