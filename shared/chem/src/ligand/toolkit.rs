//! The only door to the chemistry library: reading a SMILES, translating its errors, writing
//! canonical text, and keeping its panics inside. No policy lives here.

use std::panic::{AssertUnwindSafe, catch_unwind};

use cosmolkit::{
    HydrogenError, KekulizeError, MolBlockWriteParams, MolPostError, MolProcessingError, Molecule, PropertyCacheError,
    SanitizeError, SdfError, SdfReadError, SmilesError, SmilesParseError, SmilesWriteParams, ValenceError,
};

use super::graph::{Vertex, key};
use super::{LigandError, elements};

/// Runs chemistry-library code and turns a panic into [`LigandError::Unprocessable`]. None was
/// found by fuzzing, but input comes from strangers and one row must never end a whole library.
pub(super) fn guarded<T>(work: impl FnOnce() -> Result<T, LigandError>) -> Result<T, LigandError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(LigandError::Unprocessable))
}

/// Reads plain SMILES: hydrogens made implicit, valence and aromaticity checked, stereo kept.
pub(super) fn read(smiles: &str) -> Result<Molecule, LigandError> {
    Molecule::from_smiles(smiles).map_err(|error| explain(&error))
}

/// Reads a connection table, V2000 or V3000: stereo from wedges, coordinates and double-bond geometry.
pub(super) fn read_mol_block(block: &str) -> Result<Molecule, LigandError> {
    Molecule::from_mol(block).map_err(|error| match &error {
        SdfError::Post(MolPostError::Processing(processing))
        | SdfError::Read(SdfReadError::MolPost(MolPostError::Processing(processing))) => explain_processing(processing),
        SdfError::QueryRecord | SdfError::QueryGraph(_) | SdfError::Read(SdfReadError::QueryRecord) => {
            LigandError::UnreadableRecord { detail: "it has placeholder atoms or query bonds".to_owned() }
        }
        SdfError::Read(read) => LigandError::UnreadableRecord { detail: read.to_string() },
        _ => LigandError::Unprocessable,
    })
}

/// Canonical SMILES, with stereochemistry and isotopes if `isomeric`.
pub(super) fn canonical(molecule: &Molecule, isomeric: bool) -> Result<String, LigandError> {
    let params = SmilesWriteParams { isomeric_smiles: isomeric, ..SmilesWriteParams::default() };
    let text = molecule.to_smiles_with_params(&params).map_err(|_| LigandError::Unprocessable)?;
    String::from_utf8(text.as_bytes().to_vec()).map_err(|_| LigandError::Unprocessable)
}

/// The key of a molecule's graph, as [`super::graph::plain`] finds it for a text.
pub(super) fn graph_key(molecule: &Molecule) -> Result<u64, LigandError> {
    let vertices: Result<Vec<Vertex>, LigandError> = molecule
        .atoms()
        .iter()
        .map(|atom| {
            let hydrogens = atom.total_hydrogens().map_err(|_| LigandError::Unprocessable)?;
            Ok(Vertex {
                element: atom.atomic_number(),
                isotope: atom.isotope().unwrap_or_default(),
                hydrogens: u8::try_from(hydrogens).unwrap_or(u8::MAX),
            })
        })
        .collect();
    let bonds: Vec<(usize, usize)> = molecule.bonds().iter().map(|b| (b.begin().index(), b.end().index())).collect();
    Ok(key(&vertices?, &bonds))
}

/// V2000 connection table with zero coordinates and alternating double bonds.
pub(super) fn mol_block(smiles: &str) -> Result<String, LigandError> {
    connection_table(&read(smiles)?)
}

/// The same of a molecule. [`LigandError::BadAromaticity`] where its bonds cannot be told as single and double ones,
/// which reading does not find where a ring is only partly written as aromatic.
pub(super) fn connection_table(molecule: &Molecule) -> Result<String, LigandError> {
    let params = MolBlockWriteParams { include_coordinates: false, ..Default::default() };
    molecule.to_mol_with_params(&params).map_err(|_| LigandError::BadAromaticity)
}

fn explain(error: &SmilesError) -> LigandError {
    match error {
        SmilesError::Parse(parse) => LigandError::Unreadable { detail: explain_grammar(parse) },
        SmilesError::Hydrogen(HydrogenError::Sanitize(sanitize)) => explain_chemistry(sanitize),
        SmilesError::Sanitize(sanitize) => explain_chemistry(sanitize),
        _ => LigandError::Unprocessable,
    }
}

fn explain_processing(error: &MolProcessingError) -> LigandError {
    match error {
        MolProcessingError::Sanitize(sanitize) | MolProcessingError::Hydrogen(HydrogenError::Sanitize(sanitize)) => {
            explain_chemistry(sanitize)
        }
        MolProcessingError::Valence(valence) => explain_valence(valence),
        _ => LigandError::Unprocessable,
    }
}

fn explain_grammar(error: &SmilesParseError) -> String {
    match error {
        SmilesParseError::UnclosedRing { index } => format!("ring bond {index} is never closed"),
        SmilesParseError::Atom { offset, text } => {
            let shown: String = text.chars().take(20).collect();
            format!("`{shown}` at character {} is not an atom", offset + 1)
        }
        SmilesParseError::Syntax { offset, message } => {
            format!("{message} at character {}", offset + 1)
        }
        SmilesParseError::Unsupported { token, offset } => {
            format!("`{token}` at character {} has no meaning here", offset + 1)
        }
        other => other.to_string(),
    }
}

fn explain_chemistry(error: &SanitizeError) -> LigandError {
    match error {
        SanitizeError::Properties { source: PropertyCacheError::Valence(valence), .. } => explain_valence(valence),
        SanitizeError::Kekulize {
            source: KekulizeError::NotKekulizable { .. } | KekulizeError::AromaticAtomOutsideRing { .. },
            ..
        } => LigandError::BadAromaticity,
        _ => LigandError::Unprocessable,
    }
}

fn explain_valence(error: &ValenceError) -> LigandError {
    match error {
        ValenceError::InvalidValence { atomic_number, calculated: Some(bonds), .. } => {
            let (symbol, name) = elements::symbol_and_name(*atomic_number);
            LigandError::BadValence { symbol, name, bonds: *bonds }
        }
        _ => LigandError::Unprocessable,
    }
}
