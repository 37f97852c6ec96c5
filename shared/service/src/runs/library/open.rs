//! The rows of a submission, wherever they come from.

use super::{IngestError, Ligands, MOST_BYTES, object::Object};
use chem::{LibraryError, LibraryReader, ReadError, Record, Repeats, RowError, curate::BATCH};
use platform::Blobs;
use std::{io, sync::Arc};

/// So many rows of a request, or bytes of a file, are judged where they are: handing them to a thread takes longer.
const SMALL_ROWS: usize = 32;
const SMALL_FILE: u64 = 4 * 1024;
/// A file of more bytes is read twice, so that not all of its molecules need be remembered.
const LARGE_FILE: u64 = 1024 * 1024;

/// What of a library is judged together at most, in bytes: rows of an SD file may be large.
const MOST_BYTES_AT_ONCE: usize = 8 * 1024 * 1024;

type Rows = Box<dyn Iterator<Item = Result<Record, ReadError>> + Send>;
pub(super) type OpenRows = Box<dyn Fn() -> Result<Rows, IngestError> + Send>;

/// Rows that can be read, from the first one on and more than once.
pub(super) struct Opened {
    pub rows: OpenRows,
    pub size: Size,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Size {
    Small,
    /// Too many to be judged in a thread that others wait for.
    Medium,
    /// Too many to be remembered.
    Large,
}

pub(super) async fn open(blobs: &Blobs, ligands: &Ligands) -> Result<Opened, IngestError> {
    Ok(match ligands.clone() {
        Ligands::One(row) => of_request(vec![row.into()]),
        Ligands::Rows(rows) => of_request(rows.into_iter().map(Record::from).collect()),
        Ligands::Designs(_) => of_request(vec![]),
        Ligands::Library(path) => {
            let meta = blobs.head(&path).await?.ok_or_else(|| platform::Error::NotFound(path.to_string()))?;
            if meta.size > MOST_BYTES {
                return Err(IngestError::TooLarge);
            }
            let size = match meta.size {
                size if size > LARGE_FILE => Size::Large,
                size if size > SMALL_FILE => Size::Medium,
                _ => Size::Small,
            };
            if size == Size::Small {
                let content = blobs.get(&path, SMALL_FILE).await?;
                Opened { rows: Box::new(move || of_library(content.clone())), size }
            } else {
                let object = Object::open(blobs, meta);
                Opened { rows: Box::new(move || of_library(object.clone())), size }
            }
        }
    })
}

fn of_request(rows: Vec<Record>) -> Opened {
    let size = if rows.len() <= SMALL_ROWS { Size::Small } else { Size::Medium };
    let rows = Arc::new(rows);
    let open = move || {
        let rows = rows.clone();
        Ok(Box::new((0..rows.len()).filter_map(move |row| rows.get(row).cloned()).map(Ok)) as Rows)
    };
    Opened { rows: Box::new(open), size }
}

fn of_library(source: impl chem::Source) -> Result<Rows, IngestError> {
    Ok(Box::new(LibraryReader::open(source).map_err(unreadable)?))
}

/// Reads all rows, as many at a time as are well judged together, and no more than some megabytes of them; errs where there are more than `most`.
pub(super) fn read(
    open: &OpenRows,
    most: u64,
    mut take: impl FnMut(Vec<Result<Record, RowError>>) -> Result<(), IngestError>,
) -> Result<(), IngestError> {
    let (mut rows, mut count) = (open()?.peekable(), 0);
    while rows.peek().is_some() {
        let (mut some, mut bytes) = (vec![], 0);
        while some.len() < BATCH
            && bytes < MOST_BYTES_AT_ONCE
            && let Some(row) = rows.next()
        {
            let row = readable(row)?;
            bytes += row.as_ref().map_or(0, |record| record.structure.text().len());
            some.push(row);
        }
        count += some.len() as u64;
        take(some)?;
        if count > most {
            return Err(IngestError::TooManyRows(most));
        }
    }
    Ok(())
}

/// What a first reading finds.
pub(super) fn repeats(open: &OpenRows, most_rows: u64) -> Result<Arc<Repeats>, IngestError> {
    let mut repeats = Repeats::default();
    read(open, most_rows, |rows| {
        repeats.note_all(rows);
        Ok(())
    })?;
    Ok(repeats.into())
}

/// A row, broken or not; an error where nothing follows.
fn readable(row: Result<Record, ReadError>) -> Result<Result<Record, RowError>, IngestError> {
    match row {
        Ok(record) => Ok(Ok(record)),
        Err(ReadError::Row(error)) => Ok(Err(error)),
        Err(ReadError::Library(error)) => Err(unreadable(error)),
    }
}

/// Damaged content is the user's to mend; a store that fails is ours.
fn unreadable(error: LibraryError) -> IngestError {
    use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
    match error {
        LibraryError::Io(error) if !matches!(error.kind(), InvalidData | InvalidInput | UnexpectedEof) => {
            IngestError::Platform(platform::Error::internal("reading a library", error))
        }
        error => IngestError::Library(error),
    }
}
