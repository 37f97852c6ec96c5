//! Chai-1: the structure of one complex of proteins, nucleic acids and a ligand. One process folds one complex and
//! loads the model each time; of its samples the one with the highest aggregate score is kept.

mod outputs;

use crate::{
    Accelerator, Accepted, FieldError, ItemKind, Limit, Model, ModelCard, Reading, Request, Stage, Step,
    card::{Better, ScoreCard, score},
    inputs::{Inputs, protein, unknown},
    parameters::{self, MAX_SEED, Parameter, flag, whole},
    stage::{record_id, text},
};
use domain::{CostProfile, Item, Ranking, SortDirection};
use serde_json::{Value, json};
use std::{fmt::Write, io, path::Path};

pub(crate) struct Chai1;

/// The largest size the model was exported for is 2,048 tokens; the ligand takes up to 128 of them.
const MOST_RESIDUES: usize = 1920;
const MOST_CHAINS: usize = 20;

const PARAMETERS: [Parameter; 6] = [
    whole("num_trunk_recycles", 3, 1, 20, "Recycling steps of the trunk"),
    whole("num_diffn_timesteps", 200, 10, 1000, "Diffusion steps"),
    whole("num_diffn_samples", 5, 1, 25, "Structures sampled; the one with the best aggregate score is kept"),
    flag("use_esm_embeddings", true, "Use the embeddings of a protein language model, which stand in for an alignment"),
    flag("low_memory", true, "Move parts of the model off the GPU while they are not used"),
    whole("seed", 1, 0, MAX_SEED, "Of the random numbers"),
];

const SCORES: [ScoreCard; 6] = [
    score("aggregate_score", "", Better::Higher, "0.2 ptm + 0.8 iptm, less 100 where chains clash"),
    score("confidence", "", Better::Higher, "The same as aggregate_score"),
    score("iptm_score", "", Better::Higher, "Predicted TM score over the interfaces, 0 to 1"),
    score("ptm_score", "", Better::Higher, "Predicted TM score of the complex, 0 to 1"),
    score("has_inter_chain_clashes", "", Better::Lower, "1 where atoms of two chains overlap, else 0"),
    score("chain_ptm_0", "", Better::Higher, "Predicted TM score of the first chain, then chain_ptm_1 and so on"),
];

const NOTES: [&str; 2] =
    ["No affinity is predicted.", "No alignment is used; the language model's embeddings stand in for it."];

impl Model for Chai1 {
    fn name(&self) -> &'static str {
        "chai1"
    }

    fn version(&self) -> &'static str {
        "0.6.1"
    }

    fn card(&self) -> ModelCard {
        ModelCard {
            name: self.name(),
            version: self.version(),
            title: "Chai-1",
            predicts: "The structure of a complex of proteins, RNA or DNA with a ligand.",
            item: ItemKind::Ligand,
            inputs: inputs_schema(),
            parameters: parameters::schema(&PARAMETERS),
            limits: vec![
                Limit { name: "target_residues", most: MOST_RESIDUES as u32, reason: "2,048 tokens in all" },
                Limit { name: "chains", most: MOST_CHAINS as u32, reason: "so that every chain has a short name" },
            ],
            scores: SCORES.to_vec(),
            ranking: self.ranking(&Value::Null),
            notes: NOTES.to_vec(),
        }
    }

    fn accept(&self, request: &Request) -> Result<Accepted, Vec<FieldError>> {
        let mut inputs = Inputs::new(request, &["protein_sequence", "chains"]);
        let chains = match inputs.get("chains") {
            Some(_) if request.protein_sequence.is_some() => {
                inputs.fault("chains", "was given beside protein_sequence; give one of them");
                vec![]
            }
            Some(given) => chains(given, &mut inputs.errors),
            None => {
                let protein = inputs.protein(MOST_RESIDUES);
                protein.into_iter().map(|protein| ("protein", protein.as_str().to_owned())).collect()
            }
        };
        let residues: usize = chains.iter().map(|(_, sequence)| sequence.len()).sum();
        if residues > MOST_RESIDUES {
            inputs.fault("chains", format!("have {residues} residues together; {MOST_RESIDUES} is the most"));
        }
        let parameters = parameters::canonical(&PARAMETERS, request.parameters, &mut inputs.errors);
        if !inputs.errors.is_empty() {
            return Err(inputs.errors);
        }
        let chains: Vec<_> =
            chains.iter().map(|(kind, sequence)| json!({"type": kind, "sequence": sequence})).collect();
        let input = json!({"chains": chains});
        Ok(Accepted { input, files: vec![], parameters, target_residues: residues as u32, designs: None })
    }

    /// 20 s for the task itself; per complex 60 s to load the model, which happens each time, and 60 s at 300
    /// residues, growing with the square of the tokens. A guess, to be replaced by measured times.
    fn profile(&self, target_residues: u32, heavy_atoms: u32, _parameters: &Value) -> CostProfile {
        let tokens = f64::from(target_residues) + f64::from(heavy_atoms);
        CostProfile { load_seconds: 20.0, item_seconds: 80.0 + 40.0 * (tokens / 330.0).powi(2) }
    }

    fn ranking(&self, _parameters: &Value) -> Ranking {
        Ranking { score: "aggregate_score".to_owned(), direction: SortDirection::Descending }
    }

    fn histogram_of(&self) -> Option<&'static str> {
        Some("iptm_score")
    }

    fn group(&self) -> usize {
        1
    }

    fn stage(&self, stage: &Stage) -> io::Result<Vec<Step>> {
        let mut steps = vec![];
        for item in stage.items {
            let fasta = stage.folder.join(format!("{}.fasta", record_id(item)));
            std::fs::write(&fasta, complex(stage, item)?)?;
            steps.push(Step::new(stage, &stage.tools.chai, arguments(stage, item, &fasta)));
        }
        Ok(steps)
    }

    fn read(&self, stage: &Stage, log: &str, ended: Option<bool>) -> Vec<Reading> {
        stage.items.iter().map(|item| outputs::read(stage, item, log, ended)).collect()
    }
}

/// The complex in Chai's FASTA.
fn complex(stage: &Stage, item: &Item) -> io::Result<String> {
    let smiles = item.smiles.as_deref();
    let smiles = smiles.ok_or_else(|| io::Error::other(format!("item {} has no ligand", item.index)))?;
    let mut fasta = String::new();
    for (i, chain) in stage.run.input["chains"].as_array().into_iter().flatten().enumerate() {
        let (kind, sequence) = (chain["type"].as_str(), chain["sequence"].as_str());
        let (kind, sequence) = (kind.unwrap_or_default(), sequence.unwrap_or_default());
        // Writing into a string cannot fail.
        let _ = writeln!(fasta, ">{kind}|name=chain{i}\n{sequence}");
    }
    let _ = writeln!(fasta, ">ligand|name=ligand\n{smiles}");
    Ok(fasta)
}

fn arguments(stage: &Stage, item: &Item, fasta: &Path) -> Vec<String> {
    let parameters = &stage.run.parameters;
    let mut arguments = vec!["fold".to_owned(), text(fasta), text(&outputs::output(stage, item))];
    let mut option = |name: &str, value: String| arguments.extend([format!("--{name}"), value]);
    for name in ["num_trunk_recycles", "num_diffn_timesteps", "num_diffn_samples", "seed"] {
        option(&name.replace('_', "-"), parameters[name].to_string());
    }
    let device = if stage.tools.accelerator == Accelerator::Gpu { "cuda:0" } else { "cpu" };
    option("device", device.to_owned());
    for name in ["use_esm_embeddings", "low_memory"] {
        let no = if parameters[name] == Value::Bool(true) { "" } else { "no-" };
        arguments.push(format!("--{no}{}", name.replace('_', "-")));
    }
    arguments
}

/// The chains in canonical form, each with its type; faults are added to `errors`.
fn chains(given: &Value, errors: &mut Vec<FieldError>) -> Vec<(&'static str, String)> {
    let list = given.as_array().filter(|list| (1..=MOST_CHAINS).contains(&list.len()));
    let Some(list) = list else {
        errors.push(FieldError::new("/inputs/chains", format!("must be a list of 1 to {MOST_CHAINS} chains")));
        return vec![];
    };
    let chain = |(i, chain): (usize, &Value)| {
        let at = format!("/inputs/chains/{i}");
        unknown(&at, chain.as_object(), &["type", "sequence"], errors);
        let Some(sequence) = chain["sequence"].as_str() else {
            errors.push(FieldError::new(format!("{at}/sequence"), "is missing"));
            return None;
        };
        match chain.get("type").map_or(Some("protein"), Value::as_str) {
            Some("protein") => {
                let protein = protein(&format!("{at}/sequence"), sequence, MOST_RESIDUES, errors)?;
                Some(("protein", protein.as_str().to_owned()))
            }
            Some("rna") => nucleic("rna", "ACGU", sequence, &at, errors),
            Some("dna") => nucleic("dna", "ACGT", sequence, &at, errors),
            _ => {
                errors.push(FieldError::new(format!("{at}/type"), "must be protein, rna or dna"));
                None
            }
        }
    };
    list.iter().enumerate().filter_map(chain).collect()
}

fn nucleic(
    kind: &'static str,
    letters: &str,
    sequence: &str,
    at: &str,
    errors: &mut Vec<FieldError>,
) -> Option<(&'static str, String)> {
    let sequence = sequence.trim().to_ascii_uppercase();
    if sequence.is_empty() || sequence.chars().any(|letter| !letters.contains(letter)) {
        errors.push(FieldError::new(format!("{at}/sequence"), format!("must be {kind} in the letters {letters}")));
        return None;
    }
    Some((kind, sequence))
}

fn inputs_schema() -> Value {
    let kind = json!({"type": "string", "enum": ["protein", "rna", "dna"], "default": "protein"});
    let chain = json!({"type": "object", "additionalProperties": false, "required": ["sequence"],
        "properties": {"type": kind, "sequence": {"type": "string", "minLength": 1}}});
    json!({"type": "object", "additionalProperties": false, "properties": {
        "protein_sequence": {"type": "string", "description": "The target, if it is one protein"},
        "chains": {"type": "array", "minItems": 1, "maxItems": MOST_CHAINS, "items": chain,
            "description": "The target, if it has several chains; each copy is listed"},
    }})
}

#[cfg(test)]
mod tests;
