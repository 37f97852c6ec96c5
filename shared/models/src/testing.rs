//! What the tests of several models share: a run, its items, and a stage in a scratch folder.

use crate::{Accelerator, Stage, Tools};
use domain::{Item, Run};
use serde_json::{Value, json};
use std::path::Path;

pub fn run(model: &str, input: Value, parameters: Value) -> Run {
    let at = "2026-01-01T00:00:00.000Z";
    let ranking = json!({"score": "affinity_prob", "direction": "descending"});
    let progress = json!({"total": 0, "completed": 0, "failed": 0, "running": 0, "percent": 0.0, "milestone": 0});
    serde_json::from_value(json!({
        "job_id": "batch_0123456789abcdefghjkmnpq", "uid": "u1", "job_type": "batch_parent", "status": "running",
        "model": model, "model_version": "1", "created_at": at, "source": "api", "input": input, "input_files": [],
        "parameters": parameters, "target_residues": 20, "items": 3, "rejected": 0, "priority": "normal",
        "strategy": "adaptive", "ranking": ranking, "dispatchable": false, "progress": progress, "progress_at": at,
        "cost": {"estimated_usd": null, "actual_usd": 0.0, "gpu_seconds": 0.0}, "nudges": 0,
    }))
    .unwrap()
}

pub fn items(smiles: &[&str]) -> Vec<Item> {
    let item = |(i, smiles): (usize, &&str)| {
        let row = i + 1;
        serde_json::from_value(json!({"index": row, "row": row, "name": format!("n{row}"), "smiles": smiles})).unwrap()
    };
    smiles.iter().enumerate().map(item).collect()
}

pub fn designs(count: u32) -> Vec<Item> {
    let item = |n: u32| serde_json::from_value(json!({"index": n, "row": n, "name": format!("design {n}")})).unwrap();
    (1..=count).map(item).collect()
}

pub fn tools() -> Tools {
    let tool = |name: &str| vec![name.to_owned()];
    Tools {
        boltz: tool("boltz"),
        chai: tool("chai-lab"),
        rfdiffusion: tool("rfdiffusion"),
        proteinmpnn: tool("proteinmpnn"),
        rf2: tool("rf2"),
        accelerator: Accelerator::Gpu,
        boltz_cache: None,
        boltz_extra: vec![],
    }
}

pub fn stage<'a>(folder: &'a Path, run: &'a Run, items: &'a [Item], tools: &'a Tools) -> Stage<'a> {
    Stage { folder, files: Path::new("/files"), run, items, tools }
}
