//! Sorting more rows than fit into memory: records are collected into blocks, a full block is sorted and spilled as an
//! object, and at the end the objects are merged. Every object is written and read once, from its beginning to its end,
//! which is what object stores are quick and cheap at; it is packed, because the names in rows repeat and moving bytes
//! takes longer than packing them. A run of one block spills nothing.

use super::pieces::Pieces;
use crate::{Beside, places::Prefix};
use bytes::{Buf, Bytes, BytesMut};
use futures::{StreamExt, stream};
use platform::{Blobs, Error, ObjectMeta, PutOptions, Result, blobs::Chunks};
use std::{cmp::Reverse, collections::BinaryHeap, io, ops::Range, sync::Arc};

/// Records that are packed together, in bytes.
const CHUNK: usize = 64 * 1024;

/// What is read ahead of all spilled blocks together, in bytes.
const AHEAD: u64 = 16 * 1024 * 1024;
/// Bytes that a block takes for each record beside the record's own.
const PLACE: usize = size_of::<(u128, u32, u32)>();

/// Records with keys.
#[derive(Debug, Default)]
pub struct Records {
    bytes: Vec<u8>,
    /// The key of each, and where it begins.
    begin: Vec<(u128, u32)>,
}

/// Takes records in any order.
pub struct Sorter {
    blobs: Blobs,
    /// Where blocks are spilled: the beginning of an object's name.
    scratch: Prefix,
    /// When a block is full, in bytes.
    most: usize,
    block: Block,
    spilled: Vec<ObjectMeta>,
    spilling: Option<Beside<ObjectMeta, Error>>,
}

/// Gives them in the order of their keys.
pub enum Sorted {
    Held { block: Block, next: usize },
    Merged { runs: Vec<SpilledRun>, heads: BinaryHeap<Reverse<(u128, usize)>>, last: Option<usize> },
}

#[derive(Debug, Default)]
pub struct Block {
    bytes: Vec<u8>,
    /// Key, begin and length of each record.
    records: Vec<(u128, u32, u32)>,
}

/// A spilled block that is read back. It is made of chunks, each packed (Snappy) and after its packed length; in a
/// chunk, each record is after its own length (both little-endian u32).
pub struct SpilledRun {
    pieces: Pieces,
    /// What was read and not yet unpacked.
    packed: BytesMut,
    chunk: Vec<u8>,
    /// Where in the chunk the record is.
    record: Range<usize>,
}

impl Records {
    /// Begins the next record with its key (16 bytes, little-endian); what is added to the bytes belongs to it.
    pub fn begin(&mut self, key: u128) -> &mut Vec<u8> {
        self.begin.push((key, self.bytes.len() as u32));
        self.bytes.extend(key.to_le_bytes());
        &mut self.bytes
    }

    /// Bytes that a block will take for them.
    fn weight(&self) -> usize {
        self.bytes.len() + self.begin.len() * PLACE
    }
}

impl Sorter {
    /// Blocks of `most` bytes are spilled into the artifacts bucket, below `scratch`.
    pub fn new(blobs: &Blobs, scratch: Prefix, most: usize) -> Self {
        Sorter { blobs: blobs.clone(), scratch, most, block: Block::default(), spilled: vec![], spilling: None }
    }

    pub async fn push(&mut self, records: &Records) -> Result<()> {
        if !self.block.records.is_empty() && self.block.weight() + records.weight() > self.most {
            self.spill().await?;
        }
        self.block.append(records, self.most);
        Ok(())
    }

    /// All that were taken in.
    pub async fn sorted(mut self) -> Result<Sorted> {
        if self.spilled.is_empty() && self.spilling.is_none() {
            self.block.sort();
            return Ok(Sorted::Held { block: self.block, next: 0 });
        }
        self.spill().await?;
        self.settled().await?;
        let (mut runs, mut heads) = (vec![], BinaryHeap::new());
        for ObjectMeta { path, size, .. } in &self.spilled {
            let pieces = Pieces::begin(&self.blobs, path, 0..*size, AHEAD, self.spilled.len());
            let mut run = SpilledRun { pieces, packed: BytesMut::new(), chunk: vec![], record: 0..0 };
            if run.advance().await? {
                heads.push(Reverse((key_of(run.record()), runs.len())));
                runs.push(run);
            }
        }
        Ok(Sorted::Merged { runs, heads, last: None })
    }

    async fn spill(&mut self) -> Result<()> {
        self.settled().await?;
        let path = self.scratch.object(&format!("{:05}", self.spilled.len()))?;
        let (mut block, blobs) = (std::mem::take(&mut self.block), self.blobs.clone());
        self.spilling = Some(Beside::begin(async move {
            block.sort();
            blobs.put(&path, block.chunks(), PutOptions::default()).await
        }));
        Ok(())
    }

    async fn settled(&mut self) -> Result<()> {
        if let Some(spilling) = self.spilling.take() {
            self.spilled.push(spilling.end("spilling rows").await?);
        }
        Ok(())
    }
}

impl Sorted {
    pub async fn next(&mut self) -> Result<Option<&[u8]>> {
        match self {
            Sorted::Held { block, next } => {
                *next += 1;
                Ok(block.record(*next - 1))
            }
            Sorted::Merged { runs, heads, last } => {
                if let Some(run) = last.take()
                    && runs[run].advance().await?
                {
                    heads.push(Reverse((key_of(runs[run].record()), run)));
                }
                let Some(Reverse((_, run))) = heads.pop() else { return Ok(None) };
                *last = Some(run);
                Ok(Some(runs[run].record()))
            }
        }
    }
}

impl Block {
    fn weight(&self) -> usize {
        self.bytes.len() + self.records.len() * PLACE
    }

    fn append(&mut self, more: &Records, most: usize) {
        if self.bytes.len() > most / 2 {
            // What grows beyond half of a block will fill it.
            self.bytes.reserve_exact((most + more.bytes.len()).saturating_sub(self.bytes.len()));
        }
        let (base, end) = (self.bytes.len() as u32, more.bytes.len() as u32);
        let ends = more.begin.iter().skip(1).map(|(_, begin)| *begin).chain([end]);
        self.records.extend(more.begin.iter().zip(ends).map(|((key, begin), end)| (*key, base + begin, end - begin)));
        self.bytes.extend_from_slice(&more.bytes);
    }

    fn sort(&mut self) {
        self.records.sort_unstable();
    }

    fn record(&self, at: usize) -> Option<&[u8]> {
        let (_, start, length) = self.records.get(at)?;
        Some(&self.bytes[*start as usize..(start + length) as usize])
    }

    /// Its records as a spilled run.
    fn chunks(self) -> Chunks {
        let (block, mut next, mut chunk) = (Arc::new(self), 0, Vec::with_capacity(CHUNK + CHUNK / 4));
        let mut packer = snap::raw::Encoder::new();
        let packed = move || {
            chunk.clear();
            while chunk.len() < CHUNK
                && let Some(record) = block.record(next)
            {
                chunk.extend((record.len() as u32).to_le_bytes());
                chunk.extend_from_slice(record);
                next += 1;
            }
            (!chunk.is_empty()).then(|| {
                let packed = packer.compress_vec(&chunk).map_err(io::Error::other)?;
                Ok(Bytes::from([&(packed.len() as u32).to_le_bytes(), packed.as_slice()].concat()))
            })
        };
        stream::iter(std::iter::from_fn(packed)).boxed()
    }
}

impl SpilledRun {
    fn record(&self) -> &[u8] {
        &self.chunk[self.record.clone()]
    }

    /// Goes on to the next record; false at the end.
    async fn advance(&mut self) -> Result<bool> {
        if self.record.end == self.chunk.len() && !self.unpack().await? {
            return Ok(false);
        }
        let (length, rest) = self.chunk[self.record.end..].split_first_chunk().ok_or_else(cut_off)?;
        let length = u32::from_le_bytes(*length) as usize;
        let begin = self.chunk.len() - rest.len();
        self.record = begin..begin + rest.get(..length).ok_or_else(cut_off)?.len();
        Ok(true)
    }

    /// Reads the next chunk; false at the end.
    async fn unpack(&mut self) -> Result<bool> {
        if !self.holds(size_of::<u32>()).await? {
            return if self.packed.is_empty() { Ok(false) } else { Err(cut_off()) };
        }
        let length = self.packed.get_u32_le() as usize;
        if !self.holds(length).await? {
            return Err(cut_off());
        }
        let packed = self.packed.split_to(length);
        let damaged = |error| Error::internal("unpacking spilled rows", error);
        self.chunk.resize(snap::raw::decompress_len(&packed).map_err(damaged)?, 0);
        snap::raw::Decoder::new().decompress(&packed, &mut self.chunk).map_err(damaged)?;
        self.record = 0..0;
        Ok(true)
    }

    /// Reads on until so many bytes are there; false where they do not come.
    async fn holds(&mut self, bytes: usize) -> Result<bool> {
        while self.packed.len() < bytes {
            let Some(piece) = self.pieces.next().await? else { return Ok(false) };
            self.packed.extend_from_slice(&piece);
        }
        Ok(true)
    }
}

fn cut_off() -> Error {
    Error::internal("reading spilled rows", io::Error::from(io::ErrorKind::UnexpectedEof))
}

/// The key of a record.
pub fn key_of(record: &[u8]) -> u128 {
    record.first_chunk().map_or(u128::MAX, |key| u128::from_le_bytes(*key))
}
