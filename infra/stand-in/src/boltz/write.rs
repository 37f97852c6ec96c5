//! The files Boltz writes for one record, under its names and in its order. As there, they are
//! written in place: a reader can meet half a file.

use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::ser::{PrettyFormatter, Serializer};

use super::record::Record;
use super::scores::{Affinity, Sample};
use crate::assembly::{self, Atom, Chain};
use crate::settings::Settings;
use crate::{cif, npz};

/// Writes `predictions/ID/` for every sample, the best first, and what phase two starts from.
pub fn structure(folder: &Path, record: &Record, seed: &str, samples: usize, settings: &Settings) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let chains = record.chains();
    let quality = record.draws(seed, "quality").between(0.0, 1.0);
    let mut drawn = Vec::new();
    for sample in 0..samples {
        let mut draws = record.draws(seed, &format!("sample {sample}"));
        let sample = Sample::draw(&chains, quality, &mut draws);
        drawn.push((sample, assembly::place(&chains, &mut draws)));
    }
    drawn.sort_by(|(a, _), (b, _)| b.confidence.confidence_score.total_cmp(&a.confidence.confidence_score));
    for (rank, (sample, atoms)) in drawn.iter().enumerate() {
        let name = format!("{}_model_{rank}", record.id);
        let cif = cif::text(&chains, atoms, &sample.plddt);
        let path = folder.join(format!("{name}.cif"));
        std::fs::write(&path, cif.get(..cif.len() / 2).unwrap_or_default())?;
        settings.crash_on(&record.id);
        std::fs::write(&path, cif)?;
        if rank == 0 && record.affinity.is_some() {
            pre_affinity(&pre_affinity_path(folder, &record.id), &chains, atoms)?;
        }
        let confidence = json(&sample.confidence)?;
        std::fs::write(folder.join(format!("confidence_{name}.json")), confidence)?;
        arrays(folder, &name, sample)?;
    }
    Ok(())
}

/// The structure on which phase two works; without it that phase fails.
pub fn pre_affinity_path(folder: &Path, id: &str) -> PathBuf {
    folder.join(format!("pre_affinity_{id}.npz"))
}

/// Writes `affinity_ID.json`, all of it or the first half.
pub fn affinity(folder: &Path, record: &Record, seed: &str, half: bool) -> io::Result<()> {
    let drawn = Affinity::draw(record.binder_atoms(), &mut record.draws(seed, "affinity"));
    let mut text = json(&drawn)?;
    if half {
        text.truncate(text.len() / 2);
    }
    std::fs::write(folder.join(format!("affinity_{}.json", record.id)), text)
}

/// Text as Python's `json.dumps(…, indent=4)` gives it.
pub fn json(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let four_spaces = PrettyFormatter::with_indent(b"    ");
    value.serialize(&mut Serializer::with_formatter(&mut text, four_spaces))?;
    Ok(text)
}

/// `plddt` (tokens,), `pae` and `pde` (tokens, tokens), single precision; errors grow with the
/// distance along the sequence.
fn arrays(folder: &Path, name: &str, sample: &Sample) -> io::Result<()> {
    let tokens = sample.plddt.len();
    let n = tokens as u64;
    let mut plddt = npz::Archive::create(&folder.join(format!("plddt_{name}.npz")))?;
    plddt.array("plddt", &[n], sample.plddt.iter().copied())?;
    for (key, widest) in [("pae", 20.0), ("pde", 12.0)] {
        let apart = (0..tokens).flat_map(|i| (0..tokens).map(move |j| i.abs_diff(j)));
        let errors = apart.map(|apart| 0.5 + (widest * apart as f32 / (apart as f32 + 60.0)));
        let mut archive = npz::Archive::create(&folder.join(format!("{key}_{name}.npz")))?;
        archive.array(key, &[n, n], errors)?;
    }
    Ok(())
}

/// The real file's keys and leading dimensions, with plain numbers in place of its structured
/// rows and without its pickled `pocket`: only Boltz itself reads it.
fn pre_affinity(path: &Path, chains: &[Chain], atoms: &[Atom]) -> io::Result<()> {
    let mut archive = npz::Archive::create(path)?;
    let (n, m) = (atoms.len() as u64, chains.len() as u64);
    let residues = chains.iter().map(|c| if c.is_protein() { c.tokens() } else { 1 });
    let residues = residues.sum::<usize>() as u64;
    let places = || atoms.iter().flat_map(|atom| atom.place).map(|x| x as f32);
    archive.array("atoms", &[n, 3], places())?;
    archive.array("bonds", &[0, 7], std::iter::empty::<i32>())?;
    archive.array("residues", &[residues], 0..residues as i32)?;
    archive.array("chains", &[m], 0..m as i32)?;
    archive.array("interfaces", &[0, 2], std::iter::empty::<i32>())?;
    archive.array("mask", &[m], chains.iter().map(|_| true))?;
    archive.array("coords", &[n, 3], places())?;
    archive.array("ensemble", &[1, 2], [0, n as i32])
}
