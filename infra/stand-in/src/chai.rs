//! `chai-lab fold` 0.6.1 from the outside: one complex from one FASTA file into an empty folder,
//! five models in no order of quality.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::assembly::{self, Chain, Content};
use crate::draws::Draws;
use crate::options::{CommandLine, usage};
use crate::settings::Settings;
use crate::{Failure, Outcome, cif, npz, smiles};

const COMMAND_LINE: CommandLine = CommandLine {
    name: "chai-lab",
    positionals: &["command", "fasta", "output"],
    values: &[
        ("msa-server-url", None),
        ("msa-directory", None),
        ("constraint-path", None),
        ("template-hits-path", None),
        ("recycle-msa-subsample", None),
        ("num-trunk-recycles", None),
        ("num-diffn-timesteps", None),
        ("num-diffn-samples", None),
        ("seed", None),
        ("device", None),
    ],
    flags: &[
        "use-esm-embeddings",
        "no-use-esm-embeddings",
        "use-msa-server",
        "no-use-msa-server",
        "use-templates-server",
        "no-use-templates-server",
        "low-memory",
        "no-low-memory",
    ],
};
/// The largest of the model's sizes.
const MOST_TOKENS: usize = 2048;

/// One entry of the FASTA file.
struct Entity {
    kind: String,
    name: String,
    sequence: String,
}

/// Runs `chai-lab fold FASTA OUTDIR [options]`. Faults strike the FASTA file's stem.
pub fn main(args: Vec<OsString>, settings: &Settings) -> Outcome {
    let options = COMMAND_LINE.parse(args)?;
    if options.text("command") != Some("fold") {
        return Err(usage("the stand-in knows 'chai-lab fold' only".to_owned()));
    }
    let (fasta, output) = (options.required("fasta")?, options.required("output")?);
    let samples = options.count("num-diffn-samples", 5)?;
    let seed = options.text("seed").unwrap_or("none");
    if output.exists() && output.read_dir()?.next().is_some() {
        let message = format!("Output directory {} is not empty.", output.display());
        return Err(Failure::raised("AssertionError", message));
    }
    let stem = fasta.file_stem().unwrap_or_default().to_string_lossy();
    let entities = entities(&fasta)?;
    let chains = chains(&entities, options.path("msa-directory"))?;
    settings.load_model();
    settings.work_on(&stem);
    if settings.strikes("oom-structure", &stem) {
        return Err(Failure::raised("torch.OutOfMemoryError", "CUDA out of memory."));
    }
    if settings.strikes("runtime-error", &stem) {
        return Err(Failure::raised("RuntimeError", "CUDA error: device-side assert triggered"));
    }
    std::fs::create_dir_all(&output)?;
    let clash = settings.strikes("clash", &stem);
    let sequences: Vec<&str> = entities.iter().map(|entity| entity.sequence.as_str()).collect();
    let input = sequences.join("\n");
    for model in 0..samples {
        let draws = Draws::of(&["chai", seed, &model.to_string(), &input]);
        write_model(&output, model, &chains, draws, clash)?;
        settings.crash_on(&stem);
    }
    Ok(())
}

fn entities(fasta: &Path) -> Result<Vec<Entity>, Failure> {
    let text = std::fs::read_to_string(fasta)?;
    let mut entities: Vec<Entity> = Vec::new();
    for block in text.split('>').filter(|block| !block.trim().is_empty()) {
        let (header, body) = block.split_once('\n').unwrap_or((block, ""));
        let header = header.trim();
        let Some((kind, name)) = header.split_once("|name=") else {
            let message = format!("Missing name in fasta header: {header}");
            return Err(Failure::raised("ValueError", message));
        };
        if !["protein", "ligand", "rna", "dna", "glycan"].contains(&kind) {
            let message = format!("{kind} is not a valid entity type");
            return Err(Failure::raised("ValueError", message));
        }
        if entities.iter().any(|other| other.name == name) {
            let message = format!("name='{name}' used more than once in inputs. Each entity must have a unique name");
            return Err(Failure::raised("UnsupportedInputError", message));
        }
        entities.push(Entity {
            kind: kind.to_owned(),
            name: name.to_owned(),
            sequence: body.split_whitespace().collect(),
        });
    }
    if entities.is_empty() {
        return Err(Failure::raised("AssertionError", "No inputs found in fasta file"));
    }
    Ok(entities)
}

/// The chains that will be folded, named A, B, …: a ligand that cannot be read is left out with
/// no more than a line in the log.
fn chains(entities: &[Entity], msas: Option<PathBuf>) -> Result<Vec<Chain>, Failure> {
    let mut chains = Vec::new();
    for (letter, entity) in ('A'..='Z').zip(entities) {
        let content = match entity.kind.as_str() {
            "protein" => {
                warn_without_msa(&entity.sequence, msas.as_deref());
                Content::Protein(entity.sequence.clone())
            }
            "ligand" => match smiles::read(&entity.sequence) {
                Some(ligand) => Content::Ligand { name: "LIG".to_owned(), elements: ligand.elements },
                None => {
                    eprintln!("ERROR: Failed to load chain for input {} ({})", entity.name, entity.sequence);
                    continue;
                }
            },
            kind => {
                let message = format!("the stand-in folds proteins and ligands only, not {kind}");
                return Err(Failure::raised("UnsupportedInputError", message));
            }
        };
        chains.push(Chain { id: letter.to_string(), content });
    }
    let tokens: usize = chains.iter().map(Chain::tokens).sum();
    if tokens > MOST_TOKENS {
        let message = format!(
            "Too many tokens in input: {tokens} > {MOST_TOKENS}. Please limit the length of the input sequence."
        );
        return Err(Failure::raised("UnsupportedInputError", message));
    }
    Ok(chains)
}

fn warn_without_msa(sequence: &str, msas: Option<&Path>) {
    let Some(folder) = msas else {
        return;
    };
    let digest = Sha256::digest(sequence.to_uppercase());
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    if !folder.join(format!("{digest}.aligned.pqt")).exists() {
        eprintln!("WARNING: No MSA found for sequence: {sequence}");
    }
}

fn write_model(output: &Path, model: usize, chains: &[Chain], mut draws: Draws, clash: bool) -> Outcome {
    let quality = draws.between(0.0, 1.0);
    let tokens: usize = chains.iter().map(Chain::tokens).sum();
    let level = 0.65 + 0.25 * quality;
    let plddt: Vec<f32> = (0..tokens).map(|_| (level + draws.between(-0.06, 0.06)) as f32).collect();
    let atoms = assembly::place(chains, &mut draws);
    let scores = Scores::of(chains.len(), quality as f32, clash);
    let path = output.join(format!("pred.model_idx_{model}.cif"));
    println!("Score={:.4}, writing output to {}", scores.aggregate, path.display());
    std::fs::write(path, cif::text(chains, &atoms, &plddt))?;
    scores.write(&output.join(format!("scores.model_idx_{model}.npz")))?;
    Ok(())
}

/// `scores.model_idx_*.npz`: 0 to 1, except that a clash takes 100 from the aggregate.
struct Scores {
    aggregate: f32,
    ptm: f32,
    iptm: f32,
    chains: usize,
    clash: bool,
}

impl Scores {
    fn of(chains: usize, quality: f32, clash: bool) -> Self {
        let ptm = 0.45 + 0.45 * quality;
        let iptm = if chains > 1 { 0.35 + 0.55 * quality } else { 0.0 };
        Self { aggregate: 0.2 * ptm + 0.8 * iptm - if clash { 100.0 } else { 0.0 }, ptm, iptm, chains, clash }
    }

    fn write(&self, path: &Path) -> std::io::Result<()> {
        let n = self.chains as u64;
        let pairs = || (0..self.chains).flat_map(|a| (0..self.chains).map(move |b| (a, b)));
        let iptm = |(a, b): (usize, usize)| match a.cmp(&b) {
            std::cmp::Ordering::Equal => self.ptm,
            std::cmp::Ordering::Less => self.iptm - 0.04,
            std::cmp::Ordering::Greater => self.iptm,
        };
        let clashes = |(a, b): (usize, usize)| if self.clash && a != b { 12 } else { 0_i32 };
        let mut archive = npz::Archive::create(path)?;
        archive.array("aggregate_score", &[1], [self.aggregate])?;
        archive.array("ptm", &[1], [self.ptm])?;
        archive.array("iptm", &[1], [self.iptm])?;
        archive.array("per_chain_ptm", &[1, n], (0..self.chains).map(|_| self.ptm))?;
        archive.array("per_chain_pair_iptm", &[1, n, n], pairs().map(iptm))?;
        archive.array("has_inter_chain_clashes", &[1], [self.clash])?;
        archive.array("chain_chain_clashes", &[1, n, n], pairs().map(clashes))
    }
}
