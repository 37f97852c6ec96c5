//! The verdict on each row of a library: accepted (perhaps modified), or rejected with a reason.
//! Remembers what it has seen, so that a molecule is run once. Reading files is
//! [`crate::library`]'s work; chemistry is [`crate::ligand`]'s.

mod first_reading;
mod seen;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::library::{Record, RowError, RowProblem, Structure};
use crate::ligand::{Ligand, LigandError, Plain, canonical};
pub use first_reading::{FirstReading, Noted};
use seen::Seen;

/// Rows that [`Curator::judge_all`] is best given at a time: enough for all cores, and little memory.
pub const BATCH: usize = 4096;
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

/// Judges rows in their order: of equal molecules the first runs. Remembers each accepted ligand that may come again:
/// about 60 bytes beside its SMILES and name. Without a first reading of the library, all may.
#[derive(Debug, Default)]
pub struct Curator {
    first_reading: Option<Arc<FirstReading>>,
    seen: Seen,
    /// Rows judged.
    judged: usize,
    accepted: usize,
}

impl Curator {
    /// A curator that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A curator for a library that was read once before, to which all of its rows come, in their order and as they were
    /// then. Its verdicts are the same.
    #[must_use]
    pub fn knowing(first_reading: Arc<FirstReading>) -> Self {
        Self { first_reading: Some(first_reading), ..Self::default() }
    }

    /// Number of different ligands accepted so far.
    #[must_use]
    pub fn accepted(&self) -> usize {
        self.accepted
    }

    /// Whether a ligand with this key may come again, or may have come before.
    fn may_repeat(&self, key: u64) -> bool {
        self.first_reading.as_ref().is_none_or(|first_reading| first_reading.is_repeated(key))
    }

    /// What is known of the row at this place, from 0.
    fn known(&self, at: usize) -> Option<Plain> {
        self.first_reading.as_ref()?.plain(at)
    }

    /// The verdict on a row that could be read.
    pub fn judge(&mut self, row: impl Into<Record>) -> Verdict {
        self.judged += 1;
        read(row.into(), self.known(self.judged - 1)).map_or_else(|refused| *refused, |read| self.admit(read))
    }

    /// The verdicts on the next rows of a library, in their order, the same as one by one. Works on all cores; a few
    /// thousand rows at a time keep them busy.
    pub fn judge_all(&mut self, rows: Vec<Result<Record, RowError>>) -> Vec<Verdict> {
        let begin = self.judged;
        self.judged += rows.len();
        let judge = |(at, row): (usize, Result<Record, RowError>)| {
            row.map_err(|error| Box::new(error.into())).and_then(|row| read(row, self.known(begin + at)))
        };
        let mut read: Vec<Result<Read, Box<Verdict>>> = rows.into_par_iter().enumerate().map(judge).collect();
        self.order(&mut read);
        read.into_iter().map(|row| row.map_or_else(|refused| *refused, |read| self.admit(read))).collect()
    }

    /// Works out the canonical SMILES that admitting these ligands will ask for: of those that may be the same as
    /// another one, written differently.
    fn order(&mut self, rows: &mut [Result<Read, Box<Verdict>>]) {
        let mut first: HashMap<u64, usize> = HashMap::new();
        let (mut here, mut before) = (HashSet::new(), HashSet::new());
        let readable = rows.iter().enumerate().filter_map(|(at, row)| Some((at, &row.as_ref().ok()?.ligand)));
        for (at, ligand) in readable.filter(|(_, ligand)| self.may_repeat(ligand.key())) {
            if let Some(known) = self.seen.first_with(ligand.key()) {
                if self.seen.smiles(known) != ligand.smiles() {
                    here.insert(at);
                    before.extend((!self.seen.is_ordered(known)).then_some(known));
                }
                continue;
            }
            let first = *first.entry(ligand.key()).or_insert(at);
            if rows[first].as_ref().is_ok_and(|first| first.ligand.smiles() != ligand.smiles()) {
                here.extend([first, at]);
            }
        }
        let asked =
            rows.iter_mut().enumerate().filter(|(at, _)| here.contains(at)).filter_map(|(_, row)| row.as_mut().ok());
        asked.collect::<Vec<_>>().into_par_iter().for_each(|read| read.ligand.canonicalise());
        let seen = &self.seen;
        let ordered: Vec<(u32, String)> =
            before.into_par_iter().map(|ligand| (ligand, canonical(seen.smiles(ligand)))).collect();
        ordered.iter().for_each(|(ligand, canonical)| self.seen.order(*ligand, canonical));
    }

    fn admit(&mut self, Read { row, name, ligand }: Read) -> Verdict {
        let known = if self.may_repeat(ligand.key()) { self.seen.add(row, &name, &ligand) } else { Ok(()) };
        match known {
            Ok(()) => {
                self.accepted += 1;
                Verdict::Accepted { row, name, ligand }
            }
            Err(same) => {
                let (of_row, of_name) = (self.seen.row(same), self.seen.name(same).to_owned());
                let reason = RejectReason::Duplicate { of_row, of_name };
                Verdict::Rejected { row, name, smiles: ligand.original().to_owned(), reason }
            }
        }
    }
}

/// A row whose molecule can be run.
struct Read {
    row: u64,
    name: String,
    ligand: Ligand,
}

/// Judges a row for itself, whatever else the library holds; or recalls what is `known` of it.
fn read(record: Record, known: Option<Plain>) -> Result<Read, Box<Verdict>> {
    let Record { row, name, structure } = record;
    let name = clean_name(name.as_deref(), row);
    let (parsed, smiles) = match structure {
        Structure::Smiles(smiles) => {
            (known.map_or_else(|| Ligand::parse(&smiles), |known| Ok(Ligand::known(&smiles, known))), smiles)
        }
        Structure::MolBlock(block) => (Ligand::from_mol_block(&block), String::new()),
    };
    let reason = match parsed {
        Ok(ligand) => return Ok(Read { row, name, ligand }),
        Err(LigandError::Empty) => RejectReason::EmptySmiles,
        Err(error) => RejectReason::Ligand(error),
    };
    Err(Box::new(Verdict::Rejected { row, name, smiles, reason }))
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
