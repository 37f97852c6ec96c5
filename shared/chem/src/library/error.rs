//! What can be wrong with a library as a whole, and with one row of it. Codes are part of the API.

use std::io;

use serde::{Deserialize, Serialize};

use super::unpack::Bomb;

/// Why a library cannot be read at all, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    /// No line with anything on it.
    #[error("the file is empty")]
    Empty,
    /// Not a text table.
    #[error("the file is {what}; save it as CSV or SMI text in UTF-8")]
    NotText { what: &'static str },
    /// No header names a SMILES column and no column holds SMILES.
    #[error("found no column of SMILES; the columns are: {}", columns.join(", "))]
    NoSmilesColumn { columns: Vec<String> },
    /// More bytes than allowed, after decompression.
    #[error("the file holds more than {max_bytes} bytes when decompressed")]
    TooLarge { max_bytes: u64 },
    /// Few bytes that stand for absurdly many.
    #[error("the file grows to more than 200 times its size when decompressed, as no library does")]
    Bomb,
    /// A Parquet file that is damaged, or written in a way that is not read here.
    #[error("the Parquet file cannot be read: {detail}")]
    Parquet { detail: String },
    /// The source failed, or its gzip stream is damaged or cut off.
    #[error("the file cannot be read to its end")]
    Io(#[source] io::Error),
}

impl From<io::Error> for LibraryError {
    fn from(error: io::Error) -> Self {
        let bomb = error.get_ref().is_some_and(|inner| inner.is::<Bomb>());
        if bomb { Self::Bomb } else { Self::Io(error) }
    }
}

impl LibraryError {
    /// Stable machine-readable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "library_empty",
            Self::NotText { .. } => "library_not_text",
            Self::NoSmilesColumn { .. } => "no_smiles_column",
            Self::TooLarge { .. } | Self::Bomb => "library_too_large",
            Self::Parquet { .. } | Self::Io(_) => "library_unreadable",
        }
    }
}

/// What is wrong with one row's text, before any chemistry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum RowProblem {
    /// The line exceeds [`super::MAX_LINE_BYTES`].
    #[error("the line is longer than 64 KiB")]
    LineTooLong,
    /// The SMILES is not UTF-8 text.
    #[error("the SMILES is not UTF-8 text")]
    NotUtf8,
    /// A quoted field does not end on its line.
    #[error("a quotation mark is not closed on the same line")]
    UnclosedQuote,
    /// The row ends before the SMILES column, or has more cells than the header.
    #[error(
        "the row has {found} columns where the header has {expected}; put values that contain the separator in quotes"
    )]
    WrongColumnCount { found: usize, expected: usize },
    /// The structure of an SDF record exceeds [`super::MAX_BLOCK_BYTES`].
    #[error("the structure record is longer than 256 KiB")]
    RecordTooLong,
}

impl RowProblem {
    /// Stable machine-readable code, equal to the `code` field of the serialised form.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::LineTooLong => "line_too_long",
            Self::NotUtf8 => "not_utf8",
            Self::UnclosedQuote => "unclosed_quote",
            Self::WrongColumnCount { .. } => "wrong_column_count",
            Self::RecordTooLong => "record_too_long",
        }
    }
}

/// A row that could not be read. `row` counts as in [`super::Record`]; `text` is the line, as far as it is worth
/// showing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("row {row}: {problem}")]
pub struct RowError {
    pub row: u64,
    pub text: String,
    pub problem: RowProblem,
}

/// What the iterator may yield instead of a row.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// This row only; the next ones follow.
    #[error(transparent)]
    Row(RowError),
    /// The whole library; nothing follows.
    #[error(transparent)]
    Library(LibraryError),
}
