//! A part of an object that is read in pieces, one of which is on its way while the one before it is worked on. Where
//! many are read side by side they share what memory there is for that.

use crate::Beside;
use bytes::Bytes;
use platform::{BlobPath, Blobs, Error, Result};
use std::ops::Range;

/// The smallest piece worth a request, in bytes.
const SMALLEST: u64 = 32 * 1024;

pub struct Pieces {
    blobs: Blobs,
    path: BlobPath,
    /// What is not yet on its way.
    rest: Range<u64>,
    piece: u64,
    next: Option<Beside<Bytes, Error>>,
}

impl Pieces {
    /// Begins to read these bytes, as one of so many `readers` that take about `memory` bytes together.
    pub fn begin(blobs: &Blobs, path: &BlobPath, bytes: Range<u64>, memory: u64, readers: usize) -> Self {
        let piece = (memory / 2 / readers.max(1) as u64).max(SMALLEST);
        let mut pieces = Pieces { blobs: blobs.clone(), path: path.clone(), rest: bytes, piece, next: None };
        pieces.ask();
        pieces
    }

    /// The next bytes; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        let Some(next) = self.next.take() else { return Ok(None) };
        let piece = next.end("reading an object").await?;
        self.ask();
        Ok(Some(piece))
    }

    fn ask(&mut self) {
        if self.rest.is_empty() {
            return;
        }
        let bytes = self.rest.start..self.rest.end.min(self.rest.start + self.piece);
        self.rest.start = bytes.end;
        let (blobs, path) = (self.blobs.clone(), self.path.clone());
        self.next = Some(Beside::begin(async move { blobs.get_range(&path, bytes).await }));
    }
}
