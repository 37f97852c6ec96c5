//! Where a library's bytes come from. What they mean is decided elsewhere, and who keeps them is the caller's affair.

use std::io::{self, BufRead, Cursor};

use bytes::Bytes;

/// Something that holds a library, read from the beginning or in places. Both ways show the same unchanging bytes.
pub trait Source: Send + Sync + 'static {
    /// Bytes in all.
    fn size(&self) -> u64;

    /// Everything, from the first byte on.
    ///
    /// # Errors
    /// The bytes cannot be reached.
    fn stream(&self) -> io::Result<Box<dyn BufRead + Send>>;

    /// Exactly `length` bytes from `start` on.
    ///
    /// # Errors
    /// The bytes cannot be reached, or end before that ([`io::ErrorKind::UnexpectedEof`]).
    fn range(&self, start: u64, length: usize) -> io::Result<Bytes>;
}

impl Source for Bytes {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn stream(&self) -> io::Result<Box<dyn BufRead + Send>> {
        Ok(Box::new(Cursor::new(self.clone())))
    }

    fn range(&self, start: u64, length: usize) -> io::Result<Bytes> {
        let start = usize::try_from(start).unwrap_or(usize::MAX);
        let end = start.saturating_add(length);
        if end > self.len() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(self.slice(start..end)) }
    }
}
