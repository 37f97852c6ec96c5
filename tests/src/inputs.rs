//! What the journeys are fed: the demo's own files, and settings that make the stand-in quick and quiet.

use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// The root of the workspace.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// A file of the demo.
pub fn demo(name: &str) -> PathBuf {
    root().join("infra/local/demo").join(name)
}

/// The bytes of a file of the demo.
pub fn demo_bytes(name: &str) -> Vec<u8> {
    std::fs::read(demo(name)).unwrap()
}

/// The sequence of a target of the demo.
pub fn sequence(name: &str) -> String {
    let fasta = std::fs::read_to_string(demo(name)).unwrap();
    fasta.lines().filter(|line| !line.starts_with('>')).collect()
}

/// A small target: what is tested does not depend on its size.
pub fn target() -> String {
    sequence("pdl1.fasta")
}

/// The first ligands of the demo's library of kinase inhibitors, name and SMILES.
pub fn ligands(count: usize) -> Vec<(String, String)> {
    let table = String::from_utf8(demo_bytes("kinase-inhibitors.csv")).unwrap();
    let cells = |line: &str| {
        let mut cells = line.split(',').map(str::to_owned);
        (cells.next().unwrap(), cells.next().unwrap())
    };
    let ligands: Vec<_> = table.lines().skip(1).take(count).map(cells).collect();
    assert_eq!(ligands.len(), count);
    ligands
}

/// The same as the rows of a request.
pub fn ligand_rows(count: usize) -> Value {
    ligands(count).iter().map(|(name, smiles)| json!({"name": name, "smiles": smiles})).collect()
}

/// The same as a file.
pub fn library(count: usize) -> Vec<u8> {
    let lines = ligands(count).into_iter().map(|(name, smiles)| format!("{name},{smiles}\n"));
    std::iter::once("name,smiles\n".to_owned()).chain(lines).collect::<String>().into_bytes()
}

/// A batch of the first ligands against the small target.
pub fn batch(count: usize) -> Value {
    json!({"model": "boltz2", "protein_sequence": target(), "ligands": ligand_rows(count)})
}

/// Workers that look often and say nothing, with their scratch files in this folder.
pub fn settings(folder: &Path) -> [(String, String); 4] {
    let scratch = folder.join("scratch");
    std::fs::create_dir_all(&scratch).unwrap();
    let scratch = scratch.display().to_string();
    let settings =
        [("RUST_LOG", "off"), ("POLL_SECONDS", "0.05"), ("CHECKPOINT_SECONDS", "0.2"), ("SCRATCH_DIR", &scratch)];
    settings.map(|(name, value)| (name.to_owned(), value.to_owned()))
}
