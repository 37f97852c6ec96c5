//! The rows of a library after they were judged: what will be run, and what will not and why.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One unit of work: a ligand against the target, or one design.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// 1-based position among the accepted items of the run.
    pub index: u32,
    /// 1-based row in the user's file or list.
    pub row: u64,
    pub name: String,
    /// What is run; absent for a design, which has no ligand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub smiles: Option<String>,
    /// What the user wrote, where that is something else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original_smiles: Option<String>,
    /// Heavy atoms of the ligand.
    #[serde(default)]
    pub heavy_atoms: u32,
    /// What was changed or should be known, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// A row that will not be run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Rejected {
    /// 1-based row in the user's file or list.
    pub row: u64,
    pub name: String,
    /// As the user wrote it.
    pub smiles: String,
    /// Stable code, e.g. `unreadable`, `duplicate`.
    pub code: String,
    /// In words.
    pub reason: String,
    /// The row that holds the same molecule, where that is the reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duplicate_of: Option<u64>,
}
