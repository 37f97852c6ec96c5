//! A library on its way in: every row is judged, the accepted ones become the run's items, the others are kept with
//! their reasons. Streams from end to end: the memory it takes does not grow with the library, but by nine bytes a row, for
//! each molecule that comes more than once, and for some 80 bytes a ligand where earlier runs may have its result.

use super::reuse::Wanted;
use crate::{FieldProblem, Problem, places};
use bytes::Bytes;
use chem::{LibraryError, LibraryRow};
use domain::{Item, JobId, Rejected, Uid, ligand_class};
use judge::judge;
use lines::Lines;
use open::{Opened, Size, first_reading, open};
use platform::{BlobPath, Blobs, PutOptions};
use serde::Serialize;
use std::{collections::BTreeMap, io, sync::Arc};

mod items;
mod judge;
mod lines;
mod object;
mod open;

pub use items::Items;

/// The most ligands any run may have: what the largest tier allows.
pub const MOST_LIGANDS: u32 = 1_000_000;
/// The largest file that is read, in bytes: a thousand for each of a million ligands.
pub const MOST_BYTES: u64 = 1 << 30;
/// Rows that a library may have beyond twice the ligands that may be run: the rejected ones cost reading too.
const SPARE_ROWS: u64 = 10_000;
/// How many bad rows an answer lists.
const LISTED: usize = 100;

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

/// How a library is read.
#[derive(Clone, Debug)]
pub struct Reading {
    /// Ligands that can be run.
    pub most: u32,
    /// Whether results there are already are to be looked for.
    pub wanted: bool,
    /// What an earlier reading of the same library found.
    pub first_reading: Option<FirstReading>,
}

/// What was found of a library when it was read beforehand.
#[derive(Clone, Debug)]
pub struct FirstReading {
    found: Arc<chem::FirstReading>,
    /// The writing of the object that was read: of another one it says nothing.
    generation: i64,
}

/// What became of the rows.
#[derive(Clone, Debug, Default)]
pub struct Judged {
    pub accepted: u32,
    /// All that will not run, duplicates among them.
    pub rejected: u32,
    /// Rejected rows that are not just another spelling of an accepted one.
    pub invalid: u32,
    /// The first hundred invalid rows.
    pub listed: Vec<Rejected>,
    /// The first accepted one: all there is of a single prediction.
    pub first: Option<Item>,
    /// The accepted ligands by size.
    pub sizes: Sizes,
    /// The accepted ligands, where results there are already are to be looked for.
    pub wanted: Wanted,
    /// For another reading of the same library, where it is a large one that was checked.
    pub first_reading: Option<FirstReading>,
    /// SHA-256 of the SMILES of the accepted ligands.
    pub digest: [u8; 32],
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
    /// More than so many rows, accepted or not.
    #[error("the library holds more than {0} rows")]
    TooManyRows(u64),
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
        Judged { accepted: count, first: Some(design(1)), sizes, ..Judged::default() }
    }

    /// True where two readings found the same.
    pub fn agrees(&self, other: &Self) -> bool {
        let found = |judged: &Self| (judged.digest, judged.accepted, judged.rejected, judged.invalid);
        found(self) == found(other)
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
            error @ (IngestError::TooMany(_) | IngestError::TooManyRows(_) | IngestError::TooLarge) => {
                Problem::field("/library", error.to_string())
            }
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

impl Reading {
    /// The first one of a library.
    pub fn new(most: u32, wanted: bool) -> Self {
        Reading { most, wanted, first_reading: None }
    }

    /// Rows that are read at most: as many may be rejected as can be run, and some thousands more.
    fn most_rows(&self) -> u64 {
        2 * u64::from(self.most) + SPARE_ROWS
    }

    /// Reads a large library beforehand, unless that was done, to know what need not be remembered of it.
    fn prepare(self, opened: &Opened) -> Result<Self, IngestError> {
        let most_rows = self.most_rows();
        let first_reading = match self.first_reading.filter(|first| first.generation == opened.generation) {
            None if opened.size == Size::Large => Some(first_reading(opened, most_rows)?),
            known => known,
        };
        Ok(Reading { first_reading, ..self })
    }
}

/// Judges every row, and writes nothing.
pub async fn check(blobs: &Blobs, ligands: &Ligands, reading: Reading) -> Result<Judged, IngestError> {
    if let Ligands::Designs(count) = ligands {
        return Ok(Judged::designs(*count));
    }
    let opened = open(blobs, ligands).await?;
    let small = opened.size == Size::Small;
    let work = move || {
        let reading = reading.prepare(&opened)?;
        let first_reading = reading.first_reading.clone();
        let judged = judge(&opened, reading, &mut |_| Ok(()), &mut |_| Ok(()))?;
        Ok(Judged { first_reading, ..judged })
    };
    if small { work() } else { blocking(work).await }
}

/// Judges every row; writes the items and the rejected rows of the run. The same ligands always make the same objects.
pub async fn ingest(
    blobs: &Blobs,
    (uid, job): (&Uid, &JobId),
    ligands: &Ligands,
    reading: Reading,
) -> Result<Judged, IngestError> {
    let (library_at, rejected_at) = (places::library(uid, job)?, places::rejected(uid, job)?);
    let options = || PutOptions::of_type("application/x-ndjson");
    let opened = open(blobs, ligands).await?;
    if opened.size == Size::Small {
        let (mut items, mut rejects) = (vec![], vec![]);
        let judged = judge(&opened, reading, &mut |item| line(&mut items, &item), &mut |row| line(&mut rejects, &row))?;
        blobs.put_bytes(&library_at, items, options()).await?;
        blobs.put_bytes(&rejected_at, rejects, options()).await?;
        return Ok(judged);
    }
    let (mut items, library) = Lines::channel();
    let (mut rejects, rejected) = Lines::channel();
    let judging = blocking(move || {
        let reading = reading.prepare(&opened)?;
        let judged = judge(&opened, reading, &mut |item| items.push(&item), &mut |row| rejects.push(&row))?;
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

/// The designs of a run that has no ligands.
pub async fn write_designs(blobs: &Blobs, uid: &Uid, job: &JobId, count: u32) -> Result<Judged, IngestError> {
    let mut lines = vec![];
    for index in 1..=count {
        serde_json::to_writer(&mut lines, &design(index)).map_err(platform::Error::from)?;
        lines.push(b'\n');
    }
    let options = || PutOptions::of_type("application/x-ndjson");
    blobs.put_bytes(&places::library(uid, job)?, lines, options()).await?;
    blobs.put_bytes(&places::rejected(uid, job)?, Bytes::new(), options()).await?;
    Ok(Judged::designs(count))
}

fn design(index: u32) -> Item {
    let name = format!("design_{index:04}");
    Item { index, row: index.into(), name, smiles: None, original_smiles: None, heavy_atoms: 0, notes: vec![] }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, IngestError> + Send + 'static,
) -> Result<T, IngestError> {
    let outcome = tokio::task::spawn_blocking(work).await;
    outcome.map_err(|error| platform::Error::internal("judging a library", error))?
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
