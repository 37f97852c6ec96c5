//! The index of a run's results by ligand, as an object: 256 counts (little-endian u32), the n-th of which says how many
//! records have a hash whose first byte is n or less; then the records, sorted: the ligand's hash (16 bytes), the item
//! and its shard (little-endian u32 each). So a single ligand is found in a large index without reading all of it (the
//! fan-out of a git pack index).

use crate::{
    places,
    runs::{
        sort::{Records, Sorter},
        upload::Upload,
    },
};
use domain::{JobRef, LigandHash, OutcomeStatus, ResultRow, Run};
use platform::{BlobPath, Blobs, Error, PutOptions, Result};
use std::{io, ops::Range};

const COUNTS: usize = 256;
const HEAD: u64 = COUNTS as u64 * 4;
/// Bytes of a record.
const RECORD: usize = LigandHash::BYTES + 8;
/// What is read at a time, in bytes, unless more ligands share a first byte.
const PIECE: u64 = 1024 * 1024;

/// A ligand whose result a run has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Answer {
    pub hash: LigandHash,
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
    /// By first byte of their hash.
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
            Some(Answer { hash: LigandHash::of(row.ligand_smiles.as_deref()?), item, shard })
        };
        Answers(completed.filter_map(answer).collect())
    }
}

impl Gathered {
    /// What does not fit into `most` bytes is spilled below `scratch`.
    pub fn new(blobs: &Blobs, scratch: String, most: usize) -> Self {
        Gathered { sorter: Sorter::new(blobs, scratch, most), counts: [0; COUNTS] }
    }

    pub async fn add(&mut self, answers: &Answers) -> Result<()> {
        let mut records = Records::default();
        for Answer { hash, item, shard } in &answers.0 {
            self.counts[usize::from(hash.0[0])] += 1;
            let bytes = records.begin(u128::from_be_bytes(hash.0));
            bytes.extend(item.to_le_bytes());
            bytes.extend(shard.to_le_bytes());
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
            // The hash as the number it was sorted by, and the rest as it is.
            let (hash, rest) = record.split_at(LigandHash::BYTES);
            upload.buffer().extend(hash.iter().rev());
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

    /// For each of the `hashes`, which are sorted, what the run has of it. Reads the parts of the index in which they
    /// would be, one after the other.
    pub async fn find(&self, hashes: &[LigandHash], found: &mut impl FnMut(usize, Answer)) -> Result<()> {
        let mut at = 0;
        while let Some(first) = hashes.get(at) {
            let piece = self.piece(first.0[0]);
            let end = at + hashes[at..].partition_point(|hash| hash.0[0] <= piece.end);
            let bytes = self.blobs.get_range(&self.path, piece.bytes).await?;
            let mut records = bytes.as_chunks::<RECORD>().0.iter().map(read).peekable();
            for (at, hash) in hashes.iter().enumerate().take(end).skip(at) {
                while records.next_if(|record| record.hash < *hash).is_some() {}
                if let Some(record) = records.peek().filter(|record| record.hash == *hash) {
                    found(at, *record);
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

fn read(record: &[u8; RECORD]) -> Answer {
    let mut hash = LigandHash([0; LigandHash::BYTES]);
    let (of, rest) = record.split_at(LigandHash::BYTES);
    hash.0.copy_from_slice(of);
    Answer { hash, item: number(rest, 0), shard: number(rest, 4) }
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

    fn hash(n: u32) -> LigandHash {
        LigandHash::of(&n.to_string())
    }

    /// What is found of these hashes in an index of the first `size` ones.
    async fn found(size: u32, mut wanted: Vec<LigandHash>) -> Vec<Answer> {
        let bench = Bench::new().await;
        let run = bench.submit("u1", 1).await;
        let answers = (0..size).map(|n| Answer { hash: hash(n), item: n + 1, shard: n / 60 });
        let mut gathered = Gathered::new(&bench.world.blobs, format!("{}/spill-", run.uid), 1 << 20);
        for shard in answers.collect::<Vec<_>>().chunks(60).rev() {
            gathered.add(&Answers(shard.to_vec())).await.unwrap();
        }
        gathered.write(&bench.world.blobs, &run).await.unwrap();
        let path = places::answers(&run.uid, &run.job_id).unwrap();
        let index = Index::open(&bench.world.blobs, path).await.unwrap().unwrap();
        wanted.sort_unstable();
        let mut found = vec![];
        let mut take = |at: usize, answer: Answer| {
            assert_eq!(answer.hash, wanted[at]);
            found.push(answer);
        };
        index.find(&wanted, &mut take).await.unwrap();
        found
    }

    #[tokio::test]
    async fn every_ligand_of_a_run_is_found_in_its_index_and_no_other() {
        // Two and a half megabytes: it is read in several pieces.
        let of_both = found(100_000, (50_000..150_000).map(hash).collect()).await;
        assert_eq!(of_both.len(), 50_000);
        assert!(
            of_both.iter().all(|answer| answer.hash == hash(answer.item - 1) && answer.shard == (answer.item - 1) / 60)
        );
        let one = found(100_000, vec![hash(77_777), hash(100_000)]).await;
        assert_eq!(one, [Answer { hash: hash(77_777), item: 77_778, shard: 77_777 / 60 }]);
        assert_eq!(found(1, vec![hash(0), hash(1)]).await.len(), 1);
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
