//! Measures the writing of results and their pages on the embedded store:
//! `cargo run --release -p service --example aggregate -- 1000000`. A batch of so many ligands, 50 to a shard, is made up
//! first, with reports as Boltz-2's worker writes them; then comes, for each step, the time it took, the processor time
//! over all threads, and the most memory the process held.

use domain::{Item, ItemError, Outcome, OutcomeStatus, Report, Run, Scores, Shard, Timestamp};
use futures::{StreamExt, TryStreamExt, stream};
use platform::{
    Blobs, Clock, Docs, PutOptions, Write,
    embedded::{Links, Store},
};
use serde_json::json;
use service::{
    places,
    runs::{
        results::{self, Order, ResultsQuery},
        shards::ShardInput,
    },
};
use std::{collections::BTreeMap, error::Error, fs, time::Instant};

const PER_SHARD: u32 = 50;
/// Shards made up at once, and committed at once.
const GROUP: u32 = 200;
/// Pages of each kind that are measured.
const PAGES: u32 = 40;

type Outcomes<T> = Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Outcomes<()> {
    let mut arguments = std::env::args().skip(1);
    let ligands: u32 = arguments.next().as_deref().unwrap_or("100000").parse()?;
    let folder = tempfile::tempdir()?;
    let store = Store::open(folder.path(), Clock::system(), Links::unsigned())?;
    let (docs, blobs) = (store.docs(), store.blobs());
    let mut run = run(ligands)?;
    measured("made up", 1, prepare(&docs, &blobs, &run)).await?;
    let layout = measured("written", 1, results::write(&docs, &blobs, &run, 1)).await?;
    println!("{} completed, {} failed", layout.summary.completed_jobs, layout.summary.failed_jobs);
    let live = ResultsQuery { sort: Some("iptm_score".into()), ..ResultsQuery::default() };
    measured("page of a run that goes on", 1, pages(&docs, &blobs, &run, &live, 1)).await?;
    run.results = Some(1);
    let by = |sort: &str| ResultsQuery { sort: Some(sort.into()), ..ResultsQuery::default() };
    let kinds = [
        ("by rank", ResultsQuery::default()),
        ("by rank, 500 rows", ResultsQuery { limit: Some(500), ..ResultsQuery::default() }),
        ("by another score", by("iptm_score")),
        ("by another score, 500 rows", ResultsQuery { limit: Some(500), ..by("iptm_score") }),
        ("turned", ResultsQuery { order: Some(Order::Desc), ..by("affinity") }),
        ("within a range", ResultsQuery { min: Some(0.25), max: Some(0.75), ..by("ligand_iptm") }),
        ("failed", ResultsQuery { status: Some(OutcomeStatus::Failed), ..ResultsQuery::default() }),
    ];
    for (name, query) in kinds {
        measured(name, PAGES, pages(&docs, &blobs, &run, &query, PAGES)).await?;
    }
    Ok(())
}

/// So many pages of a query, spread over its rows.
async fn pages(docs: &Docs, blobs: &Blobs, run: &Run, query: &ResultsQuery, count: u32) -> Outcomes<()> {
    let problem = |problem| format!("{problem:?}");
    let total = results::page(docs, blobs, run, query).await.map_err(problem)?.total;
    for n in 1..count {
        let cursor = Some((total * u64::from(n) / u64::from(count)).to_string());
        let page = results::page(docs, blobs, run, &ResultsQuery { cursor, ..query.clone() }).await.map_err(problem)?;
        assert!(!page.results.is_empty(), "an empty page");
    }
    Ok(())
}

/// Runs a step and prints what it took, each of `count` times.
async fn measured<T, E>(what: &str, count: u32, step: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    // Resets the high-water mark of resident memory (proc(5)).
    let _ = fs::write("/proc/self/clear_refs", "5");
    let (began, cpu) = (Instant::now(), cpu_seconds());
    let outcome = step.await?;
    let each = |seconds: f64| seconds / f64::from(count);
    let (wall, cpu) = (each(began.elapsed().as_secs_f64()), each(cpu_seconds() - cpu));
    println!("{what:28} {wall:9.4} s  {cpu:9.4} s of processor  {:6.1} MiB at most", peak_mib());
    Ok(outcome)
}

/// User and system time of the process so far.
fn cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok());
    ticks.sum::<f64>() / 100.0
}

fn peak_mib() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kib.unwrap_or_default() / 1024.0
}

fn run(ligands: u32) -> Outcomes<Run> {
    let at = "2026-01-01T00:00:00Z";
    let progress = json!({"total": ligands, "completed": 0, "failed": 0, "running": 0, "percent": 0.0, "milestone": 0});
    let plan = json!({"shards": ligands.div_ceil(PER_SHARD), "items": ligands, "gpu_seconds": 1.0, "seconds": 1.0,
        "ready": true});
    Ok(serde_json::from_value(json!({
        "job_id": "batch_0123456789abcdefghjkmnpq", "uid": "u1", "job_type": "batch_parent", "status": "aggregating",
        "name": null, "model": "boltz2", "model_version": "2.2.1", "created_at": at, "started_at": at,
        "completed_at": null, "source": "api", "input": {}, "ligand_smiles": null, "input_files": [], "parameters": {},
        "target_residues": 300, "items": ligands, "rejected": 0, "priority": "normal", "strategy": "adaptive",
        "ranking": {"score": "affinity_prob", "direction": "descending"}, "plan": plan, "dispatchable": false,
        "progress": progress, "progress_at": at, "cost": {"estimated_usd": 0.0, "actual_usd": 0.0, "gpu_seconds": 0.0}, "nudges": 0,
    }))?)
}

async fn prepare(docs: &Docs, blobs: &Blobs, run: &Run) -> Outcomes<()> {
    let now: Timestamp = Clock::system().now().into();
    blobs.put_bytes(&places::rejected(&run.uid, &run.job_id)?, "", PutOptions::default()).await?;
    let shards: Vec<u32> = (0..run.items.div_ceil(PER_SHARD)).collect();
    for group in shards.chunks(GROUP as usize) {
        let write = |shard: u32| write_shard(blobs, run, shard, now);
        let documents = stream::iter(group.iter().copied().map(write)).buffered(4).try_collect::<Vec<_>>().await?;
        let create = |shard: &Shard| Write::create(places::shard(&run.uid, &run.job_id, shard.shard), shard);
        docs.commit(documents.iter().map(create).collect::<platform::Result<_>>()?).await?;
    }
    Ok(())
}

async fn write_shard(blobs: &Blobs, run: &Run, shard: u32, now: Timestamp) -> Outcomes<Shard> {
    let first = shard * PER_SHARD + 1;
    let items: Vec<_> = (first..first + PER_SHARD).take_while(|index| *index <= run.items).map(item).collect();
    let outcomes = items.iter().map(|item| outcome(run, shard, item.index)).collect::<platform::Result<Vec<_>>>()?;
    let path = places::report(&run.uid, &run.job_id, shard, 1, 1)?;
    let document =
        Shard { report: Some(path.name().to_owned()), done: true, ..Shard::new(shard, items.len() as u32, now) };
    let report = Report {
        uid: run.uid.clone(),
        job_id: run.job_id.clone(),
        shard,
        attempt: 1,
        seq: 1,
        last: true,
        outcomes,
        gpu_seconds: 1500.0,
        model_version: run.model_version.clone(),
        written_at: now,
        timing: None,
    };
    blobs.put_json(&path, &report, PutOptions::default()).await?;
    let input = places::shard_input(&run.uid, &run.job_id, shard)?;
    blobs.put_json(&input, &ShardInput { shard, items }, PutOptions::default()).await?;
    Ok(document)
}

fn item(index: u32) -> Item {
    Item {
        index,
        row: index.into(),
        name: format!("ZINC{:012}", u64::from(index) * 7919),
        smiles: Some(format!("CC(=O)Nc1ccc(cc1)S(=O)(=O)N2CCN(CC2)c3ncnc4[nH]cc{}c34", "C".repeat(index as usize % 9))),
        original_smiles: None,
        heavy_atoms: 30,
        notes: vec![],
    }
}

/// An outcome as the worker writes it; one in fifty has failed.
fn outcome(run: &Run, shard: u32, index: u32) -> platform::Result<Outcome> {
    let provenance = [
        ("model_version", "2.2.1".to_owned()),
        ("shard", shard.to_string()),
        ("attempt", "1".to_owned()),
        ("order", format!("{} of {PER_SHARD}", index % PER_SHARD + 1)),
        ("seed", "1".to_owned()),
    ];
    let provenance: BTreeMap<_, _> = provenance.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    if index % 50 == 7 {
        let error = ItemError::new("out_of_memory", "the complex is too large for the GPU's memory");
        return Ok(Outcome { provenance, ..Outcome::failed(index, error) });
    }
    let mut state = u64::from(index);
    let mut draw = || {
        // SplitMix64's finaliser: numbers that are as long as a model's.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        f64::from(((mixed ^ (mixed >> 27)) >> 40) as f32 / (1u64 << 24) as f32)
    };
    let mut scores = Scores::default();
    for name in Scores::FOURTEEN.into_iter().chain(["affinity", "confidence", "complex_pde"]) {
        scores.set(name, Some(draw()));
    }
    let file = |file: &str| places::item_file(&run.uid, &run.job_id, index, 1, file);
    let files = [("cif", "structure.cif"), ("confidence", "confidence.json"), ("affinity", "affinity.json")];
    let files = files.into_iter().map(|(kind, name)| Ok((kind.to_owned(), file(name)?.name().to_owned())));
    Ok(Outcome {
        index,
        status: OutcomeStatus::Completed,
        scores,
        files: files.collect::<platform::Result<_>>()?,
        error: None,
        simulated: false,
        cached: false,
        provenance,
    })
}
