//! One small molecule as it will be run. The chemistry library's types stay inside this module and
//! its children; callers see SMILES text, counts, notes and reasons. Nothing here knows a model.

mod elements;
mod error;
mod fragments;
mod graph;
mod mol_block;
mod sdf;
mod simple_salts;
mod toolkit;

use std::borrow::Cow;

pub use error::{LigandError, Note};
pub use sdf::sdf_record;

use fragments::Kept;
pub(crate) use graph::Plain;

/// Most heavy (non-hydrogen) atoms a ligand may have: Boltz-2 refuses affinity beyond it.
pub const MAX_HEAVY_ATOMS: u32 = 128;
/// Heavy atoms above which predictions are noted as less reliable (Boltz-2 warns from 57 on).
pub const RELIABLE_HEAVY_ATOMS: u32 = 56;
/// Longest SMILES text looked at, in bytes; 128 heavy atoms with stereo, isotopes and explicit
/// hydrogens stay well below it.
pub const MAX_SMILES_BYTES: usize = 4_096;

/// A small molecule that passed every check: one organic, metal-free, closed-shell fragment of at
/// most [`MAX_HEAVY_ATOMS`] heavy atoms, stereochemistry as written.
///
/// ```
/// let ligand = chem::Ligand::parse("CC(=O)Oc1ccccc1C(=O)[O-].[Na+]").unwrap();
/// assert_eq!(ligand.heavy_atoms(), 13);
/// assert_eq!(ligand.notes()[0].code(), "salt_removed");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ligand {
    original: String,
    smiles: String,
    canonical: Option<String>,
    key: u64,
    heavy_atoms: u32,
    notes: Vec<Note>,
}

impl Ligand {
    /// Reads a SMILES, drops surrounding white space, a CXSMILES tail, counter-ions, solvents and
    /// repeated copies (each noted), and refuses what cannot be run.
    ///
    /// # Errors
    /// The first reason found, in this order: the text, its chemistry, placeholders, metals,
    /// mixtures, no carbon, size, radicals.
    pub fn parse(text: &str) -> Result<Self, LigandError> {
        let (core, extension) = split_extension(text.trim());
        let Kept { smiles, canonical, key, heavy_atoms, notes: changes } = match quick(core) {
            Some(kept) => kept,
            None => {
                check_text(core)?;
                toolkit::guarded(|| fragments::keep(core))?
            }
        };
        let notes = notes(extension, changes, heavy_atoms);
        let smiles = smiles.unwrap_or_else(|| core.to_owned());
        Ok(Self { original: text.to_owned(), smiles, canonical, key, heavy_atoms, notes })
    }

    /// What [`Ligand::parse`] made of a text that is run as it is written.
    pub(crate) fn known(text: &str, Plain { heavy_atoms, key }: Plain) -> Self {
        let (core, extension) = split_extension(text.trim());
        let notes = notes(extension, vec![], heavy_atoms);
        Self { original: text.to_owned(), smiles: core.to_owned(), canonical: None, key, heavy_atoms, notes }
    }

    /// What [`Ligand::known`] needs; `None` unless the ligand is run as it is written.
    pub(crate) fn plain(&self) -> Option<Plain> {
        let of_size = |note: &Note| matches!(note, Note::ExtensionRemoved | Note::LargeMolecule { .. });
        let as_written = self.notes.iter().all(of_size) && self.smiles == split_extension(self.original.trim()).0;
        as_written.then_some(Plain { heavy_atoms: self.heavy_atoms, key: self.key })
    }

    /// Reads a connection table, V2000 or V3000, as [`Ligand::parse`] reads a SMILES. What counts as written is its
    /// canonical SMILES; coordinates are not kept.
    ///
    /// # Errors
    /// As [`Ligand::parse`], and [`LigandError::UnreadableRecord`].
    pub fn from_mol_block(block: &str) -> Result<Self, LigandError> {
        mol_block::check_size(block)?;
        let smiles = toolkit::guarded(|| toolkit::canonical(&toolkit::read_mol_block(block)?, true))?;
        Self::parse(&smiles)
    }

    /// The SMILES to run: the text as written, of the fragment that was kept where others were not. Only where that
    /// fragment's text does not stand alone it is its canonical SMILES.
    #[must_use]
    pub fn smiles(&self) -> &str {
        &self.smiles
    }

    /// The text exactly as it was given.
    #[must_use]
    pub fn original(&self) -> &str {
        &self.original
    }

    /// Canonical isomeric SMILES of the kept fragment: equal for equal molecules, however written. Worked out when asked
    /// for (about 0.1 ms), unless judging the molecule has needed it. The SMILES itself for the rare molecule that the
    /// chemistry library cannot order.
    #[must_use]
    pub fn canonical(&self) -> Cow<'_, str> {
        match &self.canonical {
            Some(known) => Cow::Borrowed(known),
            None => Cow::Owned(canonical(&self.smiles)),
        }
    }

    /// A number that is equal for equal molecules, however written, and for few others: stereoisomers share it.
    #[must_use]
    pub fn key(&self) -> u64 {
        self.key
    }

    /// Has [`Ligand::canonical`] ready.
    pub(crate) fn canonicalise(&mut self) {
        if self.canonical.is_none() {
            self.canonical = Some(canonical(&self.smiles));
        }
    }

    /// Number of non-hydrogen atoms in the kept fragment.
    #[must_use]
    pub fn heavy_atoms(&self) -> u32 {
        self.heavy_atoms
    }

    /// What was changed, and what to know about the result; empty when run as written.
    #[must_use]
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }
}

/// Canonical SMILES of a text that [`Ligand::smiles`] has given.
pub(crate) fn canonical(smiles: &str) -> String {
    toolkit::guarded(|| toolkit::canonical(&toolkit::read(smiles)?, true)).unwrap_or_else(|_| smiles.to_owned())
}

/// Judges what is plain enough to be judged without the chemistry library, some fifty times as fast.
fn quick(core: &str) -> Option<Kept> {
    if core.contains('.') {
        return simple_salts::keep(core);
    }
    let Plain { heavy_atoms, key } = graph::plain(core)?;
    Some(Kept { smiles: None, canonical: None, key, heavy_atoms, notes: vec![] })
}

/// What is to be told of a ligand to which that was done.
fn notes(extension: bool, changes: Vec<Note>, heavy_atoms: u32) -> Vec<Note> {
    let large = (heavy_atoms > RELIABLE_HEAVY_ATOMS).then_some(Note::LargeMolecule { heavy_atoms });
    extension.then_some(Note::ExtensionRemoved).into_iter().chain(changes).chain(large).collect()
}

/// Splits a CXSMILES tail (` |...|`) off; says whether there was one.
fn split_extension(text: &str) -> (&str, bool) {
    match text.find(char::is_whitespace) {
        Some(at) if text.ends_with('|') && text[at..].trim_start().starts_with('|') => (&text[..at], true),
        _ => (text, false),
    }
}

/// Heavy atoms of all fragments together: a salt may bring several, but beyond this no choice is worth the time.
const MOST_ATOMS_IN_ALL_FRAGMENTS: u32 = 4 * MAX_HEAVY_ATOMS;

/// Cheap checks that keep absurd input away from the chemistry library, whose canonical ranking
/// and ring search take seconds on thousands of atoms.
fn check_text(core: &str) -> Result<(), LigandError> {
    if core.is_empty() {
        return Err(LigandError::Empty);
    }
    if core.len() > MAX_SMILES_BYTES {
        return Err(LigandError::TooLong { bytes: core.len() });
    }
    if let Some(odd) = core.chars().find(|c| !c.is_ascii_graphic()) {
        let what = if odd.is_whitespace() { "white space".into() } else { format!("the character {odd:?}") };
        return Err(LigandError::Unreadable { detail: format!("it contains {what}") });
    }
    if core.contains('~') {
        return Err(LigandError::UndefinedBond);
    }
    let written = heavy_atoms_written(core);
    if written > MOST_ATOMS_IN_ALL_FRAGMENTS {
        return Err(LigandError::TooManyHeavyAtoms { heavy_atoms: written });
    }
    Ok(())
}

/// Counts heavy atoms from the text alone: organic-subset letters, and brackets other than `[H]`.
fn heavy_atoms_written(core: &str) -> u32 {
    let mut count = 0;
    let mut rest = core;
    while let Some(first) = rest.chars().next() {
        let mut step = 1;
        if first == '[' {
            let inside = rest[1..].split(']').next().unwrap_or_default();
            let symbol = inside.trim_start_matches(|c: char| c.is_ascii_digit());
            let hydrogen = symbol.starts_with('H') && !symbol[1..].starts_with(|c: char| c.is_ascii_lowercase());
            count += u32::from(!hydrogen);
            step = (inside.len() + 2).min(rest.len());
        } else if "BCNOPSFIbcnops*".contains(first) {
            count += 1;
        }
        rest = &rest[step..];
    }
    count
}

#[cfg(test)]
mod tests;
