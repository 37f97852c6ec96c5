//! Resumable uploads: pieces that arrive one after another, and become an object with the last.

use crate::{Draft, Stored};
use bytes::{Bytes, BytesMut};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// Uploads that have begun. Cloning shares them.
#[derive(Clone, Default)]
pub(crate) struct Uploads(Arc<Mutex<HashMap<String, Upload>>>);

enum Upload {
    Open { draft: Box<Draft>, arrived: BytesMut },
    Done(Box<Stored>),
}

/// Where a `Content-Range` header says a piece belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// The place of its first byte; absent where it has none.
    pub begin: Option<usize>,
    /// The size of the whole, once the sender knows it.
    pub whole: Option<usize>,
}

/// How an upload stands after a piece.
pub(crate) enum Progress {
    /// So many bytes have arrived.
    Waiting(usize),
    Complete(Box<Draft>, Bytes),
    Done(Box<Stored>),
    Unknown,
}

impl Piece {
    /// Reads `bytes 0-99/*`, `bytes 0-99/100`, `bytes */100` and `bytes */*`.
    pub(crate) fn parse(header: &str) -> Option<Piece> {
        let (range, whole) = header.strip_prefix("bytes ")?.split_once('/')?;
        let begin = match range {
            "*" => None,
            range => Some(range.split_once('-')?.0.parse().ok()?),
        };
        let whole = match whole {
            "*" => None,
            number => Some(number.parse().ok()?),
        };
        Some(Piece { begin, whole })
    }
}

impl Uploads {
    /// Begins one; its id.
    pub(crate) fn begin(&self, draft: Draft) -> String {
        let mut uploads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let id = format!("upload-{}", uploads.len() + 1);
        uploads.insert(id.clone(), Upload::Open { draft: Box::new(draft), arrived: BytesMut::new() });
        id
    }

    /// Takes a piece. `crc32c` is the checksum of the whole, sent with the last piece.
    pub(crate) fn take(&self, id: &str, piece: Piece, content: &[u8], crc32c: Option<u32>) -> Progress {
        let mut uploads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match uploads.get_mut(id) {
            None => Progress::Unknown,
            Some(Upload::Done(stored)) => Progress::Done(stored.clone()),
            Some(Upload::Open { draft, arrived }) => {
                if let Some(begin) = piece.begin.filter(|begin| *begin <= arrived.len()) {
                    arrived.truncate(begin);
                    arrived.extend_from_slice(content);
                }
                draft.crc32c = draft.crc32c.or(crc32c);
                match piece.whole {
                    Some(whole) if whole == arrived.len() => {
                        Progress::Complete(draft.clone(), Bytes::copy_from_slice(arrived))
                    }
                    _ => Progress::Waiting(arrived.len()),
                }
            }
        }
    }

    /// Remembers what became of one.
    pub(crate) fn done(&self, id: &str, stored: Stored) {
        let mut uploads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        uploads.insert(id.to_owned(), Upload::Done(Box::new(stored)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_become_the_whole_and_a_repeated_one_changes_nothing() {
        let uploads = Uploads::default();
        let id = uploads.begin(Draft::default());
        let piece = |header| Piece::parse(header).unwrap();
        assert!(matches!(uploads.take(&id, piece("bytes 0-2/*"), b"abc", None), Progress::Waiting(3)));
        assert!(matches!(uploads.take(&id, piece("bytes 0-2/*"), b"abc", None), Progress::Waiting(3)));
        assert!(matches!(uploads.take(&id, piece("bytes */*"), b"", None), Progress::Waiting(3)));
        assert!(matches!(uploads.take(&id, piece("bytes 9-9/10"), b"x", None), Progress::Waiting(3)), "a gap");
        let last = uploads.take(&id, piece("bytes 3-4/5"), b"de", None);
        assert!(matches!(last, Progress::Complete(_, whole) if whole == "abcde"));
        assert!(matches!(uploads.take("other", piece("bytes */*"), b"", None), Progress::Unknown));
        assert!(Piece::parse("bytes 0-2").is_none());
    }
}
