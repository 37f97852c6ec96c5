//! Ligand libraries as users have them: CSV, TSV and SMI, plain or gzipped, streamed row by row in
//! bounded memory. This module finds the columns and the text in them; whether that text is a
//! molecule is [`crate::curate`]'s question.

mod error;
mod layout;
mod lines;

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Cursor, Read};

use flate2::bufread::MultiGzDecoder;

pub use error::{LibraryError, ReadError, RowError, RowProblem};
use layout::Layout;
use lines::{Line, Lines};

/// Longest line read, in bytes; longer ones are rejected rows.
pub const MAX_LINE_BYTES: usize = 64 * 1024;
/// Bytes read at most from a library after decompression, unless told otherwise: 4 GiB, about
/// 4 × 10^7 rows.
pub const DEFAULT_MAX_BYTES: u64 = 4 << 30;
/// Lines looked at before the columns are decided.
const SAMPLE_LINES: usize = 50;

/// One data row. `row` counts lines of the file from 1, not counting the header line but counting
/// blank ones: row 1 is the first line after the header, or the first line where there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LibraryRow {
    pub row: u64,
    /// The first non-empty name column; bytes that are not UTF-8 shown as `U+FFFD`.
    pub name: Option<String>,
    /// The text of the SMILES column, possibly empty, with its CXSMILES tail if it has one.
    pub smiles: String,
}

/// Streams a library. An iterator of rows: a broken row is an error and reading goes on; a
/// [`ReadError::Library`] ends it.
pub struct LibraryReader {
    lines: Lines,
    ahead: VecDeque<Line>,
    layout: Layout,
    finished: bool,
}

impl LibraryReader {
    /// Opens a library with the default size limit and finds its columns. `file_name` only helps:
    /// `.smi` means white-space separated; gzip is recognised by content.
    ///
    /// # Errors
    /// Unreadable, empty, not text, or without a column of SMILES.
    pub fn new(source: impl BufRead + Send + 'static, file_name: &str) -> Result<Self, LibraryError> {
        Self::with_max_bytes(source, file_name, DEFAULT_MAX_BYTES)
    }

    /// As [`LibraryReader::new`], reading at most `max_bytes` after decompression.
    ///
    /// # Errors
    /// As [`LibraryReader::new`]; [`LibraryError::TooLarge`] comes from the iterator.
    pub fn with_max_bytes(
        source: impl BufRead + Send + 'static,
        file_name: &str,
        max_bytes: u64,
    ) -> Result<Self, LibraryError> {
        let mut lines = Lines::new(decompressed(source)?, max_bytes);
        let mut ahead = VecDeque::new();
        let mut filled = 0;
        while filled < SAMPLE_LINES {
            let Some(line) = lines.next_line()? else { break };
            filled += usize::from(!line.is_blank());
            ahead.push_back(line);
        }
        let layout = Layout::detect(ahead.make_contiguous(), file_name)?;
        if layout.has_header {
            let header = ahead.iter().position(|line| !line.is_blank()).unwrap_or_default();
            ahead.drain(..=header);
            lines.count_from(header as u64 + 1);
        }
        Ok(Self { lines, ahead, layout, finished: false })
    }

    fn next_line(&mut self) -> Result<Option<Line>, LibraryError> {
        match self.ahead.pop_front() {
            Some(line) => Ok(Some(line)),
            None => self.lines.next_line(),
        }
    }
}

impl Iterator for LibraryReader {
    type Item = Result<LibraryRow, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.finished {
            match self.next_line() {
                Ok(Some(line)) if line.is_blank() => {}
                Ok(Some(line)) => {
                    let row = line.number - self.lines.first_row();
                    return Some(self.layout.read(row, &line).map_err(ReadError::Row));
                }
                Ok(None) => self.finished = true,
                Err(error) => {
                    self.finished = true;
                    return Some(Err(ReadError::Library(error)));
                }
            }
        }
        None
    }
}

/// Plain bytes of a possibly gzipped source, after refusing what is plainly no text table.
fn decompressed(source: impl BufRead + Send + 'static) -> Result<Box<dyn BufRead + Send>, LibraryError> {
    let (head, source) = peek(source)?;
    if head.starts_with(&[0x1f, 0x8b]) {
        let (head, inner) = peek(BufReader::new(MultiGzDecoder::new(source)))?;
        refuse_binary(&head)?;
        return Ok(Box::new(inner));
    }
    refuse_binary(&head)?;
    Ok(Box::new(source))
}

/// The first four bytes (fewer at the end of input) and a reader that still begins with them.
fn peek<R: BufRead>(mut source: R) -> Result<(Vec<u8>, impl BufRead), LibraryError> {
    let mut head = Vec::with_capacity(4);
    source.by_ref().take(4).read_to_end(&mut head)?;
    Ok((head.clone(), Cursor::new(head).chain(source)))
}

fn refuse_binary(head: &[u8]) -> Result<(), LibraryError> {
    let what = match head {
        [b'P', b'K', 3, 4] => "a zip archive or an Excel workbook",
        [b'P', b'A', b'R', b'1'] => "a Parquet file",
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "UTF-16 text",
        [0x1f, 0x8b, ..] => "gzip inside gzip",
        [0xd0, 0xcf, 0x11, 0xe0] => "an old Excel workbook",
        _ => return Ok(()),
    };
    Err(LibraryError::NotText { what })
}

#[cfg(test)]
mod tests;
