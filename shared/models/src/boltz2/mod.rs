//! Boltz-2: the structure of a protein with a ligand, and how strongly the ligand binds. One process takes a folder
//! of complexes and loads the model once for all structures and once for all affinities.

mod outputs;

use crate::{
    Accelerator, Accepted, FieldError, ItemKind, Limit, Model, ModelCard, Reading, Request, Stage, Step,
    card::{Better, ScoreCard, score},
    inputs::{Inputs, unknown},
    parameters::{self, MAX_SEED, Parameter, flag, whole},
    request::member,
    stage::{record_id, text},
};
use domain::{CostProfile, Item, Ranking, SortDirection};
use serde_json::{Map, Value, json};
use std::{collections::BTreeSet, io, path::Path};

pub(crate) struct Boltz2;

/// Residues that fit into the 24 GB of an L4, as users report.
const MOST_RESIDUES: usize = 1300;
/// Bytes of an alignment.
const MOST_MSA: usize = 64 << 20;
/// The input file that holds the target's alignment.
const MSA: &str = "msa.a3m";
/// Å within which a pocket's residue counts as touching, unless the user says otherwise.
const POCKET_DISTANCE: f64 = 6.0;
/// The chains of every complex. A ligand of the protein's name would replace the protein.
const PROTEIN: &str = "A";
const LIGAND: &str = "B";

const PARAMETERS: [Parameter; 9] = [
    flag("affinity", true, "Predict the affinity too; without it only the structure is predicted"),
    whole("sampling_steps", 200, 5, 1000, "Diffusion steps of the structure"),
    whole("diffusion_samples", 1, 1, 25, "Structures sampled for each ligand; the most confident one is kept"),
    whole("recycling_steps", 3, 0, 20, "Recycling steps of the trunk"),
    whole("sampling_steps_affinity", 200, 5, 1000, "Diffusion steps of the affinity"),
    whole("diffusion_samples_affinity", 5, 1, 25, "Samples of the affinity"),
    flag("affinity_mw_correction", false, "Correct the affinity for the ligand's molecular weight"),
    flag("use_potentials", false, "Steer the structure with physical potentials"),
    whole("seed", 1, 0, MAX_SEED, "Of the random numbers"),
];

const SCORES: [ScoreCard; 18] = [
    score("affinity_prob", "", Better::Higher, "Probability that the ligand binds at all, 0 to 1: for finding hits"),
    score("affinity", "log10(IC50 in uM)", Better::Lower, "Strength of binding: for ranking among binders"),
    score("pic50", "-log10(IC50 in M)", Better::Higher, "6 - affinity"),
    score("ens_affinity", "log10(IC50 in uM)", Better::Lower, "The same as affinity: the mean of both models"),
    score("ens_prob", "", Better::Higher, "The same as affinity_prob: the mean of both models"),
    score("ens_aff_1", "log10(IC50 in uM)", Better::Lower, "Strength, first model"),
    score("ens_prob_1", "", Better::Higher, "Probability, first model"),
    score("ens_aff_2", "log10(IC50 in uM)", Better::Lower, "Strength, second model"),
    score("ens_prob_2", "", Better::Higher, "Probability, second model"),
    score("confidence", "", Better::Higher, "0.8 complex_plddt + 0.2 iptm, 0 to 1"),
    score("iptm_score", "", Better::Higher, "Predicted TM score over the interface, 0 to 1"),
    score("ligand_iptm", "", Better::Higher, "The same over interfaces with the ligand"),
    score("ptm_score", "", Better::Higher, "Predicted TM score of the complex, 0 to 1"),
    score("complex_plddt", "", Better::Higher, "Mean predicted local accuracy, 0 to 1"),
    score("complex_iplddt", "", Better::Higher, "The same, weighted towards the interface"),
    score("complex_ipde", "A", Better::Lower, "Predicted distance error over the interface"),
    score("complex_pde", "A", Better::Lower, "Predicted distance error over the complex"),
    score("plddt_score", "", Better::Higher, "The same as complex_plddt"),
];

const NOTES: [&str; 4] = [
    "Without an alignment in inputs.msa the target is run as a single sequence, which is less accurate.",
    "Ligands of 57 to 128 heavy atoms are larger than those the affinity was trained on.",
    "The same folder of ligands repeats exactly with a seed; a ligand alone or among others differs a little.",
    "Affinity needs one ligand in one piece: salts are stripped before.",
];

impl Model for Boltz2 {
    fn name(&self) -> &'static str {
        "boltz2"
    }

    fn version(&self) -> &'static str {
        "2.2.1"
    }

    fn card(&self) -> ModelCard {
        ModelCard {
            name: self.name(),
            version: self.version(),
            title: "Boltz-2",
            predicts: "The structure of a protein with a ligand, whether the ligand binds, and how strongly.",
            item: ItemKind::Ligand,
            inputs: inputs_schema(),
            parameters: parameters::schema(&PARAMETERS),
            limits: vec![
                Limit { name: "target_residues", most: MOST_RESIDUES as u32, reason: "memory of the GPU" },
                Limit { name: "ligand_heavy_atoms", most: 128, reason: "the affinity module takes no more" },
            ],
            scores: SCORES.to_vec(),
            ranking: self.ranking(&Value::Null),
            notes: NOTES.to_vec(),
        }
    }

    fn accept(&self, request: &Request) -> Result<Accepted, Vec<FieldError>> {
        let mut inputs = Inputs::new(request, &["protein_sequence", "msa", "pocket"]);
        let protein = inputs.protein(MOST_RESIDUES);
        let msa = inputs.text("msa");
        if let (Some(msa), Some(protein)) = (msa, &protein) {
            if msa.len() > MOST_MSA {
                inputs.fault("msa", format!("has {} bytes; {MOST_MSA} is the most", msa.len()));
            } else if let Err(error) = chem::check_msa(msa, protein) {
                inputs.fault("msa", error.to_string());
            }
        }
        let pocket = inputs.get("pocket").map(|given| {
            let residues = protein.as_ref().map_or(MOST_RESIDUES, |protein| protein.residues());
            pocket(given, residues, &mut inputs.errors)
        });
        let parameters = parameters::canonical(&PARAMETERS, request.parameters, &mut inputs.errors);
        let Some(protein) = protein.filter(|_| inputs.errors.is_empty()) else {
            return Err(inputs.errors);
        };
        let mut input = json!({"protein_sequence": protein.as_str(), "msa": msa.map(|_| MSA)});
        if let Some(pocket) = pocket {
            input["pocket"] = pocket;
        }
        let files = msa.map(|msa| (MSA.to_owned(), msa.to_owned()));
        Ok(Accepted {
            input,
            files: files.into_iter().collect(),
            parameters,
            target_residues: protein.residues() as u32,
            designs: None,
        })
    }

    /// 90 s to load; 30 s for a ligand of 30 atoms at 300 residues. Of these a third does not grow, because the
    /// affinity module works on a crop of 256 tokens; the rest grows with the square of the tokens (residues and
    /// heavy atoms), as pair representations do. Half of each part is taken to be the trunk, which runs once per
    /// recycling, and half the diffusion, which runs once per step and sample. A guess from public reports, to be
    /// replaced by measured times.
    fn profile(&self, target_residues: u32, heavy_atoms: u32, parameters: &Value) -> CostProfile {
        let tokens = f64::from(target_residues) + f64::from(heavy_atoms);
        let times = |name: &str, usual: f64| parameters[name].as_f64().unwrap_or(usual) / usual;
        let trunk = (parameters["recycling_steps"].as_f64().unwrap_or(3.0) + 1.0) / 4.0;
        let structure = 20.0 * (tokens / 330.0).powi(2);
        let diffusion = times("sampling_steps", 200.0) * times("diffusion_samples", 1.0);
        let mut item_seconds = structure * (0.5 * trunk + 0.5 * diffusion);
        if parameters["affinity"] != Value::Bool(false) {
            let diffusion = times("sampling_steps_affinity", 200.0) * times("diffusion_samples_affinity", 5.0);
            item_seconds += 10.0 * (0.5 + 0.5 * diffusion);
        }
        CostProfile { load_seconds: 90.0, item_seconds }
    }

    /// Hits by the probability to bind; where no affinity is asked for, structures by their confidence.
    fn ranking(&self, parameters: &Value) -> Ranking {
        let score = if parameters["affinity"] == Value::Bool(false) { "confidence" } else { "affinity_prob" };
        Ranking { score: score.to_owned(), direction: SortDirection::Descending }
    }

    fn histogram_of(&self) -> Option<&'static str> {
        Some("affinity_prob")
    }

    fn group(&self) -> usize {
        usize::MAX
    }

    fn stage(&self, stage: &Stage) -> io::Result<Vec<Step>> {
        let complexes = stage.folder.join(outputs::COMPLEXES);
        std::fs::create_dir(&complexes)?;
        for item in stage.items {
            let complex = complex(stage, item)?;
            // JSON is YAML in which every string is quoted: no SMILES can be taken for anything else.
            let yaml = serde_json::to_string_pretty(&complex)?;
            std::fs::write(complexes.join(format!("{}.yaml", record_id(item))), yaml)?;
        }
        Ok(vec![Step::new(stage, &stage.tools.boltz, arguments(stage, &complexes))])
    }

    /// The progress bar of the first phase appears when the checkpoint is on the GPU.
    fn loaded(&self, log: &str) -> bool {
        log.contains(outputs::FIRST_PROGRESS)
    }

    fn read(&self, stage: &Stage, log: &str, ended: Option<bool>) -> Vec<Reading> {
        outputs::read(stage, log, ended)
    }
}

/// Whether the run asks for affinities; all items of a folder do, or none.
fn wants_affinity(stage: &Stage) -> bool {
    stage.run.parameters["affinity"] == Value::Bool(true)
}

/// One complex in Boltz's input format.
fn complex(stage: &Stage, item: &Item) -> io::Result<Value> {
    let smiles = item.smiles.as_deref();
    let smiles = smiles.ok_or_else(|| io::Error::other(format!("item {} has no ligand", item.index)))?;
    let input = &stage.run.input;
    let msa = match input["msa"].as_str() {
        Some(file) => text(&stage.files.join(file)),
        None => "empty".to_owned(),
    };
    let mut complex = json!({
        "version": 1,
        "sequences": [
            {"protein": {"id": PROTEIN, "sequence": input["protein_sequence"], "msa": msa}},
            {"ligand": {"id": LIGAND, "smiles": smiles}},
        ],
    });
    if let Some(pocket) = input.get("pocket") {
        let residues = pocket["contacts"].as_array().into_iter().flatten();
        let contacts: Vec<_> = residues.map(|residue| json!([PROTEIN, residue])).collect();
        let (distance, force) = (&pocket["max_distance"], &pocket["force"]);
        let pocket = json!({"binder": LIGAND, "contacts": contacts, "max_distance": distance, "force": force});
        complex["constraints"] = json!([{"pocket": pocket}]);
    }
    if wants_affinity(stage) {
        complex["properties"] = json!([{"affinity": {"binder": LIGAND}}]);
    }
    Ok(complex)
}

fn arguments(stage: &Stage, complexes: &Path) -> Vec<String> {
    let accelerator = match stage.tools.accelerator {
        Accelerator::Gpu => "gpu",
        Accelerator::Cpu => "cpu",
    };
    let mut arguments = vec!["predict".to_owned(), text(complexes)];
    let mut option = |name: &str, value: String| arguments.extend([format!("--{name}"), value]);
    option("out_dir", text(&stage.folder.join(outputs::OUT)));
    option("accelerator", accelerator.to_owned());
    option("devices", "1".to_owned());
    option("output_format", "mmcif".to_owned());
    if let Some(cache) = &stage.tools.boltz_cache {
        option("cache", cache.clone());
    }
    let parameters = &stage.run.parameters;
    for name in ["recycling_steps", "sampling_steps", "diffusion_samples", "seed"] {
        option(name, parameters[name].to_string());
    }
    if wants_affinity(stage) {
        for name in ["sampling_steps_affinity", "diffusion_samples_affinity"] {
            option(name, parameters[name].to_string());
        }
    }
    for name in ["affinity_mw_correction", "use_potentials"] {
        if parameters[name] == Value::Bool(true) {
            arguments.push(format!("--{name}"));
        }
    }
    arguments.extend(stage.tools.boltz_extra.iter().cloned());
    arguments
}

/// The pocket in canonical form; its faults are added to `errors`.
fn pocket(given: &Value, residues: usize, errors: &mut Vec<FieldError>) -> Value {
    const AT: &str = "/inputs/pocket";
    let members = given.as_object();
    if members.is_none() {
        errors.push(FieldError::new(AT, "must be an object"));
    }
    unknown(AT, members, &["contacts", "max_distance", "force"], errors);
    let within = |residue: &Value| residue.as_u64().is_some_and(|n| n >= 1 && n <= residues as u64);
    let contacts = given["contacts"].as_array().filter(|contacts| !contacts.is_empty());
    if contacts.is_none() {
        errors.push(FieldError::new(member(AT, "contacts"), "must be a list of residue numbers"));
    }
    for (i, _) in contacts.into_iter().flatten().enumerate().filter(|(_, residue)| !within(residue)) {
        let reason = format!("must be a residue of the protein, 1 to {residues}");
        errors.push(FieldError::new(format!("{AT}/contacts/{i}"), reason));
    }
    let member_or = |name: &str, default: Value| given.get(name).cloned().unwrap_or(default);
    let distance = member_or("max_distance", POCKET_DISTANCE.into());
    if !distance.as_f64().is_some_and(|distance| (4.0..=20.0).contains(&distance)) {
        errors.push(FieldError::new(member(AT, "max_distance"), "must be a number from 4 to 20, in angstrom"));
    }
    let force = member_or("force", false.into());
    if !force.is_boolean() {
        errors.push(FieldError::new(member(AT, "force"), "must be true or false"));
    }
    let contacts: BTreeSet<_> = contacts.into_iter().flatten().filter_map(Value::as_u64).collect();
    json!({"contacts": contacts, "max_distance": distance.as_f64(), "force": force})
}

fn inputs_schema() -> Value {
    let contacts = json!({"type": "array", "minItems": 1, "items": {"type": "integer", "minimum": 1},
        "description": "Residues that line the pocket, counted from 1"});
    let distance = json!({"type": "number", "default": POCKET_DISTANCE, "minimum": 4, "maximum": 20,
        "description": "Angstrom between the ligand and each of them"});
    let force = json!({"type": "boolean", "default": false, "description": "Enforce it with a potential"});
    let mut properties = Map::new();
    properties.insert(
        "protein_sequence".to_owned(),
        json!({"type": "string", "maxLength": MOST_RESIDUES, "description": "The target, in one-letter code"}),
    );
    properties.insert(
        "msa".to_owned(),
        json!({"type": "string", "maxLength": MOST_MSA,
            "description": "Alignment of the target in A3M; its first row must be the target itself"}),
    );
    properties.insert(
        "pocket".to_owned(),
        json!({"type": "object", "additionalProperties": false, "required": ["contacts"],
            "properties": {"contacts": contacts, "max_distance": distance, "force": force}}),
    );
    json!({"type": "object", "additionalProperties": false, "properties": properties})
}

#[cfg(test)]
mod tests;
