//! A run with one shard in an embedded store, and a worker whose tools are the stand-in's real processes.

use domain::{Item, JobId, Outcome, Report, Run, Shard, Timestamp, Uid, Worker};
use models::{Accelerator, Request, Tools};
use platform::{Clock, PutOptions, Versioned, embedded::Store};
use predict_worker::{Config, Ended, Error, Task, WorkerPorts, work};
use serde_json::{Value, json};
use service::{
    places,
    runs::{reports::REPORT_LIMIT, shards::ShardInput},
};
use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

pub const SEQUENCE: &str = "GSHMEAVKLLQEAGYTWRDN";
const LIGANDS: [&str; 4] = ["CC(=O)Oc1ccccc1C(=O)O", "CCO", "c1ccccc1O", "CC#N"];

pub struct Bench {
    store: Store,
    pub task: Task,
    pub config: Config,
    _scratch: tempfile::TempDir,
}

impl Bench {
    /// A run of `count` items, launched once.
    pub async fn new(model: &str, inputs: Value, parameters: Value, count: u32) -> Self {
        let store = Store::scratch(Clock::system()).unwrap();
        let scratch = tempfile::tempdir().unwrap();
        let (uid, job_id) = (Uid::named("u1".to_owned()).unwrap(), JobId::new(true, &"0".repeat(24)).unwrap());
        let worker = Worker { execution: "e1".into(), task: 0, task_attempt: 0 };
        let task = Task { uid, job_id, shard: 0, launch: 1, worker };
        let config = Config {
            tools: tools(""),
            weights: None,
            scratch: scratch.path().to_owned(),
            deadline: Duration::from_secs(60),
            checkpoint: Duration::from_millis(50),
            poll: Duration::from_millis(20),
            stall: Some(Duration::from_secs(60)),
        };
        let bench = Bench { store, task, config, _scratch: scratch };
        bench.submit(model, &inputs, &parameters, count).await;
        bench
    }

    /// Boltz-2 with so many ligands.
    pub async fn boltz(count: u32) -> Self {
        Self::new("boltz2", json!({"protein_sequence": SEQUENCE}), Value::Null, count).await
    }

    /// The same run with these ligands instead.
    pub async fn of_ligands(smiles: &[&str], parameters: Value) -> Self {
        let count = smiles.len() as u32;
        let bench = Self::new("boltz2", json!({"protein_sequence": SEQUENCE}), parameters, count).await;
        let (uid, job_id) = (&bench.task.uid, &bench.task.job_id);
        let with = |(n, smiles): (u32, &&str)| Item { smiles: Some((*smiles).to_owned()), ..item(n, true) };
        let input = ShardInput { shard: 0, items: (1..).zip(smiles).map(with).collect() };
        let path = places::shard_input(uid, job_id, 0).unwrap();
        bench.store.blobs().put_json(&path, &input, PutOptions::default()).await.unwrap();
        bench
    }

    async fn submit(&self, model: &str, inputs: &Value, parameters: &Value, count: u32) {
        let (uid, job_id) = (&self.task.uid, &self.task.job_id);
        let request = Request { protein_sequence: None, inputs, parameters };
        let accepted = models::find(model).unwrap().accept(&request).unwrap();
        let blobs = self.store.blobs();
        for (name, content) in &accepted.files {
            let path = places::input_file(uid, job_id, name).unwrap();
            blobs.put_bytes(&path, content.clone(), PutOptions::default()).await.unwrap();
        }
        let files: Vec<_> = accepted.files.iter().map(|file| &file.0).collect();
        let run = run_document(model, accepted.input, json!(files), accepted.parameters, count);
        self.store.docs().create(&places::job(uid, job_id), &run).await.unwrap();
        let ligands = accepted.designs.is_none();
        let items = (1..=count).map(|n| item(n, ligands)).collect();
        let input = ShardInput { shard: 0, items };
        let path = places::shard_input(uid, job_id, 0).unwrap();
        blobs.put_json(&path, &input, PutOptions::default()).await.unwrap();
        let mut shard = Shard::new(0, count, now());
        assert!(shard.launch(1, "e1", now()));
        self.store.docs().create(&places::shard(uid, job_id, 0), &shard).await.unwrap();
    }

    /// Lets the stand-in fail as `STAND_IN_FAULTS` says, or be slow (`STAND_IN_ITEM_SECONDS=1`).
    pub fn with(mut self, settings: &str) -> Self {
        self.config.tools = tools(settings);
        self
    }

    pub fn ports(&self) -> WorkerPorts {
        WorkerPorts { docs: self.store.docs(), blobs: self.store.blobs(), clock: Clock::system() }
    }

    pub async fn work(&self) -> Result<Ended, Error> {
        work(&self.ports(), &self.task, &self.config, std::future::pending()).await
    }

    /// The same task as Cloud Run tries it again, with tools that behave.
    pub fn retry(mut self) -> Self {
        self.task.worker.task_attempt += 1;
        self.with("")
    }

    pub async fn shard(&self) -> Versioned<Shard> {
        self.store.docs().get(&places::shard(&self.task.uid, &self.task.job_id, 0)).await.unwrap()
    }

    pub async fn change_shard(&self, change: impl Fn(&mut Shard)) {
        let mut shard = self.shard().await;
        change(&mut shard.value);
        self.store.docs().replace(&shard).await.unwrap();
    }

    /// An empty report that this task did not write.
    pub async fn somebody_reported(&self, attempt: u32, seq: u32) {
        let (uid, job_id) = (self.task.uid.clone(), self.task.job_id.clone());
        let path = places::report(&uid, &job_id, 0, attempt, seq).unwrap();
        let report = Report {
            uid,
            job_id,
            shard: 0,
            attempt,
            seq,
            last: false,
            outcomes: vec![],
            gpu_seconds: 1.0,
            model_version: "1".into(),
            written_at: now(),
            timing: None,
        };
        self.store.blobs().put_json(&path, &report, PutOptions::default()).await.unwrap();
    }

    pub async fn cancel(&self) {
        let mut run: Versioned<Run> =
            self.store.docs().get(&places::job(&self.task.uid, &self.task.job_id)).await.unwrap();
        assert!(run.value.cancel(now()));
        self.store.docs().replace(&run).await.unwrap();
    }

    pub async fn reports(&self) -> Vec<Report> {
        let blobs = self.store.blobs();
        let prefix = places::reports_of(&self.task.uid, &self.task.job_id, 0);
        let mut reports = vec![];
        for meta in blobs.list(places::REPORTS, &prefix, None, 1000).await.unwrap() {
            reports.push(blobs.get_json(&meta.path, REPORT_LIMIT).await.unwrap());
        }
        reports
    }

    /// The last report, which must say that it is.
    pub async fn last(&self) -> Report {
        let last = self.reports().await.pop().expect("a report");
        assert!(last.last, "{last:?}");
        last
    }

    /// Waits until reports tell of so many items.
    pub async fn until_reported(&self, count: usize) {
        let began = Instant::now();
        while self.reports().await.last().is_none_or(|report| report.outcomes.len() < count) {
            assert!(began.elapsed() < Duration::from_secs(30), "nothing is reported");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The content of one of an item's files.
    pub async fn file(&self, outcome: &Outcome, kind: &str) -> String {
        let path = places::own_artifact(&self.task.uid, &self.task.job_id, &outcome.files[kind]).unwrap();
        String::from_utf8_lossy(&self.store.blobs().get(&path, 1 << 20).await.unwrap()).into_owned()
    }
}

/// What became of each item, in order.
pub fn story(report: &Report) -> Vec<&str> {
    report.outcomes.iter().map(|outcome| outcome.error.as_ref().map_or("done", |error| error.code.as_str())).collect()
}

fn tools(settings: &str) -> Tools {
    let program = stand_in().to_string_lossy().into_owned();
    let tool = |name: &str| {
        let settings = settings.split_whitespace().map(str::to_owned);
        let words = ["env".to_owned()].into_iter().chain(settings);
        words.chain([program.clone(), name.to_owned()]).collect()
    };
    Tools {
        boltz: tool("boltz"),
        chai: tool("chai-lab"),
        rfdiffusion: tool("rfdiffusion"),
        proteinmpnn: tool("proteinmpnn"),
        rf2: tool("rf2"),
        accelerator: Accelerator::Cpu,
        boltz_cache: None,
        boltz_extra: vec![],
    }
}

/// This package's example, which Cargo builds beside its tests.
fn stand_in() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let program = test.parent().and_then(|deps| deps.parent()).unwrap().join("examples/model-stand-in");
    assert!(program.exists(), "{} is built by `cargo test -p predict-worker`", program.display());
    program
}

fn now() -> Timestamp {
    Clock::system().now().into()
}

fn item(n: u32, ligand: bool) -> Item {
    let mut item = json!({"index": n, "row": n, "name": format!("item {n}")});
    if ligand {
        item["smiles"] = LIGANDS[n as usize % LIGANDS.len()].into();
    }
    serde_json::from_value(item).unwrap()
}

fn run_document(model: &str, input: Value, files: Value, parameters: Value, count: u32) -> Value {
    let ranking = models::find(model).unwrap().ranking(&parameters);
    json!({
        "job_id": format!("batch_{}", "0".repeat(24)), "uid": "u1", "job_type": "batch_parent", "status": "running",
        "model": model, "model_version": "1", "created_at": now(), "source": "api", "input": input,
        "input_files": files, "parameters": parameters, "target_residues": 20, "items": count, "rejected": 0,
        "priority": "normal", "strategy": "adaptive", "ranking": ranking, "dispatchable": false, "nudges": 0,
        "progress": {"total": 0, "completed": 0, "failed": 0, "running": 0, "percent": 0.0, "milestone": 0},
        "progress_at": now(), "cost": {"estimated_usd": null, "actual_usd": 0.0, "gpu_seconds": 0.0},
    })
}
