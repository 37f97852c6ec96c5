//! Predicted structures: counting chains in an mmCIF, and rewriting its atoms as PDB for tools
//! that read nothing newer. Only the `_atom_site` table is read; nothing is computed or moved.

mod cif;
mod pdb;

pub use pdb::cif_to_pdb;

use cif::Table;

/// Why a structure cannot be read or rewritten.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StructureError {
    /// No `_atom_site` loop, or no row in it.
    #[error("the mmCIF holds no atoms")]
    NoAtoms,
    /// A column that every structure needs is missing.
    #[error("the mmCIF atom table has no column {column}")]
    MissingColumn { column: &'static str },
    /// The table breaks off; `atom` counts rows from 1.
    #[error("the mmCIF atom table breaks off at atom {atom}")]
    BrokenRow { atom: usize },
    /// A cell that should be a number is not.
    #[error("atom {atom}: {column} is not a number: {text}")]
    NotANumber { atom: usize, column: &'static str, text: String },
    /// PDB numbers atoms with five digits, and chains end with a numbered record too.
    #[error("{records} atom and chain-end records do not fit a PDB file, which numbers up to 99,999")]
    TooManyAtoms { records: usize },
    /// PDB chain ids are one character: 62 letters and digits.
    #[error("{chains} chains do not fit a PDB file, which can name 62")]
    TooManyChains { chains: usize },
    /// A value wider than its PDB field.
    #[error("atom {atom}: {column} {text} does not fit its PDB field")]
    DoesNotFit { atom: usize, column: &'static str, text: String },
}

/// Number of different chains among the atoms of an mmCIF. A complex that lost its ligand on the
/// way shows up as one chain too few.
///
/// # Errors
/// The text has no readable atom table.
pub fn chain_count(cif: &str) -> Result<usize, StructureError> {
    let table = Table::read(cif)?;
    let chain = table.either("auth_asym_id", "label_asym_id")?;
    let chains: std::collections::BTreeSet<&str> = table.rows().map(|row| row[chain]).collect();
    Ok(chains.len())
}

#[cfg(test)]
mod tests;
