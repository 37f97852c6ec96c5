//! The index of a run's results by molecule, as an object: 256 counts (little-endian u32), the n-th of which says how many
//! records have a key whose first byte is n or less; then the records, sorted: the molecule's key (8 bytes, big-endian),
//! the hash of its ligand as it is written and that of its canonical SMILES (16 bytes each), the item and its shard
//! (little-endian u32 each). So a single ligand is found in a large index without reading all of it (the fan-out of a git
//! pack index), and one that is written as it was is known without working out its canonical SMILES.

use crate::{
    places::{self, Prefix},
    runs::{
        sort::{Records, Sorter},
        upload::Upload,
    },
};
use domain::{JobRef, LigandHash, Molecule, OutcomeStatus, ResultRow, Run};
use platform::{BlobPath, Blobs, Error, PutOptions, Result};
use std::{io, ops::Range};

const COUNTS: usize = 256;
const HEAD: u64 = COUNTS as u64 * 4;
/// Bytes of a record: what it is sorted by (the key, and the beginning of the hash of what is written), and all of it.
const SORTED_BY: usize = 16;
const RECORD: usize = 8 + 2 * LigandHash::BYTES + 8;
/// What is read at a time, in bytes, unless more ligands share a first byte.
const PIECE: u64 = 1024 * 1024;

/// A ligand whose result a run has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// As it is written.
    pub written: LigandHash,
    pub molecule: Molecule,
    /// The item's 1-based index.
    pub item: u32,
    pub shard: u32,
}

/// The results of a shard, in any order.
#[derive(Debug, Default)]
pub struct Answers(Vec<Answer>);

/// The results of a run, gathered in any order.
pub struct Gathered {
    sorter: Sorter,
    /// By first byte of their key.
    counts: [u32; COUNTS],
}

impl Answers {
    /// Those among the rows of a shard.
    pub fn of(rows: &[ResultRow], shard: u32) -> Self {
        let completed = rows.iter().filter(|row| row.status == OutcomeStatus::Completed);
        let answer = |row: &ResultRow| {
            let item = match JobRef::try_from(row.job_id.clone()).ok()? {
                JobRef::Run(_) => 1,
                JobRef::Child(child) => child.index,
            };
            let smiles = row.ligand_smiles.as_deref()?;
            let molecule = row.molecule.or_else(|| super::molecule(smiles))?;
            Some(Answer { written: LigandHash::of(smiles), molecule, item, shard })
        };
        Answers(completed.filter_map(answer).collect())
    }
}

impl Gathered {
    /// What does not fit into `most` bytes is spilled below `scratch`.
    pub fn new(blobs: &Blobs, scratch: Prefix, most: usize) -> Self {
        Gathered { sorter: Sorter::new(blobs, scratch, most), counts: [0; COUNTS] }
    }

    pub async fn add(&mut self, answers: &Answers) -> Result<()> {
        let mut records = Records::default();
        for answer in &answers.0 {
            let record = answer.record();
            self.counts[usize::from(record[0])] += 1;
            let (sorted_by, rest) = record.split_at(SORTED_BY);
            let sorted_by = sorted_by.first_chunk().copied().unwrap_or_default();
            records.begin(u128::from_be_bytes(sorted_by)).extend_from_slice(rest);
        }
        self.sorter.push(&records).await
    }

    /// Writes the run's index, unless there is nothing in it. Written again it is the same.
    pub async fn write(self, blobs: &Blobs, run: &Run) -> Result<()> {
        if self.counts == [0; COUNTS] {
            return Ok(());
        }
        let mut upload = Upload::begin(blobs, places::answers(&run.uid, &run.job_id)?, PutOptions::default());
        let mut end = 0;
        for count in self.counts {
            end += count;
            upload.buffer().extend(end.to_le_bytes());
        }
        let mut sorted = self.sorter.sorted().await?;
        while let Some(record) = sorted.next().await? {
            // What it was sorted by as a number, and the rest as it is.
            let (sorted_by, rest) = record.split_at(SORTED_BY);
            upload.buffer().extend(sorted_by.iter().rev());
            upload.buffer().extend_from_slice(rest);
            upload.relieve().await?;
        }
        upload.finish().await.map(|_| ())
    }
}

/// An index that is read.
pub struct Index<'a> {
    blobs: &'a Blobs,
    path: BlobPath,
    counts: Vec<u32>,
}

impl<'a> Index<'a> {
    /// `None` where there is none, or none that can be read.
    pub async fn open(blobs: &'a Blobs, path: BlobPath) -> Result<Option<Self>> {
        let head = match blobs.get_range(&path, 0..HEAD).await {
            Err(Error::NotFound(_)) => return Ok(None),
            head => head?,
        };
        let counts: Vec<_> = head.as_chunks::<4>().0.iter().map(|count| u32::from_le_bytes(*count)).collect();
        Ok((counts.len() == COUNTS).then_some(Index { blobs, path, counts }))
    }

    /// For each of the `keys`, which are sorted, what the run has of it, where it has anything. Reads the parts of the index
    /// in which they would be, one after the other.
    pub async fn find(&self, keys: &[u64], found: &mut impl FnMut(usize, &[Answer])) -> Result<()> {
        let (mut at, mut same) = (0, vec![]);
        while let Some(first) = keys.get(at) {
            let piece = self.piece(first_byte(*first));
            let end = at + keys[at..].partition_point(|key| first_byte(*key) <= piece.end);
            let bytes = self.blobs.get_range(&self.path, piece.bytes).await?;
            let mut records = bytes.as_chunks::<RECORD>().0.iter().map(Answer::read).peekable();
            for (at, key) in keys.iter().enumerate().take(end).skip(at) {
                while records.next_if(|record| record.molecule.key < *key).is_some() {}
                if same.first().is_none_or(|first: &Answer| first.molecule.key != *key) {
                    same.clear();
                    same.extend(std::iter::from_fn(|| records.next_if(|record| record.molecule.key == *key)));
                }
                if !same.is_empty() {
                    found(at, &same);
                }
            }
            at = end;
        }
        Ok(())
    }

    /// The records from this first byte on, as far as one piece goes.
    fn piece(&self, first: u8) -> Piece {
        let from = first.checked_sub(1).map_or(0, |before| self.counts[usize::from(before)]);
        let place = |count: u32| HEAD + u64::from(count) * RECORD as u64;
        let fits = |byte: &u8| place(self.counts[usize::from(*byte)]) - place(from) <= PIECE;
        let end = (first..=u8::MAX).take_while(fits).last().unwrap_or(first);
        Piece { end, bytes: place(from)..place(self.counts[usize::from(end)]) }
    }
}

/// Some of the records.
struct Piece {
    /// The last first byte in it.
    end: u8,
    bytes: Range<u64>,
}

fn first_byte(key: u64) -> u8 {
    key.to_be_bytes()[0]
}

impl Answer {
    fn record(&self) -> [u8; RECORD] {
        let mut record = [0; RECORD];
        let numbers = [self.item, self.shard].into_iter().flat_map(u32::to_le_bytes);
        let hashes = self.written.0.into_iter().chain(self.molecule.canonical.0);
        let bytes = self.molecule.key.to_be_bytes().into_iter().chain(hashes).chain(numbers);
        record.iter_mut().zip(bytes).for_each(|(place, byte)| *place = byte);
        record
    }

    fn read(record: &[u8; RECORD]) -> Self {
        let hash = |at: usize| LigandHash(record[at..].first_chunk().copied().unwrap_or_default());
        let key = u64::from_be_bytes(record.first_chunk().copied().unwrap_or_default());
        let (written, canonical) = (hash(8), hash(8 + LigandHash::BYTES));
        let numbers = &record[8 + 2 * LigandHash::BYTES..];
        Answer { written, molecule: Molecule { key, canonical }, item: number(numbers, 0), shard: number(numbers, 4) }
    }
}

/// The little-endian u32 that begins there.
pub(super) fn number(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

pub(super) fn damaged(what: &'static str) -> Error {
    Error::internal(what, io::Error::other("it is cut off"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Bench;

    /// The n-th molecule; ten in a row share their key, as stereoisomers do.
    fn answer(n: u32) -> Answer {
        let key = u64::from(n / 10).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let molecule = Molecule { key, canonical: LigandHash::of(&format!("canonical {n}")) };
        Answer { written: LigandHash::of(&n.to_string()), molecule, item: n + 1, shard: n / 60 }
    }

    /// What is found of these molecules in an index of the first `size` ones.
    async fn found(size: u32, wanted: impl Iterator<Item = u32>) -> Vec<Answer> {
        let bench = Bench::new().await;
        let run = bench.submit("u1", 1).await;
        let mut gathered = Gathered::new(&bench.world.blobs, places::final_results(&run.uid, &run.job_id, 1), 1 << 20);
        for shard in (0..size).map(answer).collect::<Vec<_>>().chunks(60).rev() {
            gathered.add(&Answers(shard.to_vec())).await.unwrap();
        }
        gathered.write(&bench.world.blobs, &run).await.unwrap();
        let path = places::answers(&run.uid, &run.job_id).unwrap();
        let index = Index::open(&bench.world.blobs, path).await.unwrap().unwrap();
        let mut wanted: Vec<_> = wanted.map(answer).collect();
        wanted.sort_by_key(|answer| (answer.molecule.key, answer.item));
        let keys: Vec<_> = wanted.iter().map(|answer| answer.molecule.key).collect();
        let mut found = vec![];
        let mut take = |at: usize, same: &[Answer]| {
            assert!(same.iter().all(|answer| answer.molecule.key == keys[at]));
            found.extend(same.iter().find(|answer| answer.written == wanted[at].written));
        };
        index.find(&keys, &mut take).await.unwrap();
        found
    }

    #[tokio::test]
    async fn every_ligand_of_a_run_is_found_in_its_index_and_no_other() {
        // Five megabytes: it is read in several pieces.
        let of_both = found(100_000, 50_000..150_000).await;
        assert_eq!(of_both.len(), 50_000);
        assert!(of_both.iter().all(|found| *found == answer(found.item - 1)));
        assert_eq!(found(100_000, [77_777, 100_000].into_iter()).await, [answer(77_777)]);
        assert_eq!(found(1, 0..2).await.len(), 1);
    }

    #[tokio::test]
    async fn an_index_that_is_gone_or_no_index_answers_nothing() {
        let bench = Bench::new().await;
        let run = bench.submit("u1", 1).await;
        let path = places::answers(&run.uid, &run.job_id).unwrap();
        assert!(Index::open(&bench.world.blobs, path.clone()).await.unwrap().is_none());
        bench.world.blobs.put_bytes(&path, "short", PutOptions::default()).await.unwrap();
        assert!(Index::open(&bench.world.blobs, path).await.unwrap().is_none());
    }
}
