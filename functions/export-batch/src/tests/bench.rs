//! A batch of four in a scratch store, as its functions would have left it, and a client that asks for files of it.

use crate::FUNCTION;
use axum::{
    body::Body,
    http::{Request, Response, StatusCode, header},
};
use bytes::Bytes;
use domain::{
    Item, ItemError, Outcome, OutcomeStatus, Progress, Rejected, Report, ResultRow, Run, Scores, Shard, Status,
};
use http_body_util::BodyExt;
use platform::{BlobPath, PutOptions};
use serde_json::Value;
pub use service::testing::start as now;
use service::{
    World,
    api_key::API_KEY,
    places,
    runs::{
        results::{self, Folder, ResultsQuery},
        shards::ShardInput,
    },
    serve, testing,
};
use std::collections::BTreeMap;
use tower::ServiceExt;
use url::Url;

pub const ASPIRIN: &str = "CC(=O)Oc1ccccc1C(=O)O";

pub struct Bench {
    pub world: World,
    pub run: Run,
}

/// What a redirect leads to.
pub struct File {
    pub path: BlobPath,
    pub saved_as: String,
    pub expires: i64,
    pub bytes: Bytes,
}

impl Bench {
    /// Two users and their keys.
    async fn empty(run: Run) -> Self {
        let world = testing::Bench::new().await.world;
        Bench { world, run }
    }

    /// A batch that failed before it had an item.
    pub async fn without_items() -> Self {
        let bench = Bench::empty(Run { items: 0, rejected: 0, plan: None, ..run(Status::Failed) }).await;
        bench.world.docs.create(&places::job(&bench.run.uid, &bench.run.job_id), &bench.run).await.unwrap();
        bench
    }

    /// Four items in two shards, all ended: hits 1 and 3, the failed 2, and 4, which has a structure and no scores.
    pub async fn new(status: Status) -> Self {
        let bench = Bench::empty(run(status)).await;
        bench.write_rejected().await;
        let completed = |index, scores: &[(&str, f64)]| bench.completed(index, scores);
        let hit = completed(1, &[("affinity_prob", 0.25), ("affinity", -1.5), ("confidence", 0.8), ("docking", -7.25)]);
        let best = completed(3, &[("affinity_prob", 0.75), ("iptm_score", 0.5)]);
        let silent = Outcome { simulated: true, ..completed(4, &[]) };
        let failed = Outcome::failed(2, ItemError::new("out_of_memory", "the complex is too large"));
        bench.write_shard(0, vec![hit, failed]).await;
        bench.write_shard(1, vec![best, silent]).await;
        for index in [1, 3, 4] {
            bench.write_cif(index).await;
        }
        bench.world.docs.create(&places::job(&bench.run.uid, &bench.run.job_id), &bench.run).await.unwrap();
        bench
    }

    /// The same, with its results written as the aggregator writes them.
    pub async fn completed_batch() -> Self {
        let mut bench = Bench::new(Status::Aggregating).await;
        let summary = results::write(&bench.world.docs, &bench.world.blobs, &bench.run, 1).await.unwrap().summary;
        assert_eq!(bench.run.begin_aggregation(now()), Some(1));
        assert!(bench.run.finish(1, summary, true, now()));
        let path = places::job(&bench.run.uid, &bench.run.job_id);
        let mut document = bench.world.docs.get::<Run>(&path).await.unwrap();
        document.value = bench.run.clone();
        bench.world.docs.replace(&document).await.unwrap();
        bench
    }

    /// Every row with its rank, as they are told page by page.
    pub async fn rows(&self) -> Vec<ResultRow> {
        let all = ResultsQuery { limit: Some(500), ..ResultsQuery::default() };
        results::page(&self.world.docs, &self.world.blobs, &self.run, &all).await.unwrap().results
    }

    /// A file of the results that were written.
    pub fn result(&self, name: &str) -> BlobPath {
        match (name, self.run.results) {
            ("rejected.csv", _) | (_, None) => places::result(&self.run.uid, &self.run.job_id, name).unwrap(),
            (_, Some(token)) => Folder::of_token(&self.run, token).file(name).unwrap(),
        }
    }

    pub async fn ask(&self, user: &str, query: &str) -> Response<Body> {
        let uri = format!("/api/v1/batches/{}/export{query}", self.run.job_id);
        let request = Request::get(uri).header(API_KEY, user).body(Body::empty()).unwrap();
        serve(FUNCTION.routes().unwrap(), self.world.clone()).oneshot(request).await.unwrap()
    }

    /// The file the caller is sent to.
    pub async fn export(&self, format: &str) -> File {
        let response = self.ask("u1", &format!("?format={format}")).await;
        assert_eq!(response.status(), StatusCode::SEE_OTHER, "{format}");
        let link = Url::parse(response.headers()[header::LOCATION].to_str().unwrap()).unwrap();
        let (bucket, name) = link.path().trim_start_matches('/').split_once('/').unwrap();
        let path = BlobPath::new(bucket, name).unwrap();
        let parameter = |name: &str| link.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned();
        let bytes = self.world.blobs.get(&path, u64::MAX).await.unwrap();
        File { path, saved_as: parameter("filename"), expires: parameter("expires").parse().unwrap(), bytes }
    }

    pub async fn problem(&self, user: &str, query: &str) -> Value {
        let body = self.ask(user, query).await.into_body().collect().await.unwrap().to_bytes();
        serde_json::from_slice(&body).unwrap()
    }

    fn cif(&self, index: u32) -> BlobPath {
        places::item_file(&self.run.uid, &self.run.job_id, index, 1, "structure.cif").unwrap()
    }

    pub async fn write_cif(&self, index: u32) {
        let text = format!("data_{index}\n").repeat(1000);
        self.world.blobs.put_bytes(&self.cif(index), text, PutOptions::default()).await.unwrap();
    }

    pub async fn remove_cif(&self, index: u32) {
        self.world.blobs.delete(&self.cif(index)).await.unwrap();
    }

    fn completed(&self, index: u32, scores: &[(&str, f64)]) -> Outcome {
        let scores = Scores(scores.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect());
        let files = BTreeMap::from([("cif".to_owned(), self.cif(index).name().to_owned())]);
        let status = OutcomeStatus::Completed;
        Outcome {
            index,
            status,
            scores,
            files,
            error: None,
            simulated: false,
            cached: false,
            molecule: None,
            provenance: BTreeMap::new(),
        }
    }

    async fn write_rejected(&self) {
        let rejected = |row, name: &str, code: &str, duplicate_of| Rejected {
            row,
            name: name.into(),
            smiles: "CCO".into(),
            code: code.into(),
            reason: "a reason".into(),
            duplicate_of,
        };
        let rows = [rejected(5, "acetylsalicylate", "duplicate", Some(1)), rejected(6, "broken", "bad_smiles", None)];
        let lines: String = rows.iter().map(|row| serde_json::to_string(row).unwrap() + "\n").collect();
        let path = places::rejected(&self.run.uid, &self.run.job_id).unwrap();
        self.world.blobs.put_bytes(&path, lines, PutOptions::default()).await.unwrap();
    }

    async fn write_shard(&self, shard: u32, outcomes: Vec<Outcome>) {
        let (uid, job_id) = (self.run.uid.clone(), self.run.job_id.clone());
        let items = outcomes.iter().map(|outcome| item(outcome.index)).collect();
        let input = places::shard_input(&uid, &job_id, shard).unwrap();
        self.world.blobs.put_json(&input, &ShardInput { shard, items }, PutOptions::default()).await.unwrap();
        let path = places::report(&uid, &job_id, shard, 1, 1).unwrap();
        let document = Shard { report: Some(path.name().to_owned()), ..Shard::new(shard, 2, now()) };
        self.world.docs.create(&places::shard(&uid, &job_id, shard), &document).await.unwrap();
        let (attempt, seq, last, gpu_seconds) = (1, 1, true, 1.0);
        let (model_version, written_at, timing) = ("1".into(), now(), None);
        let report =
            Report { uid, job_id, shard, attempt, seq, last, outcomes, gpu_seconds, model_version, written_at, timing };
        self.world.blobs.put_json(&path, &report, PutOptions::default()).await.unwrap();
    }
}

fn item(index: u32) -> Item {
    let name = ["aspirin", "\\..\\huge", "=../../etc/passwd", ""][index as usize - 1];
    Item {
        index,
        row: index.into(),
        name: name.into(),
        smiles: Some([ASPIRIN, "C", "CCO", "c1ccccc1"][index as usize - 1].into()),
        original_smiles: None,
        heavy_atoms: 1,
        notes: if index == 1 { vec!["a salt was removed".into(), "neutralised".into()] } else { vec![] },
    }
}

fn run(status: Status) -> Run {
    Run {
        status,
        name: Some("kinase panel".into()),
        started_at: Some(now()),
        completed_at: status.is_final().then(now),
        target_residues: 100,
        rejected: 2,
        progress: Progress::new(4, 3, 1, 0),
        ..testing::planned(true, 4, 2)
    }
}
