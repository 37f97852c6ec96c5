//! What Chai-1 left behind for one complex: a structure and an archive of scores for each sample. A ligand it could
//! not read is left out without a word, so the chains of the structure are counted.

use crate::{
    Reading, Stage,
    files::{Npz, has_content},
    log,
    stage::record_id,
};
use domain::{Item, ItemError, Scores};
use std::path::{Path, PathBuf};

/// Where the item's models go; Chai wants a folder that is not there or empty.
pub(super) fn output(stage: &Stage, item: &Item) -> PathBuf {
    stage.folder.join(format!("{}_out", record_id(item)))
}

pub(super) fn read(stage: &Stage, item: &Item, log: &str, ended: Option<bool>) -> Reading {
    let index = item.index;
    if ended.is_none() {
        return Reading::Unfinished { index, hint: None };
    }
    let failed = |code: &str, message: &str| Reading::Failed { index, error: ItemError::new(code, message.to_owned()) };
    let wanted = stage.run.parameters["num_diffn_samples"].as_u64().unwrap_or(1);
    let samples: Vec<_> = (0..wanted).filter_map(|i| Sample::read(&output(stage, item), i)).collect();
    if samples.len() as u64 == wanted
        && let Some(best) = samples.into_iter().max_by(|a, b| a.aggregate.total_cmp(&b.aggregate))
    {
        let expected = stage.run.input["chains"].as_array().map_or(0, Vec::len) + 1;
        return match std::fs::read_to_string(&best.cif).ok().and_then(|cif| chem::chain_count(&cif).ok()) {
            Some(chains) if chains == expected => best.done(index),
            Some(_) => failed("ligand_dropped", "Chai-1 could not read the ligand and folded the target alone"),
            None => failed("bad_structure", "the structure that Chai-1 wrote cannot be read"),
        };
    }
    if log::lines(log).any(|line| line.contains("out of memory")) {
        return failed("out_of_memory", "the complex does not fit into the GPU's memory");
    }
    match log::lines(log).find(|line| line.contains("UnsupportedInputError")) {
        Some(reason) => failed("model_refused", &format!("Chai-1 refused it: {reason}")),
        None => Reading::Unfinished { index, hint: log::hint(log, stage.folder) },
    }
}

/// One of the structures Chai sampled. They are not in the order of their scores.
struct Sample {
    aggregate: f64,
    scores: Scores,
    simulated: bool,
    cif: PathBuf,
    npz: PathBuf,
}

impl Sample {
    fn read(folder: &Path, i: u64) -> Option<Self> {
        let (cif, npz) =
            (folder.join(format!("pred.model_idx_{i}.cif")), folder.join(format!("scores.model_idx_{i}.npz")));
        if !has_content(&cif) {
            return None;
        }
        let mut archive = Npz::open(&npz)?;
        let aggregate = *archive.numbers("aggregate_score")?.first()?;
        let mut scores = Scores::default();
        scores.set("aggregate_score", Some(aggregate));
        scores.set("confidence", Some(aggregate));
        for (name, array) in [("ptm_score", "ptm"), ("iptm_score", "iptm")] {
            scores.set(name, archive.numbers(array).and_then(|values| values.first().copied()));
        }
        for (chain, ptm) in archive.numbers("per_chain_ptm").into_iter().flatten().enumerate() {
            scores.set(&format!("chain_ptm_{chain}"), Some(ptm));
        }
        let clash = archive.flags("has_inter_chain_clashes").and_then(|values| values.first().copied());
        scores.set("has_inter_chain_clashes", clash.map(|clash| f64::from(u8::from(clash))));
        let simulated = archive.has("simulated");
        Some(Sample { aggregate, scores, simulated, cif, npz })
    }

    fn done(self, index: u32) -> Reading {
        let files = vec![("cif", self.cif), ("scores", self.npz)];
        Reading::Done { index, scores: self.scores, files, simulated: self.simulated }
    }
}
