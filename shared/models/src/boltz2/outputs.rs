//! What Boltz-2 left behind. It exits with 0 when every input was refused and with 1 when one ran out of memory, so
//! each item is judged by its own two JSON files; where they are missing, the log says why, or the item is run again.

use super::wants_affinity;
use crate::{
    Reading, Stage,
    files::{Npz, has_content, json_object},
    log,
    stage::record_id,
};
use domain::{Item, ItemError, Scores};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// The folder of inputs; the output folder takes its name from it.
pub(super) const COMPLEXES: &str = "complexes";
pub(super) const OUT: &str = "out";

const OUT_OF_MEMORY: &str = "ran out of memory, skipping batch";
/// How Lightning's progress bar begins once there is something to predict.
pub(super) const FIRST_PROGRESS: &str = "Predicting DataLoader 0:";
/// Printed between the structures and the affinities.
const SECOND_PHASE: &str = "Predicting property: affinity";
/// Printed at the end of a phase that came through.
const PHASE_ENDED: &str = "Number of failed examples:";
/// How the reading of one input tells that it failed.
const UNREAD: &str = "Failed to process ";
/// How the preparation of one record tells that it failed; the record before the first is then run in its place.
const NOT_PREPARED: [&str; 4] =
    ["Featurizer failed on", "Tokenizer failed on", "Cropper failed on", "Molecule loading failed for"];

/// Names of our scores and of Boltz's, by file.
const AFFINITY: [(&str, &str); 8] = [
    ("affinity", "affinity_pred_value"),
    ("affinity_prob", "affinity_probability_binary"),
    ("ens_affinity", "affinity_pred_value"),
    ("ens_prob", "affinity_probability_binary"),
    ("ens_aff_1", "affinity_pred_value1"),
    ("ens_prob_1", "affinity_probability_binary1"),
    ("ens_aff_2", "affinity_pred_value2"),
    ("ens_prob_2", "affinity_probability_binary2"),
];
const CONFIDENCE: [(&str, &str); 9] = [
    ("confidence", "confidence_score"),
    ("iptm_score", "iptm"),
    ("ligand_iptm", "ligand_iptm"),
    ("ptm_score", "ptm"),
    ("complex_plddt", "complex_plddt"),
    ("complex_iplddt", "complex_iplddt"),
    ("complex_pde", "complex_pde"),
    ("complex_ipde", "complex_ipde"),
    ("plddt_score", "complex_plddt"),
];

pub(super) fn read(stage: &Stage, log: &str, ended: Option<bool>) -> Vec<Reading> {
    let log = if ended.is_some() { log } else { whole_lines(log) };
    let found: Vec<_> = stage.items.iter().map(|item| Found::look(stage, item, log, ended)).collect();
    let story = Story::of(log, &found);
    found.into_iter().map(|found| found.judge(stage, log, &story, ended)).collect()
}

/// What lies there for one item.
struct Found {
    index: u32,
    confidence: Option<Map<String, Value>>,
    affinity: Option<Map<String, Value>>,
    cif: PathBuf,
    folder: PathBuf,
    id: String,
    complete: bool,
    /// Why Boltz refused it, in its own words.
    refused: Option<String>,
}

impl Found {
    fn look(stage: &Stage, item: &Item, log: &str, ended: Option<bool>) -> Self {
        let id = record_id(item);
        let folder = stage.folder.join(OUT).join(format!("boltz_results_{COMPLEXES}")).join("predictions").join(&id);
        let cif = folder.join(format!("{id}_model_0.cif"));
        let confidence = json_object(&folder.join(format!("confidence_{id}_model_0.json")));
        let confidence = confidence.filter(|_| has_content(&cif));
        let affinity = json_object(&folder.join(format!("affinity_{id}.json")));
        let affinity = affinity.filter(|affinity| affinity.contains_key("affinity_pred_value"));
        let complete = match (&confidence, wants_affinity(stage)) {
            (None, _) => false,
            (Some(_), true) => affinity.is_some(),
            // Boltz writes more files after the confidence: while it runs, the next one must be there too.
            (Some(_), false) => ended.is_some() || Npz::open(&plddt(&folder, &id)).is_some(),
        };
        let refused = refusal(log, &id).filter(|_| !complete);
        Found { index: item.index, confidence, affinity, cif, folder, id, complete, refused }
    }

    fn judge(self, stage: &Stage, log: &str, story: &Story, ended: Option<bool>) -> Reading {
        let index = self.index;
        let failed = |code: &str, message: String| Reading::Failed { index, error: ItemError::new(code, message) };
        if self.complete {
            return self.done();
        }
        if let Some(reason) = self.refused {
            return failed("model_refused", in_words(&reason));
        }
        if ended.is_none() {
            return Reading::Unfinished { index, hint: None };
        }
        let (part, explained) = match self.confidence {
            None => ("structure", story.structures_explained),
            Some(_) => ("affinity", story.affinities_explained),
        };
        if explained {
            return failed("out_of_memory", format!("the complex does not fit into the GPU's memory ({part})"));
        }
        Reading::Unfinished { index, hint: log::hint(log, stage.folder) }
    }

    fn done(self) -> Reading {
        let mut scores = Scores::default();
        let (confidence, affinity) = (self.confidence.unwrap_or_default(), self.affinity.unwrap_or_default());
        for (table, values) in [(CONFIDENCE.as_slice(), &confidence), (AFFINITY.as_slice(), &affinity)] {
            for (name, key) in table {
                scores.set(name, values.get(*key).and_then(Value::as_f64));
            }
        }
        let simulated = [&confidence, &affinity].iter().any(|values| values.get("simulated") == Some(&true.into()));
        let (folder, id) = (&self.folder, &self.id);
        let mut files = vec![("cif", self.cif.clone())];
        files.push(("confidence", folder.join(format!("confidence_{id}_model_0.json"))));
        if !affinity.is_empty() {
            files.push(("affinity", folder.join(format!("affinity_{id}.json"))));
        }
        if Npz::open(&plddt(folder, id)).is_some() {
            files.push(("plddt", plddt(folder, id)));
        }
        Reading::Done { index: self.index, scores, files, simulated }
    }
}

/// A running process may be in the middle of a line.
fn whole_lines(log: &str) -> &str {
    log.rfind('\n').map_or("", |end| &log[..end])
}

fn plddt(folder: &Path, id: &str) -> PathBuf {
    folder.join(format!("plddt_{id}_model_0.npz"))
}

/// What the log tells about all items together. The message of a lack of memory names no record, so it explains the
/// missing ones only if the phase came to its end and there are as many messages as gaps.
struct Story {
    structures_explained: bool,
    affinities_explained: bool,
}

impl Story {
    fn of(log: &str, found: &[Found]) -> Self {
        let (structures, affinities) = match log.split_once(SECOND_PHASE) {
            Some((first, second)) => (first, second),
            None => (log, ""),
        };
        let gaps = |has_structure: bool| {
            let gap = |f: &&Found| !f.complete && f.refused.is_none() && f.confidence.is_some() == has_structure;
            found.iter().filter(gap).count()
        };
        let explained =
            |phase: &str, gaps: usize| phase.contains(PHASE_ENDED) && phase.matches(OUT_OF_MEMORY).count() >= gaps;
        Story {
            structures_explained: explained(structures, gaps(false)),
            affinities_explained: explained(affinities, gaps(true)),
        }
    }
}

/// Why Boltz left a record out: its input could not be read, or its features not be made.
fn refusal(log: &str, id: &str) -> Option<String> {
    let name = format!("{id}.yaml. Skipping. Error: ");
    // Several processes read the inputs, and one may print before another has ended its line.
    let unread = log.lines().find_map(|line| {
        let reason = line.split_once(&name)?.1.split(UNREAD).next()?;
        Some(reason.trim().trim_end_matches('.').to_owned())
    });
    let unprepared = || {
        log.lines().find_map(|line| {
            let told = NOT_PREPARED.iter().find_map(|start| line.split_once(start))?.1;
            let reason = told.trim_start().strip_prefix(id)?.strip_prefix(" with error ")?;
            Some(reason.trim_end().trim_end_matches("Skipping.").trim_end().trim_end_matches('.').to_owned())
        })
    };
    unread.or_else(unprepared)
}

/// Boltz's own words, with a chemist's words before those that only a programmer understands.
fn in_words(reason: &str) -> String {
    let meaning = match reason {
        "'NoneType' object has no attribute 'GetAtoms'" => "the SMILES cannot be read",
        "Molecule is excluded" => "the ligand holds an element the affinity module does not know",
        _ if reason.starts_with("Pre-condition Violation") => "the ligand is in several pieces (a salt?)",
        _ => return format!("Boltz-2 refused it: {reason}"),
    };
    format!("Boltz-2 refused it: {meaning} ({reason})")
}
