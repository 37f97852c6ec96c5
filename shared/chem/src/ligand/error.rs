//! Why a ligand was refused, and what was changed in one that was not. Codes are part of the API
//! and never change; messages are for chemists and name no model.

use serde::{Deserialize, Serialize};

/// Why a SMILES cannot be run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum LigandError {
    /// Nothing but white space.
    #[error("the SMILES is empty")]
    Empty,
    /// Longer than [`super::MAX_SMILES_BYTES`].
    #[error("the SMILES is {bytes} characters long; no drug-like molecule needs more than 4,096")]
    TooLong { bytes: usize },
    /// Not SMILES grammar.
    #[error("this is not a valid SMILES: {detail}")]
    Unreadable { detail: String },
    /// Not a connection table (V2000 or V3000), or one with query features.
    #[error("the structure record cannot be read: {detail}")]
    UnreadableRecord { detail: String },
    /// An atom carries more bonds than its element and charge allow.
    #[error("{name} ({symbol}) has {bonds} bonds, more than its charge allows")]
    BadValence { symbol: String, name: String, bonds: i32 },
    /// Lower-case (aromatic) atoms for which no alternating single and double bonds exist.
    #[error(
        "the aromatic atoms cannot be drawn with alternating double bonds; a ring nitrogen may need its hydrogen, written [nH]"
    )]
    BadAromaticity,
    /// `*`, an R group or an attachment point.
    #[error("contains a placeholder atom (*): every atom must be a real element")]
    Placeholder,
    /// A bond written `~`.
    #[error("contains a bond of undefined order (~)")]
    UndefinedBond,
    /// A metal in the molecule itself, or a metal ion that is not an ordinary counter-ion.
    #[error("contains {name} ({symbol}), a metal: only metal-free organic molecules can be run")]
    Metal { symbol: String, name: String },
    /// An inorganic molecule.
    #[error("contains no carbon: only organic molecules can be run")]
    NoCarbon,
    /// Water and nothing else.
    #[error("this is water, not a ligand")]
    Water,
    /// An atom with an unpaired electron.
    #[error(
        "{name} ({symbol}) has an unpaired electron: radicals cannot be run; a hydrogen may be missing inside the brackets"
    )]
    Radical { symbol: String, name: String },
    /// More than [`super::MAX_HEAVY_ATOMS`].
    #[error("has {heavy_atoms} heavy atoms; the most that can be run is 128")]
    TooManyHeavyAtoms { heavy_atoms: u32 },
    /// Two molecules of comparable size, neither a known counter-ion.
    #[error(
        "is a mixture of two molecules of comparable size ({largest} and {second} heavy atoms): submit them as separate rows"
    )]
    Mixture { largest: u32, second: u32 },
    /// The chemistry library gave up on a molecule it could read.
    #[error("the molecule could be read but not processed; write it in another way or leave it out")]
    Unprocessable,
}

impl LigandError {
    /// Stable machine-readable code, equal to the `code` field of the serialised form.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooLong { .. } => "too_long",
            Self::Unreadable { .. } => "unreadable",
            Self::UnreadableRecord { .. } => "unreadable_record",
            Self::BadValence { .. } => "bad_valence",
            Self::BadAromaticity => "bad_aromaticity",
            Self::Placeholder => "placeholder",
            Self::UndefinedBond => "undefined_bond",
            Self::Metal { .. } => "metal",
            Self::NoCarbon => "no_carbon",
            Self::Water => "water",
            Self::Radical { .. } => "radical",
            Self::TooManyHeavyAtoms { .. } => "too_many_heavy_atoms",
            Self::Mixture { .. } => "mixture",
            Self::Unprocessable => "unprocessable",
        }
    }
}

/// What was changed in an accepted ligand, or should be known about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum Note {
    /// Counter-ions, solvents or smaller fragments were left out; canonical SMILES, as often as
    /// each was written.
    #[error("kept the main molecule and left out {}", removed.join(", "))]
    SaltRemoved { removed: Vec<String> },
    /// The molecule was written more than once.
    #[error("written {copies} times over; kept one copy")]
    CopiesRemoved { copies: u32 },
    /// A CXSMILES tail was left out, and with it any enhanced stereo labels.
    #[error("left out the CXSMILES extension (|...|) after the SMILES")]
    ExtensionRemoved,
    /// More than [`super::RELIABLE_HEAVY_ATOMS`].
    #[error("has {heavy_atoms} heavy atoms; predictions above 56 are less reliable")]
    LargeMolecule { heavy_atoms: u32 },
}

impl Note {
    /// Stable machine-readable code, equal to the `code` field of the serialised form.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::SaltRemoved { .. } => "salt_removed",
            Self::CopiesRemoved { .. } => "copies_removed",
            Self::ExtensionRemoved => "extension_removed",
            Self::LargeMolecule { .. } => "large_molecule",
        }
    }
}
