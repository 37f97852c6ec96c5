//! Parquet files: the SMILES and name columns, a batch of rows at a time, through ranged reads of a bounded size. What
//! the file claims about itself is never trusted with memory.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use parquet::basic::{Compression, Repetition, Type as Physical};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl, get_column_reader};
use parquet::data_type::DataType;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::{FileReader, SerializedFileReader};

use super::{LibraryError, Record, RowError, RowProblem, Source, Structure, headers};

mod chunks;
mod pages;

use chunks::{Chunks, SourceFailed};
use pages::Pages;

/// Rows decoded at a time.
const BATCH: usize = 1024;
/// Most rows of a file: what a text file of the default limit could hold. A dictionary makes rows almost free to claim.
const MAX_ROWS: i64 = 40_000_000;

/// A value, or null.
type Cell = Option<Vec<u8>>;

/// The rows of a Parquet file.
pub(super) struct Rows {
    file: SerializedFileReader<Chunks>,
    smiles: usize,
    names: Vec<usize>,
    group: usize,
    /// The wanted columns of the row group before `group`, the SMILES first.
    columns: Vec<Column>,
    /// Names and SMILES.
    ready: VecDeque<(Cell, Cell)>,
    row: u64,
    left: u64,
    max_bytes: u64,
}

struct Column {
    reader: ColumnReader,
    optional: bool,
}

impl Rows {
    /// Reads the footer and finds the columns.
    pub fn open(source: impl Source, max_bytes: u64) -> Result<Self, LibraryError> {
        let file = guarded(|| SerializedFileReader::new(Chunks::new(source)))?;
        let (smiles, names) = columns(file.metadata())?;
        check_codecs(file.metadata(), names.iter().chain([&smiles]))?;
        if file.metadata().file_metadata().num_rows() > MAX_ROWS {
            return Err(LibraryError::Parquet { detail: format!("it holds more than {MAX_ROWS} rows") });
        }
        let (columns, ready) = (vec![], VecDeque::new());
        Ok(Self { file, smiles, names, group: 0, columns, ready, row: 0, left: max_bytes, max_bytes })
    }

    /// The next row.
    pub fn next_row(&mut self) -> Result<Option<Result<Record, RowError>>, LibraryError> {
        while self.ready.is_empty() {
            if !self.decode()? && !self.next_group()? {
                return Ok(None);
            }
        }
        let Some((name, smiles)) = self.ready.pop_front() else { return Ok(None) };
        self.row += 1;
        let taken = smiles.as_ref().map_or(0, Vec::len) + name.as_ref().map_or(0, Vec::len) + 2;
        self.left = self.left.checked_sub(taken as u64).ok_or(LibraryError::TooLarge { max_bytes: self.max_bytes })?;
        let row = self.row;
        let name = name.map(|name| String::from_utf8_lossy(&name).trim().to_owned());
        Ok(Some(match String::from_utf8(smiles.unwrap_or_default()) {
            Ok(smiles) => Ok(Record { row, name, structure: Structure::Smiles(smiles.trim().to_owned()) }),
            Err(_) => Err(RowError { row, text: name.unwrap_or_default(), problem: RowProblem::NotUtf8 }),
        }))
    }

    /// Opens the columns of the next row group; false after the last.
    fn next_group(&mut self) -> Result<bool, LibraryError> {
        if self.group == self.file.num_row_groups() {
            return Ok(false);
        }
        let (file, group) = (&self.file, self.group);
        self.columns = guarded(|| {
            let group = file.get_row_group(group)?;
            let wanted = std::iter::once(&self.smiles).chain(&self.names);
            wanted
                .map(|&at| {
                    let column = group.metadata().column(at).column_descr_ptr();
                    let pages = Pages::new(group.get_column_page_reader(at)?, column.physical_type());
                    let optional = column.max_def_level() > 0;
                    Ok(Column { reader: get_column_reader(column, Box::new(pages)), optional })
                })
                .collect()
        })?;
        self.group += 1;
        Ok(true)
    }

    /// Decodes a batch of the open row group; false at its end.
    fn decode(&mut self) -> Result<bool, LibraryError> {
        let columns = &mut self.columns;
        let decoded: Vec<Vec<Cell>> = guarded(|| columns.iter_mut().map(|column| column.read(BATCH)).collect())?;
        let mut decoded = decoded.into_iter();
        let Some(smiles) = decoded.next().filter(|smiles| !smiles.is_empty()) else { return Ok(false) };
        let mut names = vec![None; smiles.len()];
        for column in decoded {
            for (name, cell) in names.iter_mut().zip(column) {
                *name = name.take().or(cell.filter(|cell| !cell.trim_ascii().is_empty()));
            }
        }
        self.ready.extend(names.into_iter().zip(smiles));
        Ok(true)
    }
}

impl Column {
    /// At most so many values; numbers as text, nulls as `None`.
    fn read(&mut self, most: usize) -> Result<Vec<Cell>, ParquetError> {
        let optional = self.optional;
        match &mut self.reader {
            ColumnReader::ByteArrayColumnReader(reader) => values(reader, optional, most, |text| text.data().to_vec()),
            ColumnReader::Int32ColumnReader(reader) => values(reader, optional, most, |n| n.to_string().into_bytes()),
            ColumnReader::Int64ColumnReader(reader) => values(reader, optional, most, |n| n.to_string().into_bytes()),
            _ => Err(ParquetError::General("a column is not of the type that the footer says".into())),
        }
    }
}

fn values<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    optional: bool,
    most: usize,
    show: impl Fn(&T::T) -> Vec<u8>,
) -> Result<Vec<Cell>, ParquetError> {
    let (mut found, mut levels) = (Vec::with_capacity(most), Vec::with_capacity(most));
    let (records, ..) = reader.read_records(most, Some(&mut levels), None, &mut found)?;
    if !optional {
        return Ok(found.iter().map(|value| Some(show(value))).collect());
    }
    let mut found = found.iter();
    Ok(levels.iter().take(records).map(|level| if *level > 0 { found.next().map(&show) } else { None }).collect())
}

/// Where the SMILES and the names are among the file's leaves. Only plain columns count: no lists, no structs.
fn columns(metadata: &ParquetMetaData) -> Result<(usize, Vec<usize>), LibraryError> {
    let schema = metadata.file_metadata().schema_descr();
    let plain = |at: &usize| {
        let column = schema.column(*at);
        column.path().parts().len() == 1 && column.self_type().get_basic_info().repetition() != Repetition::REPEATED
    };
    let text = |at: &usize| schema.column(*at).physical_type() == Physical::BYTE_ARRAY;
    let number = |at: &usize| matches!(schema.column(*at).physical_type(), Physical::INT32 | Physical::INT64);
    let usable: Vec<usize> = (0..schema.num_columns()).filter(plain).filter(|at| text(at) || number(at)).collect();
    let name = |at: &usize| if text(at) { schema.column(*at).name().to_owned() } else { String::new() };
    let found = headers::columns(&usable.iter().map(name).collect::<Vec<_>>());
    let Some((smiles, _)) = found else {
        let columns = schema.columns().iter().map(|column| column.path().string()).collect();
        return Err(LibraryError::NoSmilesColumn { columns });
    };
    let all: Vec<String> = usable.iter().map(|at| schema.column(*at).name().to_owned()).collect();
    let mut ranked: Vec<(usize, usize)> =
        all.iter().enumerate().filter_map(|(at, name)| Some((headers::name_rank(name)?, usable[at]))).collect();
    ranked.sort_unstable();
    Ok((usable[smiles], ranked.into_iter().map(|(_, at)| at).filter(|at| *at != usable[smiles]).collect()))
}

/// Whether what is to be read is packed in a way that is read here.
fn check_codecs<'a>(
    metadata: &ParquetMetaData,
    mut wanted: impl Iterator<Item = &'a usize>,
) -> Result<(), LibraryError> {
    let codec = |column: &usize| {
        metadata.row_groups().iter().find_map(|group| match group.columns().get(*column)?.compression() {
            Compression::UNCOMPRESSED | Compression::SNAPPY | Compression::ZSTD(_) => None,
            Compression::GZIP(_) => Some("gzip"),
            Compression::BROTLI(_) => Some("brotli"),
            Compression::LZ4 | Compression::LZ4_RAW => Some("lz4"),
            Compression::LZO => Some("lzo"),
        })
    };
    let packed =
        |codec| LibraryError::Parquet { detail: format!("it is packed with {codec}; pack it with snappy or zstd") };
    wanted.find_map(codec).map_or(Ok(()), |codec| Err(packed(codec)))
}

/// Runs the Parquet library and keeps its panics inside: the bytes come from strangers.
fn guarded<T>(work: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, LibraryError> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(ParquetError::External(error))) => {
            Err(error.downcast::<io::Error>().map_or_else(damaged, |error| failed_or_damaged(*error)))
        }
        Ok(Err(error)) => Err(damaged(error)),
        Err(_) => Err(damaged("it is damaged")),
    }
}

fn failed_or_damaged(error: io::Error) -> LibraryError {
    error.downcast::<SourceFailed>().map_or_else(damaged, |SourceFailed(error)| LibraryError::Io(error))
}

fn damaged(error: impl ToString) -> LibraryError {
    LibraryError::Parquet { detail: error.to_string() }
}
