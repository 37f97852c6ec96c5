//! A client of the API, without a socket or with one, in the name of somebody or of nobody.

use crate::Answer;
use axum::{Router, body::Body};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, header};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client as HttpClient, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tower::ServiceExt;
use url::Url;

/// So often something that will come is looked for.
const LOOK: Duration = Duration::from_millis(30);
/// Nothing in these tests takes so long on an idle machine by a factor of ten.
const PATIENCE: Duration = Duration::from_secs(120);

/// Who asks, and over which wire.
#[derive(Clone)]
pub struct Client {
    wire: Wire,
    credential: Option<(HeaderName, HeaderValue)>,
}

#[derive(Clone)]
enum Wire {
    Inside(Router),
    Socket { http: Box<HttpClient<HttpConnector, Full<Bytes>>>, address: Url },
}

impl Client {
    /// Calls the router as it is.
    pub fn inside(router: Router) -> Self {
        Client { wire: Wire::Inside(router), credential: None }
    }

    /// Calls a server at this address.
    pub fn socket(address: Url) -> Self {
        let http = HttpClient::builder(TokioExecutor::new()).build_http();
        Client { wire: Wire::Socket { http: Box::new(http), address }, credential: None }
    }

    pub fn with_key(&self, key: &str) -> Self {
        let name = HeaderName::from_static(service::api_key::API_KEY);
        Client { credential: Some((name, key.parse().unwrap())), ..self.clone() }
    }

    pub fn with_token(&self, token: &str) -> Self {
        Client { credential: Some((header::AUTHORIZATION, format!("Bearer {token}").parse().unwrap())), ..self.clone() }
    }

    pub fn anonymous(&self) -> Self {
        Client { credential: None, ..self.clone() }
    }

    /// Sends a request as it is, with the credential added.
    pub async fn send(&self, mut request: Request<Bytes>) -> Answer {
        let asked = format!("{} {}", request.method(), request.uri());
        if let Some((name, value)) = &self.credential {
            request.headers_mut().insert(name.clone(), value.clone());
        }
        let (parts, body) = match &self.wire {
            Wire::Inside(router) => {
                let response = router.clone().oneshot(request.map(Body::from)).await.unwrap();
                let (parts, body) = response.into_parts();
                (parts, body.collect().await.unwrap().to_bytes())
            }
            Wire::Socket { http, address } => {
                let absolute = address.join(&request.uri().to_string()).unwrap();
                *request.uri_mut() = absolute.as_str().parse().unwrap();
                let answered = http.request(request.map(Full::new)).await;
                let (parts, body) = answered.unwrap_or_else(|error| panic!("{asked}: {error:?}")).into_parts();
                (parts, body.collect().await.unwrap().to_bytes())
            }
        };
        Answer { asked, status: parts.status, headers: parts.headers, body }
    }

    pub async fn call(&self, method: Method, path: &str) -> Answer {
        self.send(Request::builder().method(method).uri(path).body(Bytes::new()).unwrap()).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.call(Method::DELETE, path).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(json_request(path, body)).await
    }

    /// With an `Idempotency-Key`.
    pub async fn post_once(&self, path: &str, key: &str, body: &Value) -> Answer {
        let mut request = json_request(path, body);
        request.headers_mut().insert("idempotency-key", key.parse().unwrap());
        self.send(request).await
    }

    /// Sends bytes to the signed link of an answer of `POST /uploads`, which needs no credential.
    pub async fn put(&self, link: &Value, content: &[u8]) -> Answer {
        let mut request = Request::put(inside(link["upload_url"].as_str().unwrap()));
        for (name, value) in link["headers"].as_object().into_iter().flatten() {
            request = request.header(name, value.as_str().unwrap());
        }
        self.anonymous().send(request.body(Bytes::copy_from_slice(content)).unwrap()).await
    }

    /// Follows the redirect to the file.
    #[track_caller]
    pub fn download(&self, path: &str) -> impl Future<Output = Answer> {
        let (client, path) = (self.clone(), path.to_owned());
        async move {
            let redirect = client.get(&path).await;
            assert_eq!(redirect.status, 303, "{path}: {}", redirect.text());
            let file = client.anonymous().get(&inside(redirect.header("location"))).await;
            assert_eq!(file.status, 200, "{path}: {}", file.text());
            file
        }
    }

    /// Asks for an upload link and sends the library there. The object's name.
    pub async fn upload(&self, request: &Value, library: &[u8]) -> String {
        let link = self.post("/api/v1/uploads", request).await.json(201);
        let sent = self.put(&link, library).await;
        assert_eq!(sent.status, 200, "{}", sent.text());
        link["object"].as_str().unwrap().to_owned()
    }

    /// The batch that an uploaded object became.
    pub async fn batch_of(&self, object: &str) -> Value {
        let batches = self.until("/api/v1/batches?limit=500", |list| of(list, object).is_some()).await;
        of(&batches, object).unwrap().clone()
    }

    /// Looks at a path until it shows what is waited for.
    pub async fn until(&self, path: &str, there: impl Fn(&Value) -> bool) -> Value {
        let begin = Instant::now();
        loop {
            let view = self.get(path).await.json(200);
            if there(&view) {
                return view;
            }
            assert!(begin.elapsed() < PATIENCE, "{path} still shows {view}");
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits for the end of a batch.
    pub async fn batch_ends(&self, id: &str) -> Value {
        self.until(&format!("/api/v1/batches/{id}"), is_final).await
    }

    /// Waits for the end of a job.
    pub async fn job_ends(&self, id: &str) -> Value {
        self.until(&format!("/api/v1/jobs/{id}"), is_final).await
    }

    /// Submits a batch and waits for its end.
    pub async fn run_batch(&self, request: &Value) -> Value {
        let batch = self.post("/api/v1/predict/batch", request).await.json(202);
        self.batch_ends(batch["batch_id"].as_str().unwrap()).await
    }

    /// Every result row of a batch.
    pub async fn rows(&self, batch: &str) -> Vec<Value> {
        let page = self.get(&format!("/api/v1/batches/{batch}/results?limit=500")).await.json(200);
        page["results"].as_array().unwrap().clone()
    }
}

/// Whether a job or batch has ended.
pub fn is_final(view: &Value) -> bool {
    ["completed", "failed", "cancelled"].iter().any(|status| view["status"] == *status)
}

fn of<'a>(list: &'a Value, object: &str) -> Option<&'a Value> {
    list["batches"].as_array().unwrap().iter().find(|batch| batch["source"] == json!({"upload": object}))
}

fn json_request(path: &str, body: &Value) -> Request<Bytes> {
    let request = Request::post(path).header(header::CONTENT_TYPE, "application/json");
    request.body(body.to_string().into()).unwrap()
}

/// A link without its host.
fn inside(link: &str) -> String {
    let link = Url::parse(link).unwrap();
    format!("{}?{}", link.path(), link.query().unwrap_or_default())
}
