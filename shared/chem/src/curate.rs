//! The verdict on each row of a library: accepted (perhaps modified), or rejected with a reason.
//! Remembers what it has seen, so that a molecule is run once. Reading files is
//! [`crate::library`]'s work; chemistry is [`crate::ligand`]'s.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::library::{Record, RowError, RowProblem, Structure};
use crate::ligand::{Ligand, LigandError};

/// Longest name kept, in characters.
pub const MAX_NAME_CHARACTERS: usize = 200;

/// What becomes of one row. `row` is [`Record::row`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Runs; the ligand's notes say what was modified.
    Accepted { row: u64, name: String, ligand: Ligand },
    /// Does not run. `smiles` is the text as given: where the row could not be read, the row itself; empty for a
    /// connection table that is no molecule.
    Rejected { row: u64, name: String, smiles: String, reason: RejectReason },
}

/// Why a row does not run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectReason {
    /// The molecule cannot be run.
    #[error(transparent)]
    Ligand(LigandError),
    /// The same molecule, after salts were dropped, came before.
    #[error("is the same molecule as {of_name} (row {of_row})")]
    Duplicate { of_row: u64, of_name: String },
    /// The row has a name but no SMILES.
    #[error("the row has no SMILES")]
    EmptySmiles,
    /// The row itself is broken.
    #[error(transparent)]
    UnreadableRow(RowProblem),
}

impl RejectReason {
    /// Stable machine-readable code: the inner reason's own where there is one.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Ligand(error) => error.code(),
            Self::Duplicate { .. } => "duplicate",
            Self::EmptySmiles => "empty_smiles",
            Self::UnreadableRow(problem) => problem.code(),
        }
    }
}

/// Judges rows one after another. Memory grows by about 100 bytes per accepted ligand: a 128-bit
/// hash of the canonical SMILES, a row number and a name.
#[derive(Debug, Default)]
pub struct Curator {
    seen: HashMap<[u8; 16], (u64, Box<str>)>,
}

impl Curator {
    /// A curator that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of different ligands accepted so far.
    #[must_use]
    pub fn accepted(&self) -> usize {
        self.seen.len()
    }

    /// The verdict on a row that could be read.
    pub fn judge(&mut self, row: impl Into<Record>) -> Verdict {
        let Record { row, name, structure } = row.into();
        let name = clean_name(name.as_deref(), row);
        let (parsed, smiles) = match structure {
            Structure::Smiles(smiles) => (Ligand::parse(&smiles), smiles),
            Structure::MolBlock(block) => (Ligand::from_mol_block(&block), String::new()),
        };
        match parsed {
            Ok(ligand) => self.admit(row, name, ligand),
            Err(LigandError::Empty) => Verdict::Rejected { row, name, smiles, reason: RejectReason::EmptySmiles },
            Err(error) => Verdict::Rejected { row, name, smiles, reason: RejectReason::Ligand(error) },
        }
    }

    fn admit(&mut self, row: u64, name: String, ligand: Ligand) -> Verdict {
        match self.seen.entry(identity(ligand.canonical())) {
            Entry::Vacant(free) => {
                free.insert((row, name.as_str().into()));
                Verdict::Accepted { row, name, ligand }
            }
            Entry::Occupied(earlier) => {
                let (of_row, of_name) = earlier.get();
                let reason = RejectReason::Duplicate { of_row: *of_row, of_name: of_name.to_string() };
                Verdict::Rejected { row, name, smiles: ligand.original().to_owned(), reason }
            }
        }
    }
}

impl From<RowError> for Verdict {
    fn from(error: RowError) -> Self {
        Self::Rejected {
            row: error.row,
            name: clean_name(None, error.row),
            smiles: error.text,
            reason: RejectReason::UnreadableRow(error.problem),
        }
    }
}

/// First 128 bits of SHA-256: with 10^7 ligands the chance of any false duplicate is about 10^-25.
fn identity(canonical: &str) -> [u8; 16] {
    let digest = Sha256::digest(canonical.as_bytes());
    let mut id = [0; 16];
    id.copy_from_slice(&digest[..16]);
    id
}

/// The user's name without control characters and surrounding space, cut to
/// [`MAX_NAME_CHARACTERS`]; `ligand_<row>` where nothing is left.
fn clean_name(given: Option<&str>, row: u64) -> String {
    let visible: String = given.unwrap_or_default().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let cut: String = visible.trim().chars().take(MAX_NAME_CHARACTERS).collect();
    match cut.trim_end() {
        "" => format!("ligand_{row}"),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests;
