//! What a submission found of its ligands, written down for the planner: a line of JSON with the runs that have the
//! results, then a record for each ligand in the order of the library: its index, its hash, and of the result the run
//! (counted from 0 in the first line), item and shard (numbers as little-endian u32). The object's name holds a hash of
//! its content: of two that take in the same upload at once, each has its own.

use super::index::{damaged, number};
use crate::{places, runs::upload::Upload};
use domain::{JobId, LigandHash, Run, Uid};
use platform::{Blobs, Error, PutOptions, Result};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

/// Bytes of a record.
const RECORD: usize = LigandHash::BYTES + 16;

/// A ligand of a submission and where its result is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed {
    /// Of the item in the run that is submitted, 1-based.
    pub index: u32,
    pub hash: LigandHash,
    /// The run, by its place in the list of runs.
    pub run: u32,
    /// The item and the shard there.
    pub item: u32,
    pub shard: u32,
}

impl Listed {
    fn bytes(&self) -> impl Iterator<Item = u8> {
        let numbers = [self.run, self.item, self.shard].into_iter().flat_map(u32::to_le_bytes);
        self.index.to_le_bytes().into_iter().chain(self.hash.0).chain(numbers)
    }

    fn read(record: &[u8; RECORD]) -> Self {
        let mut hash = LigandHash([0; LigandHash::BYTES]);
        hash.0.copy_from_slice(&record[4..4 + LigandHash::BYTES]);
        let at = |place: usize| number(record, 4 + LigandHash::BYTES + place);
        Listed { index: number(record, 0), hash, run: at(0), item: at(4), shard: at(8) }
    }
}

/// The name of the list of these ligands, which are in the order of the library.
pub(super) fn name(runs: &[JobId], ligands: &[Listed]) -> String {
    let mut hash = Sha256::new();
    runs.iter().for_each(|run| hash.update(run.as_str()));
    let mut record = vec![];
    for ligand in ligands {
        record.clear();
        record.extend(ligand.bytes());
        hash.update(&record);
    }
    hex::encode(&hash.finalize()[..12])
}

/// Writes the list.
pub(super) async fn write(
    blobs: &Blobs,
    uid: &Uid,
    job: &JobId,
    name: &str,
    (runs, ligands): (&[JobId], &[Listed]),
) -> Result<()> {
    let mut upload = Upload::begin(blobs, places::known(uid, job, name)?, PutOptions::default());
    let mut head = serde_json::to_vec(runs)?;
    head.push(b'\n');
    upload.push(&head).await?;
    for ligand in ligands {
        upload.buffer().extend(ligand.bytes());
        upload.relieve().await?;
    }
    upload.finish().await.map(|_| ())
}

/// A list as the planner reads it, beside the library.
pub struct Listing {
    /// The runs that have the results.
    pub runs: Vec<JobId>,
    reader: Option<Box<dyn AsyncBufRead + Send + Unpin>>,
    next: Option<Listed>,
}

impl Listing {
    /// That of a run, empty where it has none.
    pub async fn open(blobs: &Blobs, run: &Run) -> Result<Self> {
        let name = run.plan.as_ref().and_then(|plan| plan.known.list.as_ref());
        let Some(name) = name else { return Ok(Listing { runs: vec![], reader: None, next: None }) };
        let mut reader = blobs.reader(&places::known(&run.uid, &run.job_id, name)?).await?;
        let mut head = String::new();
        reader.read_line(&mut head).await.map_err(failed)?;
        let mut listing = Listing { runs: serde_json::from_str(&head)?, reader: Some(Box::new(reader)), next: None };
        listing.advance().await?;
        Ok(listing)
    }

    /// What is known of the item of this index. Items are asked for in the order of the library.
    pub async fn of(&mut self, index: u32) -> Result<Option<Listed>> {
        let found = self.next.filter(|listed| listed.index == index);
        if found.is_some() {
            self.advance().await?;
        }
        Ok(found)
    }

    async fn advance(&mut self) -> Result<()> {
        self.next = None;
        let Some(reader) = &mut self.reader else { return Ok(()) };
        if reader.fill_buf().await.map_err(failed)?.is_empty() {
            return Ok(());
        }
        let mut record = [0; RECORD];
        reader.read_exact(&mut record).await.map_err(|_| damaged("reading a list of known results"))?;
        self.next = Some(Listed::read(&record));
        Ok(())
    }
}

fn failed(error: std::io::Error) -> Error {
    Error::internal("reading a list of known results", error)
}
