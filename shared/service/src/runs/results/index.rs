//! Reading one order of `orders.idx`: entries by their position, and positions by their scores. What was read is kept
//! for the request.

use super::{
    Layout, Section,
    emit::LENGTH_BITS,
    orders::{ENTRY, FENCED},
};
use bytes::Bytes;
use domain::SortDirection;
use platform::{BlobPath, Blobs, Error, Result};
use std::{collections::BTreeMap, io, ops::Range};

/// A row in an order.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// NaN for none.
    score: f64,
    location: u64,
}

/// One order of a set of results.
pub struct Index<'a> {
    blobs: &'a Blobs,
    file: BlobPath,
    section: &'a Section,
    rows: u64,
    /// Entries by block: as many as there are between two fences.
    blocks: BTreeMap<u64, Bytes>,
    fences: Option<Vec<f64>>,
}

impl Entry {
    /// Where the row's line lies in `ranked.ndjson`.
    pub fn line(&self) -> Range<u64> {
        let begin = self.location >> LENGTH_BITS;
        begin..begin + (self.location & ((1 << LENGTH_BITS) - 1))
    }
}

impl<'a> Index<'a> {
    /// The order by this score, whatever its direction; `None` where there is none.
    pub fn open(blobs: &'a Blobs, file: BlobPath, layout: &'a Layout, score: &str) -> Option<Self> {
        let section = layout.orders.iter().find(|section| section.score == score)?;
        Some(Index { blobs, file, section, rows: layout.rows(), blocks: BTreeMap::new(), fences: None })
    }

    pub fn direction(&self) -> SortDirection {
        self.section.direction
    }

    /// Rows that have the score; they stand first.
    pub fn scored(&self) -> u64 {
        self.section.scored
    }

    /// The entry at a position.
    pub async fn entry(&mut self, at: u64) -> Result<Entry> {
        let damaged = || Error::internal("reading an order", io::Error::other("it is cut off"));
        let block = self.block(at / FENCED).await?;
        let bytes =
            block.get((at % FENCED * ENTRY) as usize..).and_then(<[u8]>::first_chunk::<16>).ok_or_else(damaged)?;
        Ok(entry(bytes))
    }

    /// The scores in `from ..= to`, as positions of this order.
    pub async fn within(&mut self, from: Option<f64>, to: Option<f64>) -> Result<Range<u64>> {
        let above = |limit: Option<f64>, score: f64| limit.is_none_or(|limit| score >= limit);
        let below = |limit: Option<f64>, score: f64| limit.is_none_or(|limit| score <= limit);
        if from.is_some_and(f64::is_nan) || to.is_some_and(f64::is_nan) {
            return Ok(0..0);
        }
        let (begin, end) = match self.direction() {
            SortDirection::Ascending => {
                (self.first_not(|score| !above(from, score)).await?, self.first_not(|score| below(to, score)).await?)
            }
            SortDirection::Descending => {
                (self.first_not(|score| !below(to, score)).await?, self.first_not(|score| above(from, score)).await?)
            }
        };
        Ok(begin..end.max(begin))
    }

    /// All positions with the score that is at this one.
    pub async fn ties(&mut self, at: u64) -> Result<Range<u64>> {
        let direction = self.direction();
        let place = direction.place(self.entry(at).await?.score);
        let begin = self.first_not(|score| direction.place(score) < place).await?;
        Ok(begin..self.first_not(|score| direction.place(score) <= place).await?)
    }

    /// The first position with a score of which `before` is no longer true; it is true of the first ones only.
    async fn first_not(&mut self, before: impl Fn(f64) -> bool) -> Result<u64> {
        let fence = self.fences().await?.partition_point(|score| before(*score)) as u64;
        let Some(block) = fence.checked_sub(1) else { return Ok(0) };
        let scored = self.scored().saturating_sub(block * FENCED).min(FENCED) as usize;
        let entries = self.block(block).await?;
        let (entries, _) = entries.as_chunks::<16>();
        Ok(block * FENCED
            + entries[..scored.min(entries.len())].partition_point(|bytes| before(entry(bytes).score)) as u64)
    }

    async fn fences(&mut self) -> Result<&[f64]> {
        if self.fences.is_none() {
            let begin = self.section.at + self.rows * ENTRY;
            let end = begin + self.scored().div_ceil(FENCED) * 8;
            let bytes = self.blobs.get_range(&self.file, begin..end).await?;
            self.fences = Some(bytes.as_chunks::<8>().0.iter().map(|score| f64::from_le_bytes(*score)).collect());
        }
        Ok(self.fences.as_deref().unwrap_or_default())
    }

    async fn block(&mut self, block: u64) -> Result<Bytes> {
        if let Some(bytes) = self.blocks.get(&block) {
            return Ok(bytes.clone());
        }
        let (begin, end) = (block * FENCED, ((block + 1) * FENCED).min(self.rows));
        let at = |entry: u64| self.section.at + entry * ENTRY;
        let bytes = self.blobs.get_range(&self.file, at(begin)..at(end)).await?;
        self.blocks.insert(block, bytes.clone());
        Ok(bytes)
    }
}

fn entry(bytes: &[u8; 16]) -> Entry {
    let half = |at: usize| bytes[at..].first_chunk::<8>().copied().unwrap_or_default();
    Entry { score: f64::from_le_bytes(half(0)), location: u64::from_le_bytes(half(8)) }
}
