//! What a first reading of a library finds out, so that the next one need not: which molecules come more than once, and
//! what is known of each row. No policy here.

use rayon::prelude::*;

use super::read;
use crate::library::{Record, RowError};
use crate::ligand::Plain;

/// In place of the key of a row that holds no molecule.
const NO_KEY: u64 = 0;

/// The rows of a library, on their way to a [`FirstReading`].
#[derive(Debug, Default)]
pub struct Noted {
    /// Of each row, in their order.
    keys: Vec<u64>,
    /// Of each row whose molecule is run as it is written; 0 for the others.
    heavy_atoms: Vec<u8>,
}

/// What a first reading of a library leaves behind: nine bytes a row, whatever the rows hold, and eight for each
/// molecule that comes more than once.
#[derive(Debug)]
pub struct FirstReading {
    rows: Noted,
    /// The keys that came more than once, sorted.
    repeated: Vec<u64>,
}

impl Noted {
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

    /// What all rows together tell. Takes eight bytes a row more while it works.
    #[must_use]
    pub fn finished(self) -> FirstReading {
        let mut keys: Vec<_> = self.keys.iter().copied().filter(|key| *key != NO_KEY).collect();
        keys.par_sort_unstable();
        let repeated = keys.chunk_by(u64::eq).filter(|same| same.len() > 1).map(|same| same[0]).collect();
        FirstReading { rows: self, repeated }
    }
}

impl FirstReading {
    /// False where a ligand with this key comes at most once.
    pub(super) fn is_repeated(&self, key: u64) -> bool {
        key == NO_KEY || self.repeated.binary_search(&key).is_ok()
    }

    /// What is known of the row in this place, counted from 0.
    pub(super) fn plain(&self, place: usize) -> Option<Plain> {
        let heavy_atoms = self.rows.heavy_atoms.get(place).copied().filter(|atoms| *atoms > 0)?;
        Some(Plain { heavy_atoms: heavy_atoms.into(), key: self.rows.keys[place] })
    }
}
