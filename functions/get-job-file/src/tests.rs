use super::*;
use axum::{
    body::Body,
    http::{Request, Response, StatusCode, header},
};
use domain::{Item, ItemError, Outcome, OutcomeStatus, Report, Scores, Shard, Status};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use service::{
    api_key::API_KEY,
    runs::shards::ShardInput,
    serve,
    testing::{self, start as now},
};
use std::collections::BTreeMap;
use tower::ServiceExt;
use url::Url;

const UNIQUE: &str = "0123456789abcdefghjkmnpq";
const CIF: &str = "data_x\nloop_\n_atom_site.group_PDB\n_atom_site.type_symbol\n_atom_site.label_atom_id\n\
    _atom_site.label_comp_id\n_atom_site.label_asym_id\n_atom_site.label_seq_id\n_atom_site.Cartn_x\n\
    _atom_site.Cartn_y\n_atom_site.Cartn_z\nATOM C CA ALA A 1 1.000 2.000 3.000\n#\n";

/// One run whose items are all in one shard.
struct Bench {
    world: World,
    run: Run,
}

impl Bench {
    async fn new(batch: bool, status: Status) -> Self {
        let world = testing::Bench::new().await.world;
        let bench = Bench { world, run: run(batch, status) };
        let (uid, job_id) = (&bench.run.uid, &bench.run.job_id);
        bench.world.docs.create(&places::job(uid, job_id), &bench.run).await.unwrap();
        bench.world.docs.create(&places::shard(uid, job_id, 0), &Shard::new(0, 2, now())).await.unwrap();
        let input = places::shard_input(uid, job_id, 0).unwrap();
        let items = (1..=bench.run.items).map(item).collect();
        bench.world.blobs.put_json(&input, &ShardInput { shard: 0, items }, PutOptions::default()).await.unwrap();
        bench
    }

    /// A single prediction that ended with these files.
    async fn single(files: &[(&str, &str)]) -> Self {
        let bench = Bench::new(false, Status::Completed).await;
        let outcome = bench.completed(1, files).await;
        bench.report(vec![outcome]).await;
        bench
    }

    /// The outcome of an item with these files, which are written.
    async fn completed(&self, index: u32, files: &[(&str, &str)]) -> Outcome {
        let mut names = BTreeMap::new();
        for (kind, content) in files {
            let name = format!("structure.{kind}");
            let path = places::item_file(&self.run.uid, &self.run.job_id, index, 1, &name).unwrap();
            self.world.blobs.put_bytes(&path, content.to_string(), PutOptions::default()).await.unwrap();
            names.insert((*kind).to_owned(), path.name().to_owned());
        }
        let scores = Scores(BTreeMap::from([("affinity_prob".to_owned(), 0.5)]));
        Outcome {
            index,
            status: OutcomeStatus::Completed,
            scores,
            files: names,
            error: None,
            simulated: true,
            cached: false,
            molecule: None,
            provenance: BTreeMap::new(),
        }
    }

    async fn report(&self, outcomes: Vec<Outcome>) {
        let (uid, job_id) = (self.run.uid.clone(), self.run.job_id.clone());
        let path = places::report(&uid, &job_id, 0, 1, 1).unwrap();
        let mut shard = self.world.docs.get::<Shard>(&places::shard(&uid, &job_id, 0)).await.unwrap();
        shard.value.report = Some(path.name().to_owned());
        self.world.docs.replace(&shard).await.unwrap();
        let (shard, attempt, seq, last, gpu_seconds) = (0, 1, 1, true, 1.0);
        let (model_version, written_at, timing) = ("1".into(), now(), None);
        let report =
            Report { uid, job_id, shard, attempt, seq, last, outcomes, gpu_seconds, model_version, written_at, timing };
        self.world.blobs.put_json(&path, &report, PutOptions::default()).await.unwrap();
    }

    async fn ask(&self, user: &str, job: &str, kind: &str) -> Response<Body> {
        let uri = format!("/api/v1/jobs/{job}/files/{kind}");
        let request = Request::get(uri).header(API_KEY, user).body(Body::empty()).unwrap();
        serve(FUNCTION.routes().unwrap(), self.world.clone()).oneshot(request).await.unwrap()
    }

    /// What the link the caller is sent to leads to, and the name it is saved under.
    async fn file(&self, job: &str, kind: &str) -> (String, String) {
        let response = self.ask("u1", job, kind).await;
        assert_eq!(response.status(), StatusCode::SEE_OTHER, "{job} {kind}");
        let link = Url::parse(response.headers()[header::LOCATION].to_str().unwrap()).unwrap();
        let parameter = |name: &str| link.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned();
        let quarter_past = now().plus_seconds(900).as_datetime().timestamp();
        assert_eq!(parameter("expires"), quarter_past.to_string(), "fifteen minutes");
        let (bucket, name) = link.path().trim_start_matches('/').split_once('/').unwrap();
        let path = BlobPath::new(bucket, name).unwrap();
        let content = self.world.blobs.get(&path, u64::MAX).await.unwrap();
        (String::from_utf8(content.to_vec()).unwrap(), parameter("filename"))
    }

    async fn problem(&self, job: &str, kind: &str) -> Value {
        let body = self.ask("u1", job, kind).await.into_body().collect().await.unwrap().to_bytes();
        serde_json::from_slice(&body).unwrap()
    }
}

fn item(index: u32) -> Item {
    let (name, smiles) = (format!("ligand {index}"), Some("CCO".into()));
    Item { index, row: index.into(), name, smiles, original_smiles: None, heavy_atoms: 3, notes: vec![] }
}

fn run(batch: bool, status: Status) -> Run {
    Run { status, ..testing::planned(batch, if batch { 2 } else { 1 }, 1) }
}

fn job() -> String {
    format!("job_{UNIQUE}")
}

#[tokio::test]
async fn the_models_own_files_are_linked_as_they_are() {
    let bench = Bench::single(&[("cif", CIF), ("pdb", "the model's own")]).await;
    assert_eq!(bench.file(&job(), "cif").await, (CIF.to_owned(), format!("{}.cif", job())));
    assert_eq!(bench.file(&job(), "pdb").await, ("the model's own".to_owned(), format!("{}.pdb", job())));
}

#[tokio::test]
async fn a_pdb_the_model_did_not_write_is_made_once() {
    let bench = Bench::single(&[("cif", CIF)]).await;
    let (pdb, saved_as) = bench.file(&job(), "pdb").await;
    assert_eq!((pdb.as_str(), saved_as), (chem::cif_to_pdb(CIF).unwrap().as_str(), format!("{}.pdb", job())));
    let made = places::item_download(&bench.run.uid, &bench.run.job_id, 1, "structure.pdb").unwrap();
    let generation = bench.world.blobs.head(&made).await.unwrap().unwrap().generation;
    assert_eq!(bench.file(&job(), "pdb").await.0, pdb);
    assert_eq!(bench.world.blobs.head(&made).await.unwrap().unwrap().generation, generation);
}

#[tokio::test]
async fn a_structure_that_pdb_cannot_hold_names_the_cif_instead() {
    let atoms = "ATOM C CA ALA A 1 1.000 2.000 3.000\n".repeat(100_000);
    let bench = Bench::single(&[("cif", &CIF.replace("#\n", &atoms))]).await;
    let problem = bench.problem(&job(), "pdb").await;
    assert_eq!(problem["status"], 422);
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("99,999") && detail.contains(&format!("/api/v1/jobs/{}/files/cif", job())), "{detail}");
}

#[tokio::test]
async fn the_row_of_an_item_is_linked_without_what_is_ours_alone() {
    let bench = Bench::new(true, Status::Running).await;
    let first = bench.completed(1, &[("cif", CIF)]).await;
    bench.report(vec![first, Outcome::failed(2, ItemError::new("out_of_memory", "too large"))]).await;
    let child = bench.run.job_id.child(1);
    let (text, saved_as) = bench.file(&child, "json").await;
    let row: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&row["job_id"], &row["affinity_prob"], &row["affinity"]), (&json!(child), &json!(0.5), &Value::Null));
    assert!(row.get("files").is_none() && !text.contains("items/"));
    assert_eq!(saved_as, format!("{child}.json"));
    let failed = bench.run.job_id.child(2);
    assert_eq!(bench.problem(&failed, "cif").await["status"], 404, "it ended without a structure");
    assert!(bench.file(&failed, "json").await.0.contains("out_of_memory"));
}

#[tokio::test]
async fn what_has_not_ended_is_asked_for_again_and_what_ended_without_is_not_there() {
    for kind in ["cif", "pdb", "json"] {
        let problem = Bench::new(false, Status::Running).await.problem(&job(), kind).await;
        assert_eq!((&problem["status"], &problem["retry_after"]), (&json!(409), &json!(10)), "{kind}");
        assert_eq!(Bench::new(false, Status::Cancelled).await.problem(&job(), kind).await["status"], 404, "{kind}");
    }
}

#[tokio::test]
async fn a_batch_itself_has_no_structure_and_says_what_to_ask_for() {
    let bench = Bench::new(true, Status::Completed).await;
    let problem = bench.problem(bench.run.job_id.as_str(), "cif").await;
    assert_eq!(problem["status"], 409);
    assert!(problem["detail"].as_str().unwrap().contains("_0001"));
    assert_eq!(bench.problem(&bench.run.job_id.child(3), "cif").await["status"], 404, "it has two items");
}

#[tokio::test]
async fn another_users_job_and_another_kind_of_file_are_not_there() {
    let bench = Bench::single(&[("cif", CIF)]).await;
    assert_eq!(bench.ask("u2", &job(), "cif").await.status(), StatusCode::NOT_FOUND);
    assert_eq!(bench.ask("nobody", &job(), "cif").await.status(), StatusCode::UNAUTHORIZED);
    for kind in ["xyz", "CIF", "confidence", ".."] {
        let problem = bench.problem(&job(), kind).await;
        assert_eq!(problem["status"], 404, "{kind}");
    }
}

#[tokio::test]
async fn an_object_of_another_run_is_never_linked() {
    let bench = Bench::new(false, Status::Completed).await;
    let mut outcome = bench.completed(1, &[]).await;
    outcome.files.insert("cif".into(), format!("u2/job_{UNIQUE}/items/0000001/1/structure.cif"));
    bench.report(vec![outcome]).await;
    assert_eq!(bench.ask("u1", &job(), "cif").await.status(), StatusCode::INTERNAL_SERVER_ERROR);
}

#[test]
fn the_contract_tells_of_the_redirect_and_each_parameter_once() {
    let api = serde_json::to_value(FUNCTION.openapi().unwrap()).unwrap();
    let get = &api["paths"]["/api/v1/jobs/{job_id}/files/{kind}"]["get"];
    assert!(get["responses"]["303"]["headers"]["Location"].is_object());
    let names: Vec<_> = get["parameters"].as_array().unwrap().iter().map(|p| p["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["job_id", "kind"]);
}
