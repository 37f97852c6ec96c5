//! A batch as the workers leave it: shards that are done, each with its input and a report as Boltz-2's worker writes it.

use crate::Outcome as Outcomes;
use domain::{
    Item, ItemError, LigandHash, Molecule, Outcome, OutcomeStatus, Report, Run, Scores, Shard, Timestamp, Uid,
};
use futures::{StreamExt, TryStreamExt, stream};
use platform::{Blobs, Clock, Docs, PutOptions, Write};
use serde_json::{Value, json};
use service::{places, runs::shards::ShardInput};
use std::collections::BTreeMap;

pub const PER_SHARD: u32 = 50;
/// Shards made up at once, and committed at once.
const GROUP: u32 = 200;

/// A batch of so many ligands, in whole shards; `members` are put over those of its document.
pub fn run(ligands: u32, members: &Value) -> Outcomes<Run> {
    let at = "2026-01-01T00:00:00Z";
    let progress = json!({"total": ligands, "completed": 0, "failed": 0, "running": 0, "percent": 0.0, "milestone": 0});
    let plan = json!({"shards": ligands.div_ceil(PER_SHARD), "items": ligands, "gpu_seconds": 1.0, "seconds": 1.0,
        "ready": true});
    let mut document = json!({
        "job_id": "batch_0123456789abcdefghjkmnpq", "uid": "u1", "job_type": "batch_parent", "status": "aggregating",
        "name": null, "model": "boltz2", "model_version": "2.2.1", "created_at": at, "started_at": at,
        "completed_at": null, "source": "api", "input": {}, "ligand_smiles": null, "input_files": [], "parameters": {},
        "target_residues": 300, "items": ligands, "rejected": 0, "priority": "normal", "strategy": "adaptive",
        "ranking": {"score": "affinity_prob", "direction": "descending"}, "plan": plan, "dispatchable": false,
        "progress": progress, "progress_at": at, "nudges": 0,
        "cost": {"estimated_usd": 0.0, "actual_usd": 0.0, "gpu_seconds": 0.0},
    });
    for (name, value) in members.as_object().into_iter().flatten() {
        document[name] = value.clone();
    }
    Ok(serde_json::from_value(document)?)
}

/// Whose runs are made up.
pub fn user() -> Outcomes<Uid> {
    Ok(Uid::named("u1".to_owned())?)
}

/// Writes the run and all its shards.
pub async fn write(docs: &Docs, blobs: &Blobs, run: &Run) -> Outcomes<()> {
    let now: Timestamp = Clock::system().now().into();
    blobs.put_bytes(&places::rejected(&run.uid, &run.job_id)?, "", PutOptions::default()).await?;
    let shards: Vec<u32> = (0..run.items.div_ceil(PER_SHARD)).collect();
    for group in shards.chunks(GROUP as usize) {
        let write = |shard: u32| write_shard(blobs, run, shard, now);
        let documents = stream::iter(group.iter().copied().map(write)).buffered(4).try_collect::<Vec<_>>().await?;
        let create = |shard: &Shard| Write::create(places::shard(&run.uid, &run.job_id, shard.shard), shard);
        docs.commit(documents.iter().map(create).collect::<platform::Result<_>>()?).await?;
    }
    Ok(docs.create(&places::job(&run.uid, &run.job_id), run).await?)
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

/// A ligand of a library.
pub fn item(index: u32) -> Item {
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
pub fn outcome(run: &Run, shard: u32, index: u32) -> platform::Result<Outcome> {
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
    let smiles = item(index).smiles.unwrap_or_default();
    let molecule =
        Molecule { key: u64::from(index).wrapping_mul(0x9e37_79b9_7f4a_7c15), canonical: LigandHash::of(&smiles) };
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
        molecule: Some(molecule),
        provenance,
    })
}
