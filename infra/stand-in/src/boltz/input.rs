//! What Boltz accepts as input: which files a directory may hold, and how a YAML or FASTA file
//! becomes a record, with the messages it prints when one does not.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::record::{Record, RecordChain};
use crate::{Failure, smiles};

/// Elements the affinity head's cleaning step excludes: the commoner ones of its list.
const EXCLUDED: [&str; 22] = [
    "Sc", "Ti", "V", "Cr", "Mn", "Fe", "Co", "Ni", "Cu", "Ga", "Zr", "Mo", "Ru", "Rh", "Pd", "Cd", "Sn", "W", "Ir",
    "Pt", "Au", "Hg",
];
/// What RDKit says when the cleaning step meets a ligand of several fragments.
const SALT: &str = "Pre-condition Violation\n\tgetNumImplicitHs() called without preceding call to \
    calcImplicitValence()\n\tViolation occurred on line 302 in file Code/GraphMol/Atom.cpp\n\t\
    Failed Expression: d_implicitValence > -1\n\tRDKIT: 2024.09.6\n\tBOOST: 1_85\n";
const EMPTY_MSA: &str = "Found explicit empty MSA for some proteins, will run these in single \
    sequence mode. Keep in mind that the model predictions will be suboptimal without an MSA.";

#[derive(Deserialize)]
struct Schema {
    sequences: Vec<BTreeMap<String, Entity>>,
    #[serde(default)]
    properties: Vec<Property>,
}

#[derive(Deserialize)]
struct Entity {
    id: Ids,
    sequence: Option<String>,
    smiles: Option<String>,
    ccd: Option<String>,
    msa: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Ids {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize)]
struct Property {
    affinity: Option<Affinity>,
}

#[derive(Deserialize)]
struct Affinity {
    binder: String,
}

/// The input files, by name. A directory may hold nothing but YAML and FASTA files; the real
/// tool takes them in the file system's order, which nobody may rely on.
pub fn list(data: &Path) -> Result<Vec<PathBuf>, Failure> {
    println!("Checking input data.");
    if !data.is_dir() {
        return Ok(vec![data.to_owned()]);
    }
    let entries = data.read_dir()?.map(|entry| Ok(entry?.path()));
    let mut files = entries.collect::<std::io::Result<Vec<_>>>()?;
    // Python's glob("*") sees hidden files too, so they count.
    files.sort();
    for file in &files {
        if file.is_dir() {
            let message = format!("Found directory {} instead of .fasta or .yaml.", file.display());
            return Err(Failure::raised("RuntimeError", message));
        }
        let suffix = suffix(file);
        if !["fa", "fas", "fasta", "yml", "yaml"].contains(&suffix.as_str()) {
            let message = format!("Unable to parse filetype .{suffix}, please provide a .fasta or .yaml file.");
            return Err(Failure::raised("RuntimeError", message));
        }
    }
    Ok(files)
}

/// Reads one input; the error is what the tool prints before it goes on without it.
pub fn read(path: &Path, id: &str, use_msa_server: bool) -> Result<Record, Failure> {
    let text = std::fs::read_to_string(path)?;
    let schema = match suffix(path).as_str() {
        "yml" | "yaml" => serde_saphyr::from_str(&text).map_err(|e| value_error(e.to_string()))?,
        _ => from_fasta(&text)?,
    };
    let binder = binder(&schema)?;
    let mut chains: Vec<RecordChain> = Vec::new();
    for (kind, entity) in schema.sequences.into_iter().flatten() {
        let ids = match &entity.id {
            Ids::One(id) => vec![id.clone()],
            Ids::Many(ids) => ids.clone(),
        };
        let wanted = binder.as_ref().is_some_and(|binder| ids.contains(binder));
        if wanted && ids.len() > 1 {
            return Err(value_error("Cannot compute affinity for a ligand that has multiple copies!"));
        }
        let chain = chain(&kind.to_lowercase(), &entity, wanted, use_msa_server)?;
        for id in ids {
            // As in the real tool, a chain silently replaces another of the same name.
            chains.retain(|other| other.id != id);
            chains.push(RecordChain { id, ..chain.clone() });
        }
    }
    Ok(Record { id: id.to_owned(), simulated: true, affinity: binder, chains })
}

fn binder(schema: &Schema) -> Result<Option<String>, Failure> {
    let mut asked = schema.properties.iter().filter_map(|p| p.affinity.as_ref());
    let Some(Affinity { binder }) = asked.next() else {
        return Ok(None);
    };
    if asked.any(|other| other.binder != *binder) {
        return Err(value_error("Only one affinity ligand is currently supported!"));
    }
    let named = schema.sequences.iter().flatten().find(|(_, entity)| match &entity.id {
        Ids::One(id) => id == binder,
        Ids::Many(ids) => ids.contains(binder),
    });
    match named {
        None => Err(value_error(format!("Could not find binder with name {binder} in the input!"))),
        Some((kind, _)) if kind.to_lowercase() != "ligand" => Err(value_error(format!(
            "Chain {binder} is not a ligand! Affinity is currently only supported for ligands."
        ))),
        Some(_) => Ok(Some(binder.clone())),
    }
}

/// One entity as a chain still without a name.
fn chain(kind: &str, entity: &Entity, affinity: bool, use_msa_server: bool) -> Result<RecordChain, Failure> {
    let mut chain = RecordChain::default();
    match (kind, &entity.sequence, &entity.smiles, &entity.ccd) {
        ("protein", Some(sequence), ..) => {
            check_msa(entity.msa.as_deref().unwrap_or_default(), use_msa_server)?;
            chain.sequence = Some(sequence.clone());
        }
        ("ligand", _, Some(smiles), None) => {
            chain.elements = ligand(smiles, affinity)?;
            chain.smiles = Some(smiles.clone());
        }
        // The atoms of a dictionary compound are not known here: any number will do.
        ("ligand", _, None, Some(code)) => {
            chain.elements = vec!["C".to_owned(); 20];
            chain.ccd = Some(code.clone());
        }
        ("dna" | "rna", ..) => {
            return Err(value_error("the stand-in knows proteins and ligands only"));
        }
        _ => return Err(value_error(format!("Invalid entity type: {kind}"))),
    }
    Ok(chain)
}

fn check_msa(msa: &str, use_msa_server: bool) -> Result<(), Failure> {
    match msa {
        "" if use_msa_server => Ok(()),
        "" => Err(Failure::raised("RuntimeError", "Missing MSA's in input and --use_msa_server flag not set.")),
        "empty" => {
            println!("{EMPTY_MSA}");
            Ok(())
        }
        path if !Path::new(path).exists() => {
            let message = format!("MSA file {path} not found.");
            Err(Failure::raised("FileNotFoundError", message))
        }
        path if path.ends_with(".a3m") || path.ends_with(".csv") => Ok(()),
        path => {
            let message = format!("MSA file {path} not supported, only a3m or csv.");
            Err(Failure::raised("RuntimeError", message))
        }
    }
}

/// The ligand's heavy atoms, after the checks the real tool makes.
fn ligand(text: &str, affinity: bool) -> Result<Vec<String>, Failure> {
    let unreadable = || Failure::raised("AttributeError", "'NoneType' object has no attribute 'GetAtoms'");
    let ligand = smiles::read(text).ok_or_else(unreadable)?;
    if affinity {
        let excluded = |element: &String| EXCLUDED.contains(&element.as_str());
        match ligand.elements.len() {
            _ if ligand.elements.iter().any(excluded) => {
                return Err(value_error("Molecule is excluded"));
            }
            _ if ligand.fragments > 1 => return Err(Failure::raised("RuntimeError", SALT)),
            129.. => {
                return Err(value_error(
                    "The ligand for affinity is too large, ligands with more than 128 atoms are not \
                     supported in the affinity prediction module",
                ));
            }
            57.. => println!(
                "WARNING: the ligand used for affinity calculation is larger than 56 heavy-atoms, which \
                 was the maximum during training, therefore the affinity output might be inaccurate."
            ),
            _ => {}
        }
    }
    Ok(ligand.elements)
}

/// `>A|protein|path/to.a3m` and `>B|smiles` headers, each with one sequence.
fn from_fasta(text: &str) -> Result<Schema, Failure> {
    let mut sequences = Vec::new();
    for block in text.split('>').filter(|block| !block.trim().is_empty()) {
        let (header, body) = block.split_once('\n').unwrap_or((block, ""));
        let body: String = body.split_whitespace().collect();
        let mut fields = header.trim().split('|');
        let id = Ids::One(fields.next().unwrap_or_default().to_owned());
        let kind = fields.next().unwrap_or_default().to_lowercase();
        let msa = fields.next().map(str::to_owned);
        let (kind, sequence, smiles, ccd) = match kind.as_str() {
            "protein" => ("protein", Some(body), None, None),
            "smiles" => ("ligand", None, Some(body), None),
            "ccd" => ("ligand", None, None, Some(body)),
            other => return Err(value_error(format!("Invalid record id: {other}"))),
        };
        let entity = Entity { id, sequence, smiles, ccd, msa };
        sequences.push(BTreeMap::from([(kind.to_owned(), entity)]));
    }
    Ok(Schema { sequences, properties: Vec::new() })
}

fn suffix(path: &Path) -> String {
    let suffix = path.extension().unwrap_or_default();
    suffix.to_string_lossy().to_lowercase()
}

fn value_error(message: impl Into<String>) -> Failure {
    Failure::raised("ValueError", message)
}
