//! Ligand libraries as users have them: CSV, TSV, SMI, SDF and Parquet, text plain or gzipped, told apart by content and
//! streamed row by row in bounded memory. This module finds the structure and the name of each row; whether that
//! structure is a molecule that can be run is [`crate::curate`]'s question.

mod cells;
mod columnar;
mod error;
mod headers;
mod layout;
mod lines;
mod sdf;
mod source;
mod table;
mod unpack;

use std::io::Read;

use bytes::Bytes;

pub use error::{LibraryError, ReadError, RowError, RowProblem};
pub use source::Source;

use lines::Lines;
use unpack::Kind;

/// Longest line read, in bytes; longer ones are rejected rows.
pub const MAX_LINE_BYTES: usize = 64 * 1024;
/// Longest structure of an SDF record, in bytes: several times what 512 atoms take.
pub const MAX_BLOCK_BYTES: usize = 256 * 1024;
/// Bytes read at most from a library after decompression, unless told otherwise: 4 GiB, about 4 × 10^7 rows.
pub const DEFAULT_MAX_BYTES: u64 = 4 << 30;
/// Largest Parquet file inside gzip, in bytes: it is held in memory, because it cannot be read from front to back.
pub const MAX_GZIPPED_PARQUET_BYTES: u64 = 64 << 20;
/// Lines looked at before the format and the columns are decided.
const SAMPLE_LINES: usize = 50;

/// One row that a user gives as text. `row` counts from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LibraryRow {
    pub row: u64,
    pub name: Option<String>,
    /// The text as given, possibly empty, with its CXSMILES tail if it has one.
    pub smiles: String,
}

/// One row of a library. In text tables `row` counts lines of the file from 1, not counting the header line but counting
/// blank ones: row 1 is the first line after the header, or the first line where there is none. In SDF and Parquet it
/// counts records from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub row: u64,
    /// The first non-empty name column; bytes that are not UTF-8 shown as `U+FFFD`.
    pub name: Option<String>,
    pub structure: Structure,
}

/// What a row says its molecule is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Structure {
    /// SMILES, possibly empty, with its CXSMILES tail if it has one.
    Smiles(String),
    /// A connection table, V2000 or V3000, up to and with its `M  END`.
    MolBlock(String),
}

impl Structure {
    /// As it stands in the library.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Structure::Smiles(text) | Structure::MolBlock(text) => text,
        }
    }
}

impl From<LibraryRow> for Record {
    fn from(LibraryRow { row, name, smiles }: LibraryRow) -> Self {
        Self { row, name, structure: Structure::Smiles(smiles) }
    }
}

/// Streams a library. An iterator of rows: a broken row is an error and reading goes on; a [`ReadError::Library`] ends
/// it.
pub struct LibraryReader {
    format: Format,
    finished: bool,
}

enum Format {
    Table(table::Table),
    Sdf(sdf::Records),
    Parquet(Box<columnar::Rows>),
}

impl LibraryReader {
    /// Opens a library with the default size limit: tells its format by its content and finds its columns.
    ///
    /// # Errors
    /// Unreadable, empty, of no known format, or without a column of SMILES.
    pub fn open(source: impl Source) -> Result<Self, LibraryError> {
        Self::with_max_bytes(source, DEFAULT_MAX_BYTES)
    }

    /// As [`LibraryReader::open`], reading at most `max_bytes` after decompression.
    ///
    /// # Errors
    /// As [`LibraryReader::open`]; [`LibraryError::TooLarge`] also comes from the iterator.
    pub fn with_max_bytes(source: impl Source, max_bytes: u64) -> Result<Self, LibraryError> {
        let (head, stream) = unpack::peek(source.stream()?)?;
        let format = match Kind::of(&head)? {
            Kind::Parquet => Format::parquet(source, max_bytes)?,
            Kind::Text => Format::text(Lines::new(stream, max_bytes))?,
            Kind::Gzip => {
                let (head, content) = unpack::peek(unpack::gunzip(stream))?;
                match Kind::of(&head)? {
                    Kind::Text => Format::text(Lines::new(content, max_bytes))?,
                    Kind::Gzip => return Err(LibraryError::NotText { what: "gzip inside gzip" }),
                    Kind::Parquet => {
                        let limit = max_bytes.min(MAX_GZIPPED_PARQUET_BYTES);
                        let mut bytes = Vec::new();
                        content.take(limit + 1).read_to_end(&mut bytes)?;
                        if bytes.len() as u64 > limit {
                            return Err(LibraryError::TooLarge { max_bytes: limit });
                        }
                        Format::parquet(Bytes::from(bytes), max_bytes)?
                    }
                }
            }
        };
        Ok(Self { format, finished: false })
    }
}

impl Format {
    fn parquet(source: impl Source, max_bytes: u64) -> Result<Self, LibraryError> {
        Ok(Self::Parquet(Box::new(columnar::Rows::open(source, max_bytes)?)))
    }

    fn text(mut lines: Lines) -> Result<Self, LibraryError> {
        if sdf::is_sdf(lines.sample(SAMPLE_LINES)?) {
            return Ok(Self::Sdf(sdf::Records::new(lines)));
        }
        Ok(Self::Table(table::Table::open(lines)?))
    }
}

impl Iterator for LibraryReader {
    type Item = Result<Record, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.finished {
            return None;
        }
        let item = match &mut self.format {
            Format::Table(table) => table.next_row(),
            Format::Sdf(records) => records.next_record(),
            Format::Parquet(rows) => rows.next_row(),
        };
        let item = item.map_err(ReadError::Library).transpose();
        self.finished = !matches!(item, Some(Ok(_)));
        item.map(|item| item.and_then(|row| row.map_err(ReadError::Row)))
    }
}

#[cfg(test)]
mod tests;
