//! RFantibody: new antibodies against a place on a target. Three tools run one after the other and hand Quiver files
//! on: RFdiffusion makes backbones, ProteinMPNN gives each some sequences, RF2 folds them again and scores them. A
//! run's items are the backbones; of each the sequence that RF2 believes in most is kept.

mod outputs;

use crate::{
    Accepted, FieldError, ItemKind, Limit, Model, ModelCard, Reading, Request, Stage, Step,
    card::{Better, ScoreCard, score},
    inputs::Inputs,
    parameters::{self, Parameter, real, whole},
    pdb::{Residues, loop_labels},
    request::member,
    stage::text,
};
use domain::{CostProfile, Ranking, SortDirection};
use outputs::{BACKBONES, SCORED, SEQUENCES};
use serde_json::{Map, Value, json};
use std::io;

pub(crate) struct RfAntibody;

const TARGET: &str = "target.pdb";
const FRAMEWORK: &str = "framework.pdb";
/// Bytes of a structure.
const MOST_PDB: usize = 8 << 20;
/// Residues of a target: users are told to trim it to the part around the site.
const MOST_RESIDUES: usize = 1000;
const MOST_DESIGNS: u64 = 10_000;
const MOST_HOTSPOTS: usize = 50;
const LOOPS: [&str; 6] = ["H1", "H2", "H3", "L1", "L2", "L3"];
/// Residues of a variable domain of two chains, which every design adds to the target.
const FRAMEWORK_RESIDUES: f64 = 230.0;

const PARAMETERS: [Parameter; 4] = [
    whole("diffuser_t", 50, 15, 200, "Diffusion steps of RFdiffusion"),
    whole("sequences_per_backbone", 4, 1, 32, "Sequences of ProteinMPNN for each backbone; the best one is kept"),
    real("temperature", 0.2, 0.0001, 1.0, "Of ProteinMPNN's sampling"),
    whole("num_recycles", 10, 1, 50, "Recycles of RF2"),
];

const SCORES: [ScoreCard; 14] = [
    score("interaction_pae", "A", Better::Lower, "Predicted error between antibody and target; below 10 is usual"),
    score("pae", "A", Better::Lower, "Predicted error over the complex"),
    score("pred_lddt", "", Better::Higher, "Predicted local accuracy, 0 to 1"),
    score("confidence", "", Better::Higher, "The same as pred_lddt"),
    score(
        "target_aligned_antibody_rmsd",
        "A",
        Better::Lower,
        "Antibody as designed and as folded again, on the target",
    ),
    score("target_aligned_cdr_rmsd", "A", Better::Lower, "The same over the loops; below 2 is usual"),
    score("framework_aligned_antibody_rmsd", "A", Better::Lower, "Antibody as designed and as folded again"),
    score("framework_aligned_cdr_rmsd", "A", Better::Lower, "The loops, laid on the framework"),
    score("framework_aligned_H1_rmsd", "A", Better::Lower, "Loop H1, laid on the framework"),
    score("framework_aligned_H2_rmsd", "A", Better::Lower, "Loop H2, laid on the framework"),
    score("framework_aligned_H3_rmsd", "A", Better::Lower, "Loop H3, laid on the framework"),
    score("framework_aligned_L1_rmsd", "A", Better::Lower, "Loop L1, laid on the framework"),
    score("framework_aligned_L2_rmsd", "A", Better::Lower, "Loop L2, laid on the framework"),
    score("framework_aligned_L3_rmsd", "A", Better::Lower, "Loop L3, laid on the framework"),
];

const NOTES: [&str; 2] = [
    "Designs differ from run to run: RFdiffusion takes no seed here.",
    "Usual filters keep designs with interaction_pae below 10 and target_aligned_cdr_rmsd below 2; none is applied.",
];

impl Model for RfAntibody {
    fn name(&self) -> &'static str {
        "rfantibody"
    }

    fn version(&self) -> &'static str {
        "1.0.0"
    }

    fn card(&self) -> ModelCard {
        ModelCard {
            name: self.name(),
            version: self.version(),
            title: "RFantibody",
            predicts: "Antibodies or nanobodies that bind a chosen place of a target structure.",
            item: ItemKind::Design,
            inputs: inputs_schema(),
            parameters: parameters::schema(&PARAMETERS),
            limits: vec![
                Limit { name: "target_residues", most: MOST_RESIDUES as u32, reason: "memory; trim the target" },
                Limit { name: "designs", most: MOST_DESIGNS as u32, reason: "of one run" },
            ],
            scores: SCORES.to_vec(),
            ranking: self.ranking(&Value::Null),
            notes: NOTES.to_vec(),
        }
    }

    fn accept(&self, request: &Request) -> Result<Accepted, Vec<FieldError>> {
        let known = ["target_pdb", "framework_pdb", "hotspots", "loops", "designs"];
        let mut inputs = Inputs::new(request, &known);
        if request.protein_sequence.is_some() {
            let reason = "is of no use here: RFantibody needs a structure, inputs.target_pdb";
            inputs.errors.push(FieldError::new("/protein_sequence", reason));
        }
        let target = structure(&mut inputs, "target_pdb");
        let framework = structure(&mut inputs, "framework_pdb");
        let residues = target.map(Residues::of);
        if residues.as_ref().is_some_and(|residues| residues.len() > MOST_RESIDUES) {
            inputs.fault("target_pdb", format!("has more than {MOST_RESIDUES} residues: trim it around the site"));
        }
        let hotspots = hotspots(&mut inputs, residues.as_ref());
        let labels = framework.map(|framework| check_framework(&mut inputs, framework)).unwrap_or_default();
        let loops = loops(&mut inputs, &labels);
        let designs = inputs.get("designs").and_then(Value::as_u64).filter(|n| (1..=MOST_DESIGNS).contains(n));
        if designs.is_none() {
            inputs.fault("designs", format!("must be a whole number from 1 to {MOST_DESIGNS}"));
        }
        let parameters = parameters::canonical(&PARAMETERS, request.parameters, &mut inputs.errors);
        let (Some(target), Some(framework), Some(residues), true) =
            (target, framework, residues, inputs.errors.is_empty())
        else {
            return Err(inputs.errors);
        };
        Ok(Accepted {
            input: json!({"hotspots": hotspots, "loops": loops, "designs": designs}),
            files: vec![(TARGET.to_owned(), target.to_owned()), (FRAMEWORK.to_owned(), framework.to_owned())],
            parameters,
            target_residues: residues.len() as u32,
            designs: designs.map(|designs| designs as u32),
        })
    }

    /// Two minutes to load three models in turn; two and a half minutes for a design against 270 residues, growing
    /// with the square of the residues. A guess, to be replaced by measured times.
    fn profile(&self, target_residues: u32, _heavy_atoms: u32, _parameters: &Value) -> CostProfile {
        let residues = f64::from(target_residues) + FRAMEWORK_RESIDUES;
        CostProfile { load_seconds: 120.0, item_seconds: 30.0 + 120.0 * (residues / 500.0).powi(2) }
    }

    fn ranking(&self, _parameters: &Value) -> Ranking {
        Ranking { score: "interaction_pae".to_owned(), direction: SortDirection::Ascending }
    }

    fn histogram_of(&self) -> Option<&'static str> {
        Some("pred_lddt")
    }

    fn group(&self) -> usize {
        usize::MAX
    }

    fn stage(&self, stage: &Stage) -> io::Result<Vec<Step>> {
        let (input, parameters) = (&stage.run.input, &stage.run.parameters);
        let file = |name: &str| text(&stage.folder.join(name));
        let loops: Vec<_> = input["loops"].as_object().into_iter().flatten().collect();
        let loops: Vec<_> =
            loops.iter().map(|(name, length)| format!("{name}:{}", length.as_str().unwrap_or_default())).collect();
        let hotspots: Vec<_> = input["hotspots"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let (target, framework) = (text(&stage.files.join(TARGET)), text(&stage.files.join(FRAMEWORK)));
        let designs = stage.items.len().to_string();
        let step = |tool: &[String], arguments: &[(&str, String)], flags: &[&str]| {
            let pairs = arguments.iter().flat_map(|(name, value)| [(*name).to_owned(), value.clone()]);
            Step::new(stage, tool, pairs.chain(flags.iter().map(|flag| (*flag).to_owned())).collect())
        };
        let backbones = [
            ("-t", target),
            ("-f", framework),
            ("-q", file(BACKBONES)),
            ("-n", designs),
            ("-l", loops.join(",")),
            ("-h", hotspots.join(",")),
            ("--diffuser-t", parameters["diffuser_t"].to_string()),
        ];
        let sequences = [
            ("-q", file(BACKBONES)),
            ("--output-quiver", file(SEQUENCES)),
            ("-n", parameters["sequences_per_backbone"].to_string()),
            ("-t", parameters["temperature"].to_string()),
        ];
        let scored = [
            ("-q", file(SEQUENCES)),
            ("--output-quiver", file(SCORED)),
            ("-r", parameters["num_recycles"].to_string()),
        ];
        Ok(vec![
            step(&stage.tools.rfdiffusion, &backbones, &["--no-trajectory"]),
            step(&stage.tools.proteinmpnn, &sequences, &[]),
            step(&stage.tools.rf2, &scored, &[]),
        ])
    }

    fn read(&self, stage: &Stage, log: &str, ended: Option<bool>) -> Vec<Reading> {
        outputs::read(stage, log, ended)
    }
}

/// A structure that must be there.
fn structure<'a>(inputs: &mut Inputs<'a>, name: &str) -> Option<&'a str> {
    let Some(pdb) = inputs.text(name) else {
        if inputs.get(name).is_none() {
            inputs.fault(name, "is missing");
        }
        return None;
    };
    if pdb.len() > MOST_PDB {
        inputs.fault(name, format!("has {} bytes; {MOST_PDB} is the most", pdb.len()));
    } else if Residues::of(pdb).len() == 0 {
        inputs.fault(name, "holds no residue: it must be a structure in PDB format");
    } else {
        return Some(pdb);
    }
    None
}

/// The loops that the framework labels; a framework must have a heavy chain and name its loops.
fn check_framework(inputs: &mut Inputs, framework: &str) -> Vec<String> {
    let residues = Residues::of(framework);
    if !residues.has_chain('H') || residues.chains().iter().any(|chain| !"HLT".contains(*chain)) {
        inputs.fault("framework_pdb", "must be in HLT format: the chains H and, unless it is a nanobody, L");
    }
    let labels: Vec<_> = loop_labels(framework).into_iter().map(str::to_owned).collect();
    if labels.is_empty() {
        let reason = "must name its loops in lines such as REMARK PDBinfo-LABEL:   32 H1";
        inputs.fault("framework_pdb", reason);
    }
    labels
}

fn hotspots(inputs: &mut Inputs, target: Option<&Residues>) -> Vec<String> {
    let list = inputs.get("hotspots").and_then(Value::as_array);
    let Some(list) = list.filter(|list| (1..=MOST_HOTSPOTS).contains(&list.len())) else {
        inputs.fault("hotspots", format!("must be a list of 1 to {MOST_HOTSPOTS} residues such as B146"));
        return vec![];
    };
    for (i, hotspot) in list.iter().enumerate() {
        let known = hotspot.as_str().is_some_and(|name| target.is_none_or(|target| target.has(name)));
        if !known {
            let reason = "must be a residue of the target: its chain and number, such as B146";
            inputs.errors.push(FieldError::new(format!("/inputs/hotspots/{i}"), reason));
        }
    }
    list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Loop lengths as RFdiffusion writes them, `7` or `5-13`.
fn loops(inputs: &mut Inputs, labels: &[String]) -> Map<String, Value> {
    const AT: &str = "/inputs/loops";
    let Some(given) = inputs.get("loops").and_then(Value::as_object).filter(|given| !given.is_empty()) else {
        inputs.fault("loops", "must be an object of loops and lengths, such as {\"H1\": 7, \"H3\": \"5-13\"}");
        return Map::new();
    };
    let mut canonical = Map::new();
    for (name, length) in given {
        if !LOOPS.contains(&name.as_str()) {
            let reason = format!("is no loop; those are {}", LOOPS.join(", "));
            inputs.errors.push(FieldError::new(member(AT, name), reason));
        } else if !labels.is_empty() && !labels.contains(name) {
            let reason = format!("is not labelled in the framework, which has {}", labels.join(", "));
            inputs.errors.push(FieldError::new(member(AT, name), reason));
        }
        match loop_length(length) {
            Some(length) => _ = canonical.insert(name.clone(), length.into()),
            None => {
                let reason = "must be a length from 1 to 40, or a range such as \"5-13\"";
                inputs.errors.push(FieldError::new(member(AT, name), reason));
            }
        }
    }
    canonical
}

fn loop_length(given: &Value) -> Option<String> {
    let text = given.as_u64().map(|n| n.to_string()).or_else(|| given.as_str().map(str::to_owned))?;
    let (from, to) = text.split_once('-').unwrap_or((&text, &text));
    let (from, to): (u32, u32) = (from.trim().parse().ok()?, to.trim().parse().ok()?);
    let fits = (1..=40).contains(&from) && (from..=40).contains(&to);
    fits.then(|| if from == to { from.to_string() } else { format!("{from}-{to}") })
}

fn inputs_schema() -> Value {
    let pdb = |description: &str| json!({"type": "string", "maxLength": MOST_PDB, "description": description});
    let length = json!({"oneOf": [{"type": "integer", "minimum": 1, "maximum": 40}, {"type": "string"}]});
    let loops: Map<_, _> = LOOPS.iter().map(|name| ((*name).to_owned(), length.clone())).collect();
    json!({"type": "object", "additionalProperties": false,
    "required": ["target_pdb", "framework_pdb", "hotspots", "loops", "designs"],
    "properties": {
        "target_pdb": pdb("The target's structure in PDB format, trimmed around the site"),
        "framework_pdb": pdb("The antibody or nanobody to start from, in HLT format"),
        "hotspots": {"type": "array", "minItems": 1, "maxItems": MOST_HOTSPOTS, "items": {"type": "string"},
            "description": "Residues of the target to bind: chain and number, such as B146"},
        "loops": {"type": "object", "additionalProperties": false, "properties": loops,
            "description": "Loops to design and their lengths: a number, or a range such as 5-13"},
        "designs": {"type": "integer", "minimum": 1, "maximum": MOST_DESIGNS,
            "description": "How many designs to make; each is one item of the batch"},
    }})
}

#[cfg(test)]
mod tests;
