//! What kind of file the first bytes announce, and gzip streams that may not grow without end. Nothing here looks at
//! names of files, nor at rows.

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;

use super::LibraryError;

/// Most bytes that one byte of gzip may stand for. Real libraries reach 4 to 12, deflate at its best about 1,030.
const MAX_RATIO: u64 = 200;
/// Decompressed bytes below which the ratio is not asked for: a short file of equal lines is no attack.
const RATIO_FROM: u64 = 16 << 20;
/// Decompressed bytes handed out at a time.
const BUFFER: usize = 64 * 1024;

/// What a file is by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Gzip,
    Parquet,
    /// Perhaps: nothing says that it is not.
    Text,
}

impl Kind {
    /// Decides from the first bytes that are at hand.
    ///
    /// # Errors
    /// What is plainly neither text nor a format that is read here.
    pub fn of(head: &[u8]) -> Result<Self, LibraryError> {
        let what = match head {
            [0x1f, 0x8b, ..] => return Ok(Self::Gzip),
            [b'P', b'A', b'R', b'1', ..] => return Ok(Self::Parquet),
            [b'P', b'K', 3, 4, ..] => "a zip archive or an Excel workbook",
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "UTF-16 text",
            [0xd0, 0xcf, 0x11, 0xe0, ..] => "an old Excel workbook",
            [0x28, 0xb5, 0x2f, 0xfd, ..] => "compressed with Zstandard",
            [b'B', b'Z', b'h', ..] => "compressed with bzip2",
            [0xfd, b'7', b'z', b'X', ..] => "compressed with xz",
            _ => return Ok(Self::Text),
        };
        Err(LibraryError::NotText { what })
    }
}

/// The first bytes of a stream (fewer than four at its end) and the stream from its beginning.
pub(super) fn peek(source: Box<dyn BufRead + Send>) -> io::Result<([u8; 4], Box<dyn BufRead + Send>)> {
    let mut source = source;
    let mut head = [0; 4];
    let mut filled = 0;
    while filled < head.len() {
        match source.read(&mut head[filled..])? {
            0 => break,
            count => filled += count,
        }
    }
    let begun = io::Cursor::new(head).take(filled as u64);
    Ok((head, Box::new(begun.chain(source))))
}

/// The content of a gzip stream of one or more members.
pub(super) fn gunzip(source: Box<dyn BufRead + Send>) -> Box<dyn BufRead + Send> {
    let decoder = MultiGzDecoder::new(Counted { source, taken: 0 });
    Box::new(BufReader::with_capacity(BUFFER, Gunzip { decoder, given: 0 }))
}

/// A reader that knows how many bytes were taken from it.
struct Counted<R> {
    source: R,
    taken: u64,
}

impl<R: BufRead> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.taken += count as u64;
        Ok(count)
    }
}

impl<R: BufRead> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.source.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.source.consume(count);
        self.taken += count as u64;
    }
}

struct Gunzip<R> {
    decoder: MultiGzDecoder<Counted<R>>,
    given: u64,
}

impl<R: BufRead> Read for Gunzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.decoder.read(buffer)?;
        self.given += count as u64;
        let taken = self.decoder.get_ref().taken.max(1);
        if self.given > RATIO_FROM && self.given / taken > MAX_RATIO {
            return Err(io::Error::new(io::ErrorKind::InvalidData, Bomb));
        }
        Ok(count)
    }
}

/// A gzip stream that grows beyond reason.
#[derive(Debug, thiserror::Error)]
#[error("one byte of it stands for more than {MAX_RATIO} bytes")]
pub(super) struct Bomb;
