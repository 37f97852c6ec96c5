//! A library from any bytes, under each kind of file name: bounded rows in the order of the file, or a reason.
#![no_main]

use chem::{Curator, LibraryReader, ReadError, library::MAX_LINE_BYTES};
use libfuzzer_sys::fuzz_target;
use std::io::Cursor;

const NAMES: [&str; 4] = ["library.csv", "library.smi", "library.tsv.gz", "library"];
/// After decompression, in bytes.
const MOST: u64 = 1 << 20;
/// Rows whose molecule is looked at too; reading molecules has a target of its own.
const JUDGED: usize = 4;

fuzz_target!(init: {
    // A panic that the chemistry library's wrapper catches is no crash.
    std::panic::set_hook(Box::new(|_| {}));
}, |data: &[u8]| {
    let Some((first, content)) = data.split_first() else { return };
    let name = NAMES[usize::from(*first) % NAMES.len()];
    let Ok(rows) = LibraryReader::with_max_bytes(Cursor::new(content.to_vec()), name, MOST) else { return };
    let (mut last, mut ended, mut curator) = (0, false, Curator::new());
    for (n, row) in rows.enumerate() {
        assert!(!ended, "nothing follows the end");
        match row {
            Ok(row) => {
                assert!(row.row > last, "row {} after row {last}", row.row);
                assert!(row.smiles.len() <= 3 * MAX_LINE_BYTES, "bytes that are no text may become three each");
                last = row.row;
                if n < JUDGED {
                    curator.judge(row);
                }
            }
            Err(ReadError::Row(_)) => {}
            Err(ReadError::Library(_)) => ended = true,
        }
    }
});
