//! What the tests of functions share, behind the feature `testing`: a scratch world whose clock stands still, users
//! whose API keys are their names, the requests that clients and Google make, and runs as the functions before the one
//! under test leave them. Nothing here is part of a service.

#![allow(clippy::unwrap_used, reason = "the tests' own tools")]

mod log;
mod planned;
mod runs;

use crate::{
    Caller, Function, Settings, World,
    api_key::{API_KEY, ApiKey},
    events, places,
    runs::{quota::Known, recent::RECENT},
    serve,
    tokens::Verifier,
    webhooks::{self, Resolver},
};
use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Method, Request, Response, StatusCode, header},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::{DateTime, TimeDelta, Utc};
use domain::{Account, EventKind, Role, Scope, Tier, Timestamp, Uid, Webhook, WebhookId, Webhooks};
use jsonwebtoken::jwk::JwkSet;
use platform::{
    BlobPath, Clock, DocPath, Ids, PutOptions, Version,
    docs::Body as Document,
    embedded::{Event, Store},
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, net::IpAddr, sync::Arc};
use tower::ServiceExt;

pub use log::Log;
pub use planned::planned;
pub use runs::{SEQUENCE, completed, smiles};

/// A world of its own: one pool of three GPUs, of which none is reserved, and the users `u1` and `u2`, both of the tier
/// enterprise.
pub struct Bench {
    pub world: World,
    pub store: Store,
}

/// What a client is answered.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    /// The body; null where it is empty.
    pub body: Value,
}

/// When the clock of a bench stands still.
pub fn start() -> Timestamp {
    DateTime::<Utc>::from_timestamp_secs(1_700_000_000).unwrap().into()
}

/// A user as their requests name them.
pub fn user(name: &str) -> Uid {
    Uid::named(name.to_owned()).unwrap()
}

/// Every name leads to the same public address, and nobody is asked for it.
fn always_public() -> Resolver {
    Resolver::new(|_| Box::pin(async { Ok(vec![IpAddr::from([8, 8, 8, 8])]) }))
}

fn api_key(name: &str, scopes: Vec<Scope>) -> ApiKey {
    ApiKey {
        id: format!("key_{name}"),
        uid: user(name),
        name: "test".into(),
        scopes,
        created_at: start(),
        expires_at: None,
        last_used_at: Some(start()),
    }
}

/// The routes of a function as they are served.
pub fn router(function: Function, world: &World) -> Router {
    serve(function.routes().unwrap(), world.clone())
}

/// How a function answers an event.
pub async fn post_event(router: Router, request: Request<Body>) -> StatusCode {
    router.oneshot(request).await.unwrap().status()
}

/// The push of a message whose data is this JSON.
pub fn push(data: &Value) -> Request<Body> {
    let data = BASE64_STANDARD.encode(data.to_string());
    events::encode_push("m1", &data, &BTreeMap::new(), 1, start().as_datetime())
}

/// The push that wakes the dispatcher.
pub fn waking() -> Request<Body> {
    push(&json!({}))
}

/// What Cloud Scheduler sends.
pub fn tick() -> Request<Body> {
    Request::post("/").body(Body::empty()).unwrap()
}

/// The push of the audit log's entry for an ended execution.
pub fn execution_ended(execution: &str, message: &str) -> Request<Body> {
    push(&json!({
        "severity": if message.is_empty() { "INFO" } else { "ERROR" },
        "resource": {"type": "cloud_run_job", "labels": {"job_name": "predict-worker"}},
        "labels": {"run.googleapis.com/execution_name": execution},
        "protoPayload": {
            "methodName": "/Jobs.RunJob",
            "resourceName": format!("namespaces/local/executions/{execution}"),
            "status": {"message": message},
        },
    }))
}

impl Bench {
    pub async fn new() -> Self {
        let clock = Clock::manual(start().as_datetime());
        let store = Store::scratch(clock.clone()).unwrap();
        let verifier = Verifier::new("issuer".into(), "audience".into(), JwkSet { keys: vec![] });
        let settings = Settings { gpu_reserve: 0, ..Settings::default() };
        let world =
            World { resolver: always_public(), ..World::embedded(&store, clock, Ids::seeded(1), verifier, settings) };
        for name in ["u1", "u2"] {
            let account = Account { tier: Some(Tier::Enterprise), ..Account::default() };
            world.docs.create(&places::account(&user(name)), &account).await.unwrap();
            world.docs.create(&ApiKey::path(name), &api_key(name, Scope::ALL.to_vec())).await.unwrap();
        }
        Bench { world, store }
    }

    /// Gives a user's requests a key of these scopes: they send its text in place of the user's name.
    pub async fn key(&self, text: &str, name: &str, scopes: &[Scope]) {
        self.world.docs.create(&ApiKey::path(text), &api_key(name, scopes.to_vec())).await.unwrap();
    }

    /// The account of a user as it stands.
    pub async fn account(&self, name: &str) -> Account {
        self.world.docs.get(&places::account(&user(name))).await.unwrap().value
    }

    /// Changes the account of a user as an operator does, and waits until everybody goes by it.
    pub async fn change_account(&self, name: &str, change: impl FnOnce(&mut Account)) {
        let mut account = self.world.docs.get::<Account>(&places::account(&user(name))).await.unwrap();
        change(&mut account.value);
        self.world.docs.replace(&account).await.unwrap();
        self.wait(RECENT.num_seconds().unsigned_abs());
    }

    /// The same with other settings.
    pub async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let mut bench = Bench::new().await;
        bench.set(change);
        bench
    }

    /// Changes the operator's settings.
    pub fn set(&mut self, change: impl FnOnce(&mut Settings)) {
        let mut settings = (*self.world.settings).clone();
        change(&mut settings);
        self.world.settings = Arc::new(settings);
    }

    pub fn caller(&self, name: &str) -> Caller {
        let mut known = Known::none(&user(name));
        known.account.version = Version("of an account that has changed since".into());
        known.account.value.tier = Some(Tier::Enterprise);
        Caller {
            uid: user(name),
            tier: Tier::Enterprise,
            roles: Vec::<Role>::new(),
            scopes: Scope::ALL.to_vec(),
            key: None,
            claimed_tier: None,
            known,
        }
    }

    /// An endpoint of the user's that wants to hear of everything, made now.
    pub async fn webhook(&self, name: &str, url: &str) -> Webhook {
        let (id, secret) = (WebhookId::new(&self.world.ids.next()).unwrap(), webhooks::new_secret(&self.world.ids));
        let webhook = Webhook::new(id, url.to_owned(), EventKind::ALL.to_vec(), secret, self.now());
        let add = |webhooks: &mut Webhooks| Ok(webhooks.add(webhook.clone()));
        assert!(webhooks::update(&self.world.docs, &user(name), add).await.unwrap());
        webhook
    }

    /// Changes an endpoint of the user's behind the functions' back.
    pub async fn change_webhook<T>(&self, name: &str, id: &WebhookId, change: impl Fn(&mut Webhook) -> T) -> T {
        let change = |webhook: &mut Webhook| Ok(change(webhook));
        let (outcome, write) = webhooks::changed(&self.world.docs, &user(name), id, change).await.unwrap();
        self.world.docs.commit(vec![write]).await.unwrap();
        outcome
    }

    /// Lets so many seconds pass.
    pub fn wait(&self, seconds: u64) {
        self.world.clock.advance(TimeDelta::seconds(seconds as i64));
    }

    pub fn now(&self) -> Timestamp {
        self.world.clock.now().into()
    }

    /// A client's request without a body.
    pub async fn ask(&self, function: Function, method: Method, user: &str, path: &str) -> Reply {
        let request = Request::builder().method(method).uri(path).header(API_KEY, user);
        self.send(function, request.body(Body::empty()).unwrap()).await
    }

    pub async fn get(&self, function: Function, user: &str, path: &str) -> Reply {
        self.ask(function, Method::GET, user, path).await
    }

    /// A client's JSON, with an `Idempotency-Key` where one is given.
    pub async fn post(&self, function: Function, user: &str, path: &str, key: Option<&str>, body: &Value) -> Reply {
        let mut request = Request::post(path).header(API_KEY, user).header(header::CONTENT_TYPE, "application/json");
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        self.send(function, request.body(Body::from(body.to_string())).unwrap()).await
    }

    /// How the function answers a request, as it comes.
    pub async fn answer(&self, function: Function, request: Request<Body>) -> Response<Body> {
        router(function, &self.world).oneshot(request).await.unwrap()
    }

    /// Any request, as it is.
    pub async fn send(&self, function: Function, request: Request<Body>) -> Reply {
        let response = self.answer(function, request).await;
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap();
        let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() };
        Reply { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    /// How the function answers an event of this bench.
    pub async fn tell(&self, function: Function, event: Request<Body>) -> StatusCode {
        post_event(router(function, &self.world), event).await
    }

    /// The event that the document was written as it stands.
    pub async fn document_event(&self, path: &DocPath) -> Request<Body> {
        let body = self.world.docs.get::<Document>(path).await.unwrap().value;
        events::encode_document_event("e1", path, None, Some(&body), self.world.clock.now())
    }

    /// The event that the object was written as it stands.
    pub async fn object_event(&self, path: &BlobPath) -> Request<Body> {
        let meta = self.world.blobs.head(path).await.unwrap().unwrap();
        events::encode_object_event("e1", &meta, &self.world.settings.bucket_prefix)
    }

    /// Writes a text into a bucket.
    pub async fn put(&self, bucket: &str, name: &str, text: &str) -> BlobPath {
        let path = BlobPath::new(bucket, name).unwrap();
        self.world.blobs.put_bytes(&path, text.to_owned(), PutOptions::default()).await.unwrap();
        path
    }

    /// How many messages were published to the topic since it was last asked what happened.
    pub async fn published(&self, topic: &str) -> usize {
        let is_it = |event: &&Event| matches!(event, Event::Message { topic: to, .. } if to == topic);
        self.happened().await.iter().filter(is_it).count()
    }

    /// Everything written or published since it was last asked.
    pub async fn happened(&self) -> Vec<Event> {
        self.store.route(|_| vec!["test".to_owned()]).await.unwrap();
        let told = self.store.due(DateTime::<Utc>::MAX_UTC, vec![], usize::MAX).await.unwrap();
        for delivery in &told {
            self.store.acknowledge(delivery.id).await.unwrap();
        }
        told.into_iter().map(|delivery| delivery.change.event).collect()
    }
}

impl Reply {
    /// Where a problem says that the request is wrong.
    pub fn pointers(&self) -> Vec<&str> {
        let errors = self.body["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        errors.iter().filter_map(|error| error["pointer"].as_str()).collect()
    }

    /// A header, empty where it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// A text of the body.
    pub fn text(&self, pointer: &str) -> &str {
        self.body.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }
}
