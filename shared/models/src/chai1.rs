//! Chai-1: the structure of one complex of proteins, nucleic acids and a ligand. One process folds one complex and
//! loads the model each time; of its samples the one with the highest aggregate score is kept.

use crate::{
    Accelerator, Accepted, FieldError, ItemKind, Limit, Model, ModelCard, Reading, Request, Stage, Step,
    card::{Better, ScoreCard, score},
    files::{Npz, has_content},
    inputs::{Inputs, protein, unknown},
    log,
    parameters::{self, MAX_SEED, Parameter, flag, whole},
    stage::{record_id, text},
};
use domain::{CostProfile, Item, ItemError, Ranking, Scores, SortDirection};
use serde_json::{Value, json};
use std::{
    fmt::Write,
    io,
    path::{Path, PathBuf},
};

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

const SCORES: [ScoreCard; 5] = [
    score("aggregate_score", "", Better::Higher, "0.2 ptm + 0.8 iptm - 100 where chains clash; confidence is the same"),
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
            ranking: self.ranking(),
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
    fn profile(&self, target_residues: u32, heavy_atoms: u32) -> CostProfile {
        let tokens = f64::from(target_residues) + f64::from(heavy_atoms);
        CostProfile { load_seconds: 20.0, item_seconds: 80.0 + 40.0 * (tokens / 330.0).powi(2) }
    }

    fn ranking(&self) -> Ranking {
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
        stage.items.iter().map(|item| read_item(stage, item, log, ended)).collect()
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
    let mut arguments = vec!["fold".to_owned(), text(fasta), text(&output(stage, item))];
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

/// Where the item's models go; Chai wants a folder that is not there or empty.
fn output(stage: &Stage, item: &Item) -> PathBuf {
    stage.folder.join(format!("{}_out", record_id(item)))
}

fn read_item(stage: &Stage, item: &Item, log: &str, ended: Option<bool>) -> Reading {
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
mod tests {
    use super::*;
    use crate::testing::{items, run, stage, tools};
    use std::fs;

    fn accept(inputs: Value) -> Result<Accepted, Vec<FieldError>> {
        Chai1.accept(&Request { protein_sequence: None, inputs: &inputs, parameters: &Value::Null })
    }

    fn cif(chains: &[&str]) -> String {
        let columns = ["group_PDB", "id", "type_symbol", "label_atom_id", "label_comp_id", "label_asym_id"];
        let more = ["label_seq_id", "auth_asym_id", "auth_seq_id", "Cartn_x", "Cartn_y", "Cartn_z"];
        let header: String = columns.iter().chain(&more).map(|column| format!("_atom_site.{column}\n")).collect();
        let atom = |(i, chain): (usize, &&str)| format!("ATOM {i} C CA ALA {chain} 1 {chain} 1 1.0 2.0 3.0\n");
        let atoms: String = chains.iter().enumerate().map(atom).collect();
        format!("data_x\n#\nloop_\n{header}{atoms}#\n")
    }

    /// Reads a folder with one sample whose structure has these chains.
    fn read(chains: Option<&[&str]>, log: &str, ended: Option<bool>) -> Reading {
        let folder = tempfile::tempdir().unwrap();
        let request = json!({"num_diffn_samples": 1});
        let accepted = Chai1
            .accept(&Request { protein_sequence: Some("GSHMEAVKLL"), inputs: &Value::Null, parameters: &request })
            .unwrap();
        let run = run("chai1", accepted.input, accepted.parameters);
        let (items, tools) = (items(&["CCO"]), tools());
        if let Some(chains) = chains {
            let out = folder.path().join("i0000001_out");
            fs::create_dir(&out).unwrap();
            fs::write(out.join("pred.model_idx_0.cif"), cif(chains)).unwrap();
            let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/chai1/scores.npz");
            fs::copy(fixture, out.join("scores.model_idx_0.npz")).unwrap();
        }
        Chai1.read(&stage(folder.path(), &run, &items, &tools), log, ended).remove(0)
    }

    #[test]
    fn chais_own_scores_are_read() {
        let Reading::Done { scores, files, simulated, .. } = read(Some(&["A", "B"]), "", Some(true)) else {
            panic!("it is done")
        };
        let (ptm, iptm) = (scores.get("ptm_score").unwrap(), scores.get("iptm_score").unwrap());
        let clash = scores.get("has_inter_chain_clashes").unwrap();
        let aggregate = 0.2 * ptm + 0.8 * iptm - 100.0 * clash;
        assert!((scores.get("aggregate_score").unwrap() - aggregate).abs() < 1e-4);
        assert!(scores.get("chain_ptm_1").is_some() && scores.get("affinity_prob").is_none());
        assert_eq!(files.iter().map(|file| file.0).collect::<Vec<_>>(), ["cif", "scores"]);
        assert!(!simulated);
    }

    #[test]
    fn a_ligand_that_chai_left_out_is_a_failure_and_not_a_result() {
        let Reading::Failed { error, .. } = read(Some(&["A"]), "", Some(true)) else { panic!("it failed") };
        assert_eq!(error.code, "ligand_dropped");
    }

    #[test]
    fn what_chai_says_decides_where_it_left_nothing() {
        let code = |log: &str| match read(None, log, Some(false)) {
            Reading::Failed { error, .. } => error.code,
            Reading::Unfinished { hint, .. } => format!("again: {}", hint.unwrap().message),
            Reading::Done { .. } => panic!("there is nothing"),
        };
        assert_eq!(code("torch.OutOfMemoryError: CUDA out of memory.\n"), "out_of_memory");
        assert_eq!(code("UnsupportedInputError: Too many tokens in input: 2050 > 2048.\n"), "model_refused");
        assert_eq!(code("RuntimeError: device-side assert\n"), "again: RuntimeError: device-side assert");
        assert!(matches!(read(Some(&["A", "B"]), "", None), Reading::Unfinished { hint: None, .. }));
    }

    #[test]
    fn several_chains_are_folded_with_the_ligand() {
        let accepted =
            accept(json!({"chains": [{"sequence": "gshmeavkll"}, {"type": "dna", "sequence": "acgt"}]})).unwrap();
        assert_eq!(accepted.target_residues, 14);
        let run = run("chai1", accepted.input, accepted.parameters);
        let folder = tempfile::tempdir().unwrap();
        let (items, tools) = (items(&["CCO"]), tools());
        let steps = Chai1.stage(&stage(folder.path(), &run, &items, &tools)).unwrap();
        let fasta = fs::read_to_string(folder.path().join("i0000001.fasta")).unwrap();
        assert_eq!(fasta, ">protein|name=chain0\nGSHMEAVKLL\n>dna|name=chain1\nACGT\n>ligand|name=ligand\nCCO\n");
        assert!(steps[0].program.contains(&"--low-memory".to_owned()));
        assert_eq!(steps.len(), 1);
    }

    #[test]
    fn a_chain_that_cannot_be_folded_is_refused_by_its_place() {
        let chains = json!({"chains": [{"sequence": "GSHMEAVKLL"}, {"type": "rna", "sequence": "ACGT"}, {"type": "sugar",
            "sequence": "X"}, {"kind": "protein"}]});
        let pointers: Vec<_> = accept(chains).unwrap_err().into_iter().map(|error| error.pointer).collect();
        let expected = ["/inputs/chains/1/sequence", "/inputs/chains/2/type", "/inputs/chains/3/kind"];
        assert_eq!(pointers[..3], expected);
        assert_eq!(accept(json!({"chains": []})).unwrap_err()[0].pointer, "/inputs/chains");
        let long = json!({"chains": [{"sequence": "A".repeat(1000)}, {"sequence": "A".repeat(1000)}]});
        assert_eq!(accept(long).unwrap_err()[0].pointer, "/inputs/chains");
    }
}
