//! A library on its way in: every row is judged, the accepted ones become the run's items, the others are kept with
//! their reasons. Streams from end to end: the memory it takes does not grow with the library, but for about 125
//! bytes a ligand that tell duplicates and what earlier runs have.

use super::reuse::Wanted;
use crate::{FieldProblem, Problem, places};
use bytes::Bytes;
use chem::{
    Curator, LibraryError, LibraryReader, LibraryRow, Ligand, ReadError, Record, RejectReason, RowError, Verdict,
    curate::BATCH,
};
use domain::{Item, JobId, LigandHash, Rejected, Uid, ligand_class};
use lines::Lines;
use object::Object;
use platform::{BlobPath, Blobs, PutOptions};
use serde::Serialize;
use std::{collections::BTreeMap, io};

mod lines;
mod object;

/// The most ligands any run may have: what the largest tier allows.
pub const MOST_LIGANDS: u32 = 1_000_000;
/// The largest file that is read, in bytes: a thousand for each of a million ligands.
const MOST_BYTES: u64 = 1 << 30;
/// How many bad rows an answer lists.
const LISTED: usize = 100;
/// So many rows of a request, or bytes of a file, are judged where they are: handing them to a thread takes longer.
const SMALL_ROWS: usize = 32;
const SMALL_FILE: u64 = 4 * 1024;

/// Where the ligands come from.
#[derive(Clone)]
pub enum Ligands {
    /// The one of a single prediction.
    One(LibraryRow),
    /// Rows of a request.
    Rows(Vec<LibraryRow>),
    /// A file in the uploads bucket.
    Library(BlobPath),
    /// None: so many designs.
    Designs(u32),
}

/// What became of the rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Judged {
    pub accepted: u32,
    /// All that will not run, duplicates among them.
    pub rejected: u32,
    /// Rejected rows that are not just another spelling of an accepted one.
    pub invalid: u32,
    /// The first hundred invalid rows.
    pub listed: Vec<Rejected>,
    /// The accepted ligands by size.
    pub sizes: Sizes,
    /// The accepted ligands, to look for results there are already.
    pub ligands: Vec<Wanted>,
}

/// Ligands by [`ligand_class`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sizes(pub BTreeMap<u32, OfSize>);

/// Ligands of one class.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct OfSize {
    pub ligands: u32,
    /// Heavy atoms of all of them together.
    pub heavy_atoms: u64,
}

/// Why a library could not be judged at all.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// The file is not a library.
    #[error("the library cannot be read: {0}")]
    Library(LibraryError),
    /// More than so many rows can be run.
    #[error("the library holds more than {0} ligands")]
    TooMany(u32),
    /// The file as it lies there.
    #[error("the library is larger than {} MiB", MOST_BYTES >> 20)]
    TooLarge,
    #[error(transparent)]
    Platform(#[from] platform::Error),
}

impl Sizes {
    /// One more ligand with so many heavy atoms.
    pub fn add(&mut self, heavy_atoms: u32) {
        let class = self.0.entry(ligand_class(heavy_atoms)).or_default();
        class.ligands += 1;
        class.heavy_atoms += u64::from(heavy_atoms);
    }

    /// Takes these ligands, which are among them, out.
    pub fn remove(&mut self, some: &Sizes) {
        for (most_atoms, some) in &some.0 {
            let class = self.0.entry(*most_atoms).or_default();
            class.ligands = class.ligands.saturating_sub(some.ligands);
            class.heavy_atoms = class.heavy_atoms.saturating_sub(some.heavy_atoms);
        }
        self.0.retain(|_, class| class.ligands > 0);
    }
}

impl Judged {
    /// So many designs, which have no ligands.
    fn designs(count: u32) -> Self {
        let sizes = Sizes(BTreeMap::from([(ligand_class(0), OfSize { ligands: count, heavy_atoms: 0 })]));
        Judged { accepted: count, sizes, ..Judged::default() }
    }

    fn take(
        &mut self,
        verdict: Verdict,
        accept: &mut dyn FnMut(Item) -> io::Result<()>,
        reject: &mut dyn FnMut(Rejected) -> io::Result<()>,
    ) -> Result<(), IngestError> {
        match verdict {
            Verdict::Accepted { row, name, ligand } => {
                self.accepted += 1;
                self.sizes.add(ligand.heavy_atoms());
                let hash = LigandHash::of(ligand.smiles());
                self.ligands.push(Wanted { hash, index: self.accepted, heavy_atoms: ligand.heavy_atoms() });
                accept(item(self.accepted, row, name, &ligand)).map_err(gone)
            }
            Verdict::Rejected { row, name, smiles, reason } => {
                let row = rejected(row, name, smiles, &reason);
                self.rejected += 1;
                if row.duplicate_of.is_none() {
                    self.invalid += 1;
                    if self.listed.len() < LISTED {
                        self.listed.push(row.clone());
                    }
                }
                reject(row).map_err(gone)
            }
        }
    }

    /// The refusal that lists every bad row, the first hundred by name. `pointer` is where the rows are in the request.
    pub fn refusal(&self, pointer: &str) -> Problem {
        let errors = self.listed.iter().map(|row| FieldProblem {
            pointer: if pointer == "/ligands" { format!("/ligands/{}", row.row - 1) } else { pointer.to_owned() },
            reason: format!("row {}, {:?}: {}", row.row, row.name, row.reason),
        });
        let detail = format!("{} of {} ligands cannot be run", self.invalid, self.accepted + self.rejected);
        Problem::invalid(detail).with_errors(errors.collect()).with_error_count(self.invalid.into())
    }
}

impl From<IngestError> for Problem {
    fn from(error: IngestError) -> Self {
        match error {
            IngestError::Library(error) => Problem::field("/library", error.to_string()),
            error @ (IngestError::TooMany(_) | IngestError::TooLarge) => Problem::field("/library", error.to_string()),
            IngestError::Platform(platform::Error::NotFound(_)) => {
                Problem::field("/library", "there is no such object")
            }
            IngestError::Platform(error) => error.into(),
        }
    }
}

impl Ligands {
    /// Where they stand in a request.
    pub fn pointer(&self) -> &'static str {
        match self {
            Ligands::One(_) => "/ligand_smiles",
            Ligands::Rows(_) => "/ligands",
            Ligands::Library(_) => "/library",
            Ligands::Designs(_) => "/inputs",
        }
    }
}

/// Judges every row, up to `most` that can be run, and writes nothing.
pub async fn check(blobs: &Blobs, ligands: &Ligands, most: u32) -> Result<Judged, IngestError> {
    if let Ligands::Designs(count) = ligands {
        return Ok(Judged::designs(*count));
    }
    match open(blobs, ligands).await? {
        Opened::Small(rows) => judge(rows()?, most, &mut |_| Ok(()), &mut |_| Ok(())),
        Opened::Large(rows) => blocking(move || judge(rows()?, most, &mut |_| Ok(()), &mut |_| Ok(()))).await,
    }
}

/// Judges every row, up to `most` that can be run; writes the items and the rejected rows of the run. The same ligands
/// always make the same objects.
pub async fn ingest(
    blobs: &Blobs,
    uid: &Uid,
    job: &JobId,
    ligands: &Ligands,
    most: u32,
) -> Result<Judged, IngestError> {
    let (library_at, rejected_at) = (places::library(uid, job)?, places::rejected(uid, job)?);
    let options = || PutOptions::of_type("application/x-ndjson");
    let rows = match open(blobs, ligands).await? {
        Opened::Large(rows) => rows,
        Opened::Small(rows) => {
            let (mut items, mut rejects) = (vec![], vec![]);
            let judged =
                judge(rows()?, most, &mut |item| line(&mut items, &item), &mut |row| line(&mut rejects, &row))?;
            blobs.put_bytes(&library_at, items, options()).await?;
            blobs.put_bytes(&rejected_at, rejects, options()).await?;
            return Ok(judged);
        }
    };
    let (mut items, library) = Lines::channel();
    let (mut rejects, rejected) = Lines::channel();
    let judging = blocking(move || {
        let judged = judge(rows()?, most, &mut |item| items.push(&item), &mut |row| rejects.push(&row))?;
        items.flush().and(rejects.flush()).map_err(gone)?;
        Ok(judged)
    });
    let (judged, library, rejected) = futures::join!(
        judging,
        blobs.put(&library_at, library, options()),
        blobs.put(&rejected_at, rejected, options()),
    );
    let judged = judged?;
    library?;
    rejected?;
    Ok(judged)
}

type Rows = Box<dyn Iterator<Item = Result<Record, ReadError>> + Send>;
type Open = Box<dyn FnOnce() -> Result<Rows, IngestError> + Send>;

/// Rows that can be read, and where that may be done.
enum Opened {
    Small(Open),
    Large(Open),
}

async fn open(blobs: &Blobs, ligands: &Ligands) -> Result<Opened, IngestError> {
    Ok(match ligands.clone() {
        Ligands::One(row) => Opened::Small(Box::new(move || Ok(Box::new(std::iter::once(Ok(row.into()))) as Rows))),
        Ligands::Rows(rows) => {
            let small = rows.len() <= SMALL_ROWS;
            let open: Open = Box::new(move || Ok(Box::new(rows.into_iter().map(|row| Ok(row.into()))) as Rows));
            if small { Opened::Small(open) } else { Opened::Large(open) }
        }
        Ligands::Designs(_) => Opened::Small(Box::new(|| Ok(Box::new(std::iter::empty()) as Rows))),
        Ligands::Library(path) => {
            let meta = blobs.head(&path).await?.ok_or_else(|| platform::Error::NotFound(path.to_string()))?;
            if meta.size > MOST_BYTES {
                return Err(IngestError::TooLarge);
            }
            if meta.size <= SMALL_FILE {
                let content = blobs.get(&path, SMALL_FILE).await?;
                Opened::Small(Box::new(move || library_rows(content)))
            } else {
                let object = Object::open(blobs, meta);
                Opened::Large(Box::new(move || library_rows(object)))
            }
        }
    })
}

fn library_rows(source: impl chem::Source) -> Result<Rows, IngestError> {
    Ok(Box::new(LibraryReader::open(source).map_err(unreadable)?))
}

fn judge(
    rows: Rows,
    most: u32,
    accept: &mut dyn FnMut(Item) -> io::Result<()>,
    reject: &mut dyn FnMut(Rejected) -> io::Result<()>,
) -> Result<Judged, IngestError> {
    let (mut curator, mut judged) = (Curator::default(), Judged::default());
    let mut rows = rows.peekable();
    while rows.peek().is_some() {
        let batch: Result<Vec<_>, IngestError> = rows.by_ref().take(BATCH).map(readable).collect();
        for verdict in curator.judge_all(batch?) {
            judged.take(verdict, accept, reject)?;
            if judged.accepted > most {
                return Err(IngestError::TooMany(most));
            }
        }
    }
    Ok(judged)
}

/// A row, broken or not; an error where nothing follows.
fn readable(row: Result<Record, ReadError>) -> Result<Result<Record, RowError>, IngestError> {
    match row {
        Ok(record) => Ok(Ok(record)),
        Err(ReadError::Row(error)) => Ok(Err(error)),
        Err(ReadError::Library(error)) => Err(unreadable(error)),
    }
}

fn item(index: u32, row: u64, name: String, ligand: &Ligand) -> Item {
    Item {
        index,
        row,
        name,
        smiles: Some(ligand.smiles().to_owned()),
        original_smiles: (ligand.original() != ligand.smiles()).then(|| ligand.original().to_owned()),
        heavy_atoms: ligand.heavy_atoms(),
        notes: ligand.notes().iter().map(ToString::to_string).collect(),
    }
}

fn rejected(row: u64, name: String, smiles: String, reason: &RejectReason) -> Rejected {
    let duplicate_of = match reason {
        RejectReason::Duplicate { of_row, .. } => Some(*of_row),
        _ => None,
    };
    Rejected { row, name, smiles, code: reason.code().to_owned(), reason: reason.to_string(), duplicate_of }
}

/// The designs of a run that has no ligands.
pub async fn write_designs(blobs: &Blobs, uid: &Uid, job: &JobId, count: u32) -> Result<Judged, IngestError> {
    let mut lines = vec![];
    for index in 1..=count {
        let name = format!("design_{index:04}");
        let item =
            Item { index, row: index.into(), name, smiles: None, original_smiles: None, heavy_atoms: 0, notes: vec![] };
        serde_json::to_writer(&mut lines, &item).map_err(platform::Error::from)?;
        lines.push(b'\n');
    }
    let options = || PutOptions::of_type("application/x-ndjson");
    blobs.put_bytes(&places::library(uid, job)?, lines, options()).await?;
    blobs.put_bytes(&places::rejected(uid, job)?, Bytes::new(), options()).await?;
    Ok(Judged::designs(count))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, IngestError> + Send + 'static,
) -> Result<T, IngestError> {
    let outcome = tokio::task::spawn_blocking(work).await;
    outcome.map_err(|error| platform::Error::internal("judging a library", error))?
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

fn gone(error: io::Error) -> IngestError {
    IngestError::Platform(platform::Error::internal("writing a library", error))
}

fn line(lines: &mut Vec<u8>, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *lines, value)?;
    lines.push(b'\n');
    Ok(())
}

#[cfg(test)]
mod tests;
