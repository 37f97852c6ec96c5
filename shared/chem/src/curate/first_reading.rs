//! What a first reading of a library finds out, so that the next one need not: which molecules come more than once, and
//! what is known of each row. No policy here.

use rayon::prelude::*;

use super::read;
use crate::library::{Record, RowError};
use crate::ligand::Plain;

/// In place of the key of a row that holds no molecule.
const NO_KEY: u64 = 0;

/// What a first reading of a library leaves behind: nine bytes a row, whatever the rows hold, and eight for each
/// molecule that comes more than once.
#[derive(Debug, Default)]
pub struct FirstReading {
    /// Of each row, in their order.
    keys: Vec<u64>,
    /// Of each row whose molecule is run as it is written; 0 for the others.
    heavy_atoms: Vec<u8>,
    /// The keys that came more than once, sorted.
    repeated: Vec<u64>,
}

impl FirstReading {
    /// Takes note of the next rows. Works on all cores.
    pub fn note_all(&mut self, rows: Vec<Result<Record, RowError>>) {
        let noted = rows.into_par_iter().map(|row| match row.ok().and_then(|row| read(row, None).ok()) {
            Some(read) => (read.ligand.key(), read.ligand.plain().map_or(0, |plain| plain.heavy_atoms as u8)),
            None => (NO_KEY, 0),
        });
        let (keys, heavy_atoms): (Vec<_>, Vec<_>) = noted.unzip();
        self.keys.extend(keys);
        self.heavy_atoms.extend(heavy_atoms);
    }

    /// All rows were noted.
    #[must_use]
    pub fn finished(mut self) -> Self {
        let mut keys = self.keys.clone();
        keys.par_sort_unstable();
        let again = keys.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]);
        self.repeated = again.collect();
        self.repeated.dedup();
        self.repeated.shrink_to_fit();
        self
    }

    /// False where a ligand with this key comes at most once.
    pub(super) fn is_repeated(&self, key: u64) -> bool {
        key == NO_KEY || self.repeated.binary_search(&key).is_ok()
    }

    /// What is known of the row in this place, counted from 0.
    pub(super) fn plain(&self, place: usize) -> Option<Plain> {
        let heavy_atoms = self.heavy_atoms.get(place).copied().filter(|atoms| *atoms > 0)?;
        Some(Plain { heavy_atoms: heavy_atoms.into(), key: self.keys[place] })
    }
}
