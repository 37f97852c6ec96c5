//! A library on its way in: every row is judged, the accepted ones become the run's items, the others are kept with
//! their reasons. Streams from end to end: the memory it takes does not grow with the library, but for about 100
//! bytes a ligand that tell duplicates.

use crate::{FieldProblem, Problem, places};
use bytes::Bytes;
use chem::{Curator, LibraryError, LibraryReader, LibraryRow, Ligand, ReadError, RejectReason, Verdict};
use domain::{Item, JobId, Rejected, Uid, ligand_class};
use futures::StreamExt;
use platform::{BlobPath, Blobs, PutOptions};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    io::{self, BufReader},
};
use tokio::sync::mpsc;
use tokio_util::io::{StreamReader, SyncIoBridge};

/// The most ligands a run may have: what the largest tier allows.
pub const MOST_LIGANDS: u32 = 1_000_000;
/// How many bad rows an answer lists.
const LISTED: usize = 100;
const CHUNK: usize = 256 * 1024;

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
    /// The accepted ligands by [`ligand_class`].
    pub sizes: BTreeMap<u32, OfSize>,
}

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
    /// More than [`MOST_LIGANDS`] rows can be run.
    #[error("the library holds more than {MOST_LIGANDS} ligands")]
    TooMany,
    #[error(transparent)]
    Platform(#[from] platform::Error),
}

impl Judged {
    /// So many designs, which have no ligands.
    fn designs(count: u32) -> Self {
        let sizes = BTreeMap::from([(ligand_class(0), OfSize { ligands: count, heavy_atoms: 0 })]);
        Judged { accepted: count, sizes, ..Judged::default() }
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
            error @ IngestError::TooMany => Problem::field("/library", error.to_string()),
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

/// Judges every row and writes nothing.
pub async fn check(blobs: &Blobs, ligands: &Ligands) -> Result<Judged, IngestError> {
    if let Ligands::Designs(count) = ligands {
        return Ok(Judged::designs(*count));
    }
    let rows = open(blobs, ligands).await?;
    blocking(move || judge(rows()?, &mut |_| Ok(()), &mut |_| Ok(()))).await
}

/// Judges every row; writes the items and the rejected rows of the run. The same ligands always make the same objects.
pub async fn ingest(blobs: &Blobs, uid: &Uid, job: &JobId, ligands: &Ligands) -> Result<Judged, IngestError> {
    let rows = open(blobs, ligands).await?;
    let (mut items, library) = Lines::channel();
    let (mut rejects, rejected) = Lines::channel();
    let judging = blocking(move || {
        let judged = judge(rows()?, &mut |item| items.push(&item), &mut |row| rejects.push(&row))?;
        items.flush().and(rejects.flush()).map_err(gone)?;
        Ok(judged)
    });
    let (library_at, rejected_at) = (places::library(uid, job)?, places::rejected(uid, job)?);
    let options = || PutOptions::of_type("application/x-ndjson");
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

type Rows = Box<dyn Iterator<Item = Result<LibraryRow, ReadError>> + Send>;
type Open = Box<dyn FnOnce() -> Result<Rows, IngestError> + Send>;

async fn open(blobs: &Blobs, ligands: &Ligands) -> Result<Open, IngestError> {
    Ok(match ligands.clone() {
        Ligands::One(row) => Box::new(move || Ok(Box::new(std::iter::once(Ok(row))) as Rows)),
        Ligands::Rows(rows) => Box::new(move || Ok(Box::new(rows.into_iter().map(Ok)) as Rows)),
        Ligands::Designs(_) => Box::new(|| Ok(Box::new(std::iter::empty()) as Rows)),
        Ligands::Library(path) => {
            let (_, chunks) = blobs.read(&path, None).await?;
            let bridge = SyncIoBridge::new(StreamReader::new(chunks));
            Box::new(move || {
                let reader = LibraryReader::new(BufReader::with_capacity(CHUNK, bridge), path.name());
                Ok(Box::new(reader.map_err(unreadable)?) as Rows)
            })
        }
    })
}

fn judge(
    rows: Rows,
    accept: &mut dyn FnMut(Item) -> io::Result<()>,
    reject: &mut dyn FnMut(Rejected) -> io::Result<()>,
) -> Result<Judged, IngestError> {
    let (mut curator, mut judged) = (Curator::default(), Judged::default());
    for row in rows {
        let verdict = match row {
            Ok(row) => curator.judge(row),
            Err(ReadError::Row(error)) => error.into(),
            Err(ReadError::Library(error)) => return Err(unreadable(error)),
        };
        match verdict {
            Verdict::Accepted { row, name, ligand } => {
                judged.accepted += 1;
                if judged.accepted > MOST_LIGANDS {
                    return Err(IngestError::TooMany);
                }
                let class = judged.sizes.entry(ligand_class(ligand.heavy_atoms())).or_default();
                class.ligands += 1;
                class.heavy_atoms += u64::from(ligand.heavy_atoms());
                accept(item(judged.accepted, row, name, &ligand)).map_err(gone)?;
            }
            Verdict::Rejected { row, name, smiles, reason } => {
                let row = rejected(row, name, smiles, &reason);
                judged.rejected += 1;
                if row.duplicate_of.is_none() {
                    judged.invalid += 1;
                    if judged.listed.len() < LISTED {
                        judged.listed.push(row.clone());
                    }
                }
                reject(row).map_err(gone)?;
            }
        }
    }
    Ok(judged)
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

/// JSON lines on their way into an object. Dropped before [`Lines::flush`], the object is never made: its stream ends
/// in an error.
struct Lines {
    buffer: Vec<u8>,
    sender: mpsc::Sender<io::Result<Bytes>>,
    complete: bool,
}

impl Lines {
    fn channel() -> (Self, platform::blobs::Chunks) {
        let (sender, receiver) = mpsc::channel(4);
        let chunks =
            futures::stream::unfold(receiver, |mut receiver| async { Some((receiver.recv().await?, receiver)) });
        (Lines { buffer: Vec::with_capacity(CHUNK), sender, complete: false }, chunks.boxed())
    }

    fn push(&mut self, value: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.buffer, value)?;
        self.buffer.push(b'\n');
        if self.buffer.len() >= CHUNK { self.send() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.complete = true;
        self.send()
    }

    fn send(&mut self) -> io::Result<()> {
        let chunk = Bytes::from(std::mem::replace(&mut self.buffer, Vec::with_capacity(CHUNK)));
        self.sender.blocking_send(Ok(chunk)).map_err(|_| io::Error::other("the object was not taken"))
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        if !self.complete {
            let _ = self.sender.blocking_send(Err(io::Error::other("the library ended early")));
        }
    }
}
