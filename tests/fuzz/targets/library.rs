//! A library from any bytes, whatever format they claim to be: bounded rows in the order of the file, or a reason.
#![no_main]

use bytes::Bytes;
use chem::{
    Curator, LibraryReader, ReadError, Structure,
    library::{MAX_BLOCK_BYTES, MAX_LINE_BYTES},
};
use libfuzzer_sys::fuzz_target;

/// After decompression, in bytes.
const MOST: u64 = 1 << 20;
/// Rows looked at: a Parquet file may claim millions of the same.
const ROWS: usize = 10_000;
/// Rows whose molecule is looked at too; reading molecules has a target of its own.
const JUDGED: usize = 4;

fuzz_target!(init: {
    // A panic that a wrapper around a library catches is no crash.
    std::panic::set_hook(Box::new(|_| {}));
}, |data: &[u8]| {
    let Ok(rows) = LibraryReader::with_max_bytes(Bytes::copy_from_slice(data), MOST) else { return };
    let (mut last, mut ended, mut curator) = (0, false, Curator::new());
    for (n, row) in rows.take(ROWS).enumerate() {
        assert!(!ended, "nothing follows the end");
        match row {
            Ok(record) => {
                assert!(record.row > last, "row {} after row {last}", record.row);
                last = record.row;
                // Bytes that are no text may become three each.
                match &record.structure {
                    Structure::Smiles(text) => assert!(text.len() as u64 <= MOST.max(3 * MAX_LINE_BYTES as u64)),
                    Structure::MolBlock(text) => assert!(text.len() <= 3 * MAX_BLOCK_BYTES),
                }
                if n < JUDGED {
                    curator.judge(record);
                }
            }
            Err(ReadError::Row(_)) => {}
            Err(ReadError::Library(_)) => ended = true,
        }
    }
});
