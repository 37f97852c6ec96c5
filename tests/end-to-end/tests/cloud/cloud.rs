//! Everything that runs: emulators, servers, one process per function, and a clock for the scheduler. All of it ends
//! when this is dropped.

use crate::{eventarc, functions::Functions};
use base64::{Engine, prelude::BASE64_STANDARD};
use emulators::{Emulator, PubSub, Sdk, free_address};
use gcs_server::Subscriber;
use local::Access;
use platform::{
    Bus, Clock, Message,
    google::{self, Endpoint},
};
use reqwest::{Client, Method, StatusCode, redirect::Policy};
use run_admin::Job;
use serde_json::{Value, json};
use service::{Trigger, Work};
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};
use url::Url;

/// The program under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_cloud-hub");
const PROJECT: &str = "end-to-end";
const REGION: &str = "us-central1";
const DEAD_LETTERS: &str = "dead-letters";
const PREFIX: &str = "e2e-";
/// The trace that every submission is made under.
pub const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
/// How long anything may take that a test waits for.
const PATIENCE: Duration = Duration::from_secs(180);

pub struct Cloud {
    pub functions: Functions,
    token: String,
    http: Client,
    jobs: run_admin::Server,
    objects: gcs_server::Server,
    messages: PubSub,
    bus: Bus,
    _emulators: [Emulator; 2],
    _folder: tempfile::TempDir,
}

impl Cloud {
    pub async fn start(sdk: &Sdk) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let services = hub::ALL.iter().filter(|function| matches!(function.work, Work::Service(_)));
        let addresses: BTreeMap<_, _> = services.map(|function| (function.name, free_url())).collect();
        let documents = document_triggers(&addresses);
        let eventarc =
            eventarc::start(Arc::new(documents.iter().map(|(id, (url, _))| (id.clone(), url.clone())).collect()));
        let firestore = sdk.firestore(Some(eventarc.await)).unwrap();
        let pubsub = sdk.pubsub().unwrap();
        let subscribers = buckets(&addresses);
        let names = ["uploads", "artifacts", "reports"].map(|name| format!("{PREFIX}{name}"));
        let options = gcs_server::Options { address: any(), buckets: names.to_vec(), subscribers };
        let objects = gcs_server::Server::start(options).await.unwrap();
        let access = Access::open(folder.path()).unwrap();
        let mut environment = environment(&access, &firestore, &pubsub, &objects.url);
        let jobs = start_jobs(&environment, &pubsub, folder.path()).await;
        environment.insert("RUN_ENDPOINT".into(), jobs.url.clone());
        register(&firestore, &documents).await;
        subscribe(&pubsub, &addresses).await;
        let functions = Functions::start(PROGRAM, addresses, environment);
        let token = access.token("maria", Clock::system().now()).unwrap();
        let http = Client::builder().redirect(Policy::none()).build().unwrap();
        let bus = google::bus(PROJECT, Some(Endpoint::new(&pubsub.address.to_string())), &Clock::system());
        let messages = PubSub::new(pubsub.address, PROJECT);
        let emulators = [firestore, pubsub];
        let (_emulators, _folder) = (emulators, folder);
        let cloud = Cloud { functions, token, http, jobs, objects, messages, bus, _emulators, _folder };
        cloud.functions.serving(PATIENCE).await;
        cloud.schedule();
        cloud
    }

    /// Cloud Scheduler, in a hurry.
    fn schedule(&self) {
        let (http, url) = (self.http.clone(), self.functions.address("reconcile").to_owned());
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_secs(5)).await;
                // The emulators may be gone already when the tests are over.
                let _ = http.post(&url).send().await;
            }
        });
    }

    /// Sends a message that no function of ours would.
    pub async fn publish(&self, topic: &str, text: &str) {
        let message = Message { data: text.as_bytes().to_vec(), ..Message::default() };
        self.bus.publish(topic, message).await.unwrap();
    }

    /// The next message that was given up.
    pub async fn dead_letter(&self) -> String {
        let began = Instant::now();
        loop {
            if let Some(message) = self.messages.pull(DEAD_LETTERS).await.unwrap().first() {
                let data = BASE64_STANDARD.decode(message["data"].as_str().unwrap()).unwrap();
                return String::from_utf8(data).unwrap();
            }
            assert!(began.elapsed() < PATIENCE, "nothing was given up");
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// Executions that have not ended.
    pub fn running(&self) -> usize {
        self.jobs.running()
    }

    /// The traces under which the objects of a bucket were written whose names begin so; empty for none.
    pub fn traces(&self, bucket: &str, prefix: &str) -> Vec<String> {
        let stored = self.objects.objects.all(&format!("{PREFIX}{bucket}")).unwrap();
        let trace = |mut metadata: BTreeMap<String, String>| metadata.remove("traceparent").unwrap_or_default();
        stored.into_iter().filter(|s| s.name.starts_with(prefix)).map(|stored| trace(stored.metadata)).collect()
    }

    pub async fn get(&self, function: &str, path: &str) -> Value {
        self.call(Method::GET, function, path, None).await
    }

    pub async fn post(&self, function: &str, path: &str, body: &Value) -> Value {
        self.call(Method::POST, function, path, Some(body)).await
    }

    pub async fn delete(&self, function: &str, path: &str) -> Value {
        self.call(Method::DELETE, function, path, None).await
    }

    /// Sends a file to the signed link of an upload.
    pub async fn put(&self, upload: &Value, content: String) {
        let mut request = self.http.put(upload["upload_url"].as_str().unwrap());
        for (name, value) in upload["headers"].as_object().into_iter().flatten() {
            request = request.header(name, value.as_str().unwrap());
        }
        let answer = request.body(content).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.status());
    }

    /// Follows a redirect to a signed link.
    pub async fn download(&self, function: &str, path: &str) -> String {
        let answer = self.request(Method::GET, function, path).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{path}");
        let link = answer.headers()["location"].to_str().unwrap().to_owned();
        self.http.get(link).send().await.unwrap().error_for_status().unwrap().text().await.unwrap()
    }

    /// The batch once it has ended.
    pub async fn ended(&self, batch: &str) -> Value {
        let is_final = |status: &str| ["completed", "failed", "cancelled"].contains(&status);
        let ended = |batch: &Value| is_final(batch["status"].as_str().unwrap()).then(|| batch.clone());
        self.until("get-batch", &format!("/api/v1/batches/{batch}"), ended).await
    }

    /// Asks until `there` finds what it looks for.
    pub async fn until<T>(&self, function: &str, path: &str, there: impl Fn(&Value) -> Option<T>) -> T {
        let began = Instant::now();
        loop {
            let body = self.get(function, path).await;
            if let Some(found) = there(&body) {
                return found;
            }
            assert!(began.elapsed() < PATIENCE, "GET {path} still says {body}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    async fn call(&self, method: Method, function: &str, path: &str, body: Option<&Value>) -> Value {
        let mut request = self.request(method, function, path);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = request.send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{function} {path}: {status} {text}");
        serde_json::from_str(&text).unwrap()
    }

    fn request(&self, method: Method, function: &str, path: &str) -> reqwest::RequestBuilder {
        let url = format!("{}{}", self.functions.address(function), path.trim_start_matches('/'));
        let trace = format!("00-{TRACE}-00f067aa0ba902b7-01");
        self.http.request(method, url).bearer_auth(&self.token).header("traceparent", trace)
    }
}

fn any() -> std::net::SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

fn free_url() -> String {
    format!("http://{}/", free_address().unwrap())
}

/// Document triggers by id: the function's address and the pattern of paths.
fn document_triggers(addresses: &BTreeMap<&'static str, String>) -> BTreeMap<String, (String, &'static str)> {
    let triggers = hub::ALL.iter().filter_map(|function| match function.trigger {
        Trigger::DocumentWritten { pattern } => {
            Some((function.name.to_owned(), (addresses[function.name].clone(), pattern)))
        }
        _ => None,
    });
    triggers.collect()
}

fn buckets(addresses: &BTreeMap<&'static str, String>) -> Vec<Subscriber> {
    let subscribers = hub::ALL.iter().filter_map(|function| match function.trigger {
        Trigger::ObjectFinalized { bucket } => {
            let url: Url = addresses[function.name].parse().unwrap();
            Some(Subscriber { bucket: format!("{PREFIX}{bucket}"), url })
        }
        _ => None,
    });
    subscribers.collect()
}

fn environment(access: &Access, firestore: &Emulator, pubsub: &Emulator, objects: &str) -> BTreeMap<String, String> {
    let settings = [
        ("HOST", "127.0.0.1".to_owned()),
        ("DOCS_URL", format!("firestore://{PROJECT}/(default)")),
        ("BLOBS_URL", format!("gs://{PREFIX}")),
        ("BUS_URL", format!("pubsub://{PROJECT}")),
        ("EXECUTIONS_URL", format!("run://{PROJECT}/{REGION}")),
        ("FIRESTORE_EMULATOR_HOST", firestore.address.to_string()),
        ("PUBSUB_EMULATOR_HOST", pubsub.address.to_string()),
        ("STORAGE_EMULATOR_HOST", objects.to_owned()),
        ("GPU_CAPACITY", "4".to_owned()),
        ("GPU_RESERVE", "1".to_owned()),
        ("STUCK_SECONDS", "20".to_owned()),
        ("RUST_LOG", "warn".to_owned()),
    ];
    settings.into_iter().chain(access.environment().unwrap()).map(|(name, value)| (name.to_owned(), value)).collect()
}

async fn start_jobs(
    environment: &BTreeMap<String, String>,
    pubsub: &Emulator,
    scratch: &std::path::Path,
) -> run_admin::Server {
    let mut env = environment.clone();
    for (variable, tool) in [("BOLTZ_COMMAND", "boltz"), ("CHAI_COMMAND", "chai-lab")] {
        env.insert(variable.into(), format!("'{PROGRAM}' stand-in {tool}"));
    }
    let worker = [
        ("EXECUTIONS_URL", format!("file:{}", scratch.join("none").display())),
        ("ACCELERATOR", "cpu".to_owned()),
        ("POLL_SECONDS", "0.1".to_owned()),
        ("CHECKPOINT_SECONDS", "1".to_owned()),
        ("SCRATCH_DIR", scratch.display().to_string()),
        ("STAND_IN_ITEM_SECONDS", "0.02".to_owned()),
    ];
    env.extend(worker.map(|(name, value)| (name.to_owned(), value)));
    let args = vec!["predict-worker".to_owned()];
    let job = Job { command: PROGRAM.into(), args, env, max_retries: 1, parallelism: 8 };
    let sink = google::bus(PROJECT, Some(Endpoint::new(&pubsub.address.to_string())), &Clock::system());
    let options = run_admin::Options {
        address: any(),
        project: PROJECT.to_owned(),
        region: REGION.to_owned(),
        jobs: BTreeMap::from([("predict-worker".to_owned(), job)]),
        sink: Some((sink, "execution-ended".to_owned())),
    };
    run_admin::Server::start(options).await.unwrap()
}

/// Tells the emulator which documents' writes are events.
async fn register(firestore: &Emulator, triggers: &BTreeMap<String, (String, &'static str)>) {
    for (id, (_, pattern)) in triggers {
        let mut names = ["{uid}", "{job}"].into_iter();
        let path: Vec<_> =
            pattern.split('/').map(|part| if part == "*" { names.next().unwrap() } else { part }).collect();
        let trigger = json!({
            "eventType": "google.cloud.firestore.document.v1.written", "database": "(default)", "namespace": "(default)",
            "document": {"value": path.join("/"), "matchType": "PATH_PATTERN"},
        });
        let address = firestore.address;
        let url = format!("http://{address}/emulator/v1/projects/{PROJECT}/eventarcTrigger?eventarcTriggerId={id}");
        let answer = Client::new().post(url).body(trigger.to_string()).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    }
}

/// Topics, and a push subscription with retries and dead letters for each function that listens.
async fn subscribe(pubsub: &Emulator, addresses: &BTreeMap<&'static str, String>) {
    let pubsub = PubSub::new(pubsub.address, PROJECT);
    pubsub.topic("dead-letter").await.unwrap();
    pubsub.subscription(DEAD_LETTERS, "dead-letter", json!({})).await.unwrap();
    for function in hub::ALL {
        let Trigger::Message { topic } = function.trigger else { continue };
        if topic != "dead-letter" {
            pubsub.topic(topic).await.unwrap();
        }
        let settings = json!({
            "pushConfig": {"pushEndpoint": addresses[function.name]},
            "ackDeadlineSeconds": 60,
            "retryPolicy": {"minimumBackoff": "1s", "maximumBackoff": "2s"},
            "deadLetterPolicy": {"deadLetterTopic": pubsub.topic_name("dead-letter"), "maxDeliveryAttempts": 5},
        });
        pubsub.subscription(function.name, topic, settings).await.unwrap();
    }
}
