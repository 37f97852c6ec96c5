//! Executions of Cloud Run jobs, as the project's test server plays it: it starts one for every request it gets.

use crate::{PROJECT, trial};
use base64::{Engine, prelude::BASE64_STANDARD};
use libtest_mimic::Trial;
use platform::{
    Clock, Collection, Docs, Error, Execution, ExecutionState, Executions, Ids, StartRequest, conformance,
    embedded::{Event, Store},
    google::{self, Endpoint},
};
use run_admin::{Job, Options, Server};
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};

const REGION: &str = "us-central1";

pub fn trials() -> Vec<Trial> {
    vec![
        trial("cloud_run_passes_the_suite_of_executions", || async {
            let world = World::start().await;
            conformance::executions(&world.executions(Clock::system()), "sleeps").await;
        }),
        trial("an_execution_ends_as_its_tasks_end", how_it_ends),
        trial("an_execution_whose_name_was_lost_is_found_again", found_again),
        trial("a_claim_left_without_an_execution_is_taken_over_after_a_while", taken_over),
        trial("a_job_that_is_not_there_leaves_no_claim", || async {
            let world = World::start().await;
            let executions = world.executions(Clock::system());
            assert!(executions.start(request("nobody-made-it", "c")).await.is_err());
            let claim = world.claims.find::<Value>(&claim("nobody-made-it", "c")).await.unwrap();
            assert!(claim.is_none(), "the next call may try again at once");
        }),
    ]
}

struct World {
    server: Server,
    store: Store,
    claims: Docs,
}

impl World {
    async fn start() -> Self {
        let job = |command: &str, args: &[&str]| Job {
            command: command.into(),
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            env: BTreeMap::new(),
            max_retries: 1,
            parallelism: 4,
        };
        let store = Store::scratch(Clock::system()).unwrap();
        let right = "test \"$RUN/$CLOUD_RUN_TASK_COUNT\" = u1/job_1/2 && test $CLOUD_RUN_TASK_INDEX -lt 2";
        let jobs =
            [("sleeps", job("sleep", &["600"])), ("succeeds", job("sh", &["-c", right])), ("fails", job("false", &[]))];
        let options = Options {
            address: ([127, 0, 0, 1], 0).into(),
            project: PROJECT.to_owned(),
            region: REGION.to_owned(),
            jobs: jobs.map(|(name, job)| (name.to_owned(), job)).into(),
            sink: Some((store.bus(), "execution-ended".to_owned())),
        };
        let server = Server::start(options).await.unwrap();
        World { server, claims: store.docs(), store }
    }

    /// The first so many executions whose end was logged, each with its severity.
    async fn logged(&self, count: u64) -> Vec<(String, String)> {
        while self.store.outstanding().await.unwrap() < count {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.store
            .route(|event| matches!(event, Event::Message { .. }).then(|| "log".into()).into_iter().collect())
            .await
            .unwrap();
        let due = self.store.due(Clock::system().now(), vec![], 100).await.unwrap();
        let entries = due.into_iter().filter_map(|delivery| match delivery.change.event {
            Event::Message { data, .. } => serde_json::from_slice::<Value>(&BASE64_STANDARD.decode(data).unwrap()).ok(),
            _ => None,
        });
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        entries
            .map(|entry| (text(&entry["labels"]["run.googleapis.com/execution_name"]), text(&entry["severity"])))
            .collect()
    }

    fn executions(&self, clock: Clock) -> Executions {
        google::executions(PROJECT, REGION, Some(Endpoint::new(&self.server.url)), self.claims.clone(), &clock)
    }
}

fn request(job: &str, claim: &str) -> StartRequest {
    StartRequest {
        job: job.to_owned(),
        claim: claim.to_owned(),
        env: BTreeMap::from([("RUN".to_owned(), "u1/job_1".to_owned())]),
        tasks: 2,
        timeout: Duration::from_secs(60),
    }
}

fn claim(job: &str, claim: &str) -> platform::DocPath {
    Collection::root("claims").doc(&Ids::derived(&[job, claim]))
}

async fn ended(executions: &Executions, name: &str) -> Execution {
    for _ in 0..200 {
        let execution = executions.describe(name).await.unwrap().unwrap();
        if execution.completed_at.is_some() {
            return execution;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{name} does not end");
}

async fn how_it_ends() {
    let world = World::start().await;
    let executions = world.executions(Clock::system());
    let start = |job: &'static str| executions.start(request(job, "how"));
    let succeeds = ended(&executions, &start("succeeds").await.unwrap()).await;
    assert_eq!((succeeds.state, succeeds.succeeded, succeeds.failed), (ExecutionState::Succeeded, 2, 0));
    let fails = ended(&executions, &start("fails").await.unwrap()).await;
    assert_eq!((fails.state, fails.succeeded, fails.failed), (ExecutionState::Failed, 0, 2));
    assert_eq!(world.logged(2).await, [(succeeds.name, "INFO".to_owned()), (fails.name, "ERROR".to_owned())]);
    let name = start("sleeps").await.unwrap();
    executions.cancel(&name).await.unwrap();
    assert_eq!(ended(&executions, &name).await.state, ExecutionState::Cancelled);
    executions.cancel(&name).await.unwrap();
    assert_eq!(ended(&executions, &name).await.state, ExecutionState::Cancelled, "it stays as it ended");
}

async fn found_again() {
    let world = World::start().await;
    let executions = world.executions(Clock::system());
    let name = executions.start(request("sleeps", "lost")).await.unwrap();
    executions.start(request("sleeps", "another")).await.unwrap();
    let mut record = world.claims.get::<Value>(&claim("sleeps", "lost")).await.unwrap();
    record.value["execution"] = Value::Null;
    world.claims.replace(&record).await.unwrap();
    assert_eq!(executions.start(request("sleeps", "lost")).await.unwrap(), name);
    assert_eq!(world.server.started(), 2, "and no second one was started");
    let record = world.claims.get::<Value>(&claim("sleeps", "lost")).await.unwrap();
    assert_eq!(record.value["execution"], json!(name), "it is written down now");
}

async fn taken_over() {
    let world = World::start().await;
    let abandoned = json!({"job": "sleeps", "claim": "left", "execution": null, "expire_at": "2030-01-01T00:00:00.000Z", "attempt": 1});
    world.claims.create(&claim("sleeps", "left"), &abandoned).await.unwrap();
    let early = world.executions(Clock::system()).start(request("sleeps", "left")).await;
    assert!(matches!(early, Err(Error::Unavailable { .. })), "somebody may be at it: {early:?}");
    assert_eq!(world.server.started(), 0);
    let later = Clock::manual(Clock::system().now() + chrono::TimeDelta::seconds(61));
    let executions = world.executions(later);
    let name = executions.start(request("sleeps", "left")).await.unwrap();
    assert_eq!(executions.start(request("sleeps", "left")).await.unwrap(), name);
    assert_eq!(world.server.started(), 1);
}
