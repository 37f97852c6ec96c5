//! The rows of a submission, wherever they come from.

use super::{FirstReading, IngestError, Ligands, MOST_BYTES, object::Object};
use chem::{LibraryError, LibraryReader, Noted, ReadError, Record, RowError, curate::BATCH};
use platform::Blobs;
use std::{
    io,
    iter::Peekable,
    sync::{Arc, mpsc},
    thread,
};

/// So many rows of a request, or bytes of a file, are judged where they are: handing them to a thread takes longer.
const SMALL_ROWS: usize = 32;
const SMALL_FILE: u64 = 4 * 1024;
/// A file of more bytes is read once more, beforehand, so that not all of its molecules need be remembered.
const LARGE_FILE: u64 = 1024 * 1024;

/// What of a library is judged together at most, in bytes: rows of an SD file may be large.
const MOST_BYTES_AT_ONCE: usize = 8 * 1024 * 1024;

type Rows = Box<dyn Iterator<Item = Result<Record, ReadError>> + Send>;
type OpenRows = Box<dyn Fn() -> Result<Rows, IngestError> + Send>;

/// Rows that can be read, from the first one on and more than once.
pub(super) struct Opened {
    pub rows: OpenRows,
    pub size: Size,
    /// Which writing of the object they are of; 0 for those of a request.
    pub generation: i64,
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
            let generation = meta.generation;
            let size = match meta.size {
                size if size > LARGE_FILE => Size::Large,
                size if size > SMALL_FILE => Size::Medium,
                _ => Size::Small,
            };
            if size == Size::Small {
                let content = blobs.get(&path, SMALL_FILE).await?;
                Opened { rows: Box::new(move || of_library(content.clone())), size, generation }
            } else {
                let object = Object::open(blobs, meta);
                Opened { rows: Box::new(move || of_library(object.clone())), size, generation }
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
    Opened { rows: Box::new(open), size, generation: 0 }
}

fn of_library(source: impl chem::Source) -> Result<Rows, IngestError> {
    Ok(Box::new(LibraryReader::open(source).map_err(unreadable)?))
}

/// Some rows, broken ones among them.
type Batch = Vec<Result<Record, RowError>>;

/// Reads all rows, some at a time; errs where there are more than `most`. Unless they are few, the next ones are read
/// while `take` is at work on those before them.
pub(super) fn read(
    opened: &Opened,
    most: u64,
    mut take: impl FnMut(Batch) -> Result<(), IngestError>,
) -> Result<(), IngestError> {
    let mut count = 0;
    let mut counted = |some: Result<Batch, IngestError>| {
        let some = some?;
        count += some.len() as u64;
        take(some)?;
        if count > most { Err(IngestError::TooManyRows(most)) } else { Ok(()) }
    };
    let mut batches = Batches((opened.rows)()?.peekable());
    if opened.size == Size::Small {
        return batches.try_for_each(counted);
    }
    let (sender, received) = mpsc::sync_channel(0);
    thread::scope(|scope| {
        // Where nobody takes any more, there is an error already.
        scope.spawn(move || batches.try_for_each(|some| sender.send(some)));
        received.into_iter().try_for_each(&mut counted)
    })
}

/// As many rows at a time as are well judged together, and no more than some megabytes of them.
struct Batches(Peekable<Rows>);

impl Iterator for Batches {
    type Item = Result<Batch, IngestError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.peek()?;
        let (mut some, mut bytes) = (vec![], 0);
        while some.len() < BATCH
            && bytes < MOST_BYTES_AT_ONCE
            && let Some(row) = self.0.next()
        {
            match readable(row) {
                Ok(row) => {
                    bytes += row.as_ref().map_or(0, |record| record.structure.text().len());
                    some.push(row);
                }
                Err(error) => return Some(Err(error)),
            }
        }
        Some(Ok(some))
    }
}

/// Reads all rows beforehand.
pub(super) fn first_reading(opened: &Opened, most_rows: u64) -> Result<FirstReading, IngestError> {
    let mut noted = Noted::default();
    read(opened, most_rows, |rows| {
        noted.note_all(rows);
        Ok(())
    })?;
    Ok(FirstReading { found: noted.finished().into(), generation: opened.generation })
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
