//! Which molecules of a library may come more than once, found in a first reading of it. No policy here.

use rayon::prelude::*;

use super::read;
use crate::library::{Record, RowError};

/// Places for keys, a power of two.
const PLACES: usize = 1 << 25;
/// Bits of a place: the first says that a key came, the second that one came again.
const BITS: usize = 2;
const IN_A_WORD: usize = u64::BITS as usize / BITS;

/// What a first reading of a library leaves behind, in 8 MiB whatever the library holds. A molecule it rules out comes
/// once; of a million different ones it rules out 97 in 100, and those that it does not only take more memory.
#[derive(Debug)]
pub struct Repeats(Vec<u64>);

impl Repeats {
    /// Takes note of the next rows. Works on all cores.
    pub fn note_all(&mut self, rows: Vec<Result<Record, RowError>>) {
        let keys = rows.into_par_iter().filter_map(|row| Some(read(row.ok()?).ok()?.ligand.key()));
        for key in keys.collect::<Vec<_>>() {
            let (word, shift) = place(key);
            let came = self.0[word] >> shift & 1;
            self.0[word] |= 1 << shift | came << (shift + 1);
        }
    }

    /// False where a ligand with this key comes at most once.
    pub(super) fn possible(&self, key: u64) -> bool {
        let (word, shift) = place(key);
        self.0[word] >> shift & 2 != 0
    }
}

impl Default for Repeats {
    fn default() -> Self {
        Self(vec![0; PLACES / IN_A_WORD])
    }
}

/// The word of a key, and the bit in it: the key is a hash.
fn place(key: u64) -> (usize, usize) {
    let place = key as usize % PLACES;
    (place / IN_A_WORD, place % IN_A_WORD * BITS)
}
