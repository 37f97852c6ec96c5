//! The entries of the orders, on their way from the rows to `orders.idx`. Rows come in the order of ranks and are held
//! in groups; a full group is sorted by every column and spilled, as one object, while the next one fills. Each column
//! then is a list per group, read back piece by piece, and what is in memory does not grow with the rows.

use super::{Folder, columns::Columns};
use crate::{
    Beside,
    runs::{pieces::Pieces, upload::Upload},
};
use bytes::{Buf, Bytes};
use domain::OutcomeStatus;
use platform::{BlobPath, Blobs, Error, PutOptions, Result};
use std::sync::Arc;

/// Rows of a group.
pub const GROUP: usize = 65_536;
/// What is read ahead of all lists of a column together, in bytes.
const AHEAD: u64 = 4 * 1024 * 1024;
/// Bytes of a spilled entry: the score (NaN for none, a negative one where the row failed), the row's place, its tie.
const KEPT: usize = 20;

/// An entry, as it is spilled; its first bytes are what `orders.idx` has of it.
pub type Kept = [u8; KEPT];

/// Takes entries.
pub struct Entries {
    blobs: Blobs,
    scratch: Folder,
    columns: Arc<Columns>,
    /// Rows of a full group.
    full: usize,
    group: Group,
    spilled: Vec<(BlobPath, usize)>,
    spilling: Option<Beside<(), Error>>,
}

/// Rows, in the order of ranks.
#[derive(Default)]
struct Group {
    ties: Vec<u32>,
    locations: Vec<u64>,
    /// The scores of a row, then those of the next one.
    scores: Vec<f64>,
}

/// All entries, sorted in their groups.
pub struct Groups {
    blobs: Blobs,
    columns: Arc<Columns>,
    held: Group,
    spilled: Vec<(BlobPath, usize)>,
}

/// What of a column one group has, in order.
pub struct List {
    columns: Arc<Columns>,
    column: usize,
    /// What is there of it, from the entry on at which it stands; the last one may be cut off.
    here: Bytes,
    /// The rest of a spilled one.
    rest: Option<Pieces>,
}

impl Entries {
    /// Groups have so many rows and are spilled below `scratch`.
    pub fn new(blobs: &Blobs, scratch: Folder, columns: &Arc<Columns>, full: usize) -> Self {
        let (blobs, columns) = (blobs.clone(), columns.clone());
        Entries { blobs, scratch, columns, full, group: Group::default(), spilled: vec![], spilling: None }
    }

    /// Takes the next row: its scores (8 bytes each, little-endian, NaN for none), where its line lies, and the row of
    /// the user's file, which breaks ties.
    pub async fn add(&mut self, scores: &[u8], status: OutcomeStatus, location: u64, tie: u32) -> Result<()> {
        if self.group.ties.len() == self.full {
            self.spill().await?;
        }
        let none = f64::NAN.copysign(if status == OutcomeStatus::Failed { -1.0 } else { 1.0 });
        let scores = scores.as_chunks::<8>().0.iter().map(|score| f64::from_le_bytes(*score));
        self.group.scores.extend(scores.map(|score| if score.is_nan() { none } else { score }));
        self.group.locations.push(location);
        self.group.ties.push(tie);
        Ok(())
    }

    /// All that were taken in.
    pub async fn finish(mut self) -> Result<Groups> {
        self.settled().await?;
        Ok(Groups { blobs: self.blobs, columns: self.columns, held: self.group, spilled: self.spilled })
    }

    async fn spill(&mut self) -> Result<()> {
        self.settled().await?;
        let path = self.scratch.file(&format!("order-{:05}", self.spilled.len()))?;
        let (group, columns) = (std::mem::take(&mut self.group), self.columns.clone());
        self.spilled.push((path.clone(), group.ties.len()));
        let mut upload = Upload::begin(&self.blobs, path, PutOptions::default());
        self.spilling = Some(Beside::begin(async move {
            for column in 0..columns.orders().len() {
                upload.push(group.sorted(column, &columns).as_flattened()).await?;
            }
            upload.finish().await.map(|_| ())
        }));
        Ok(())
    }

    async fn settled(&mut self) -> Result<()> {
        match self.spilling.take() {
            Some(spilling) => spilling.end("spilling entries").await,
            None => Ok(()),
        }
    }
}

impl Group {
    /// The entries by one column, in the order of their keys.
    fn sorted(&self, column: usize, columns: &Columns) -> Vec<Kept> {
        let scores = self.scores.iter().skip(column).step_by(columns.orders().len());
        let entries = scores.zip(&self.locations).zip(&self.ties).map(|((score, location), tie)| {
            let kept = kept(*score, *location, *tie);
            (columns.key(column, &kept), kept)
        });
        let mut entries: Vec<_> = entries.collect();
        entries.sort_unstable_by_key(|(key, _)| *key);
        entries.into_iter().map(|(_, kept)| kept).collect()
    }
}

impl Groups {
    /// The lists of a column. What is to be read of them is on its way from now on.
    pub fn lists(&self, column: usize) -> Vec<List> {
        let list = |here, rest| List { columns: self.columns.clone(), column, here, rest };
        let spilled = self.spilled.iter().map(|(path, rows)| {
            let length = (rows * KEPT) as u64;
            let begin = column as u64 * length;
            let pieces = Pieces::begin(&self.blobs, path, begin..begin + length, AHEAD, self.spilled.len());
            list(Bytes::new(), Some(pieces))
        });
        let held = self.held.sorted(column, &self.columns).into_flattened();
        spilled.chain([list(held.into(), None)]).collect()
    }
}

impl List {
    /// The key and the entry it stands at; `None` at the end.
    pub async fn head(&mut self) -> Result<Option<(u128, Kept)>> {
        while self.here.len() < KEPT
            && let Some(rest) = &mut self.rest
        {
            match rest.next().await? {
                Some(piece) if self.here.is_empty() => self.here = piece,
                Some(piece) => self.here = [&self.here[..], &piece[..]].concat().into(),
                None => self.rest = None,
            }
        }
        Ok(self.here.first_chunk().map(|kept| (self.columns.key(self.column, kept), *kept)))
    }

    /// Goes on to the next entry.
    pub fn advance(&mut self) {
        self.here.advance(KEPT);
    }
}

fn kept(score: f64, location: u64, tie: u32) -> Kept {
    let mut kept = [0; KEPT];
    kept[..8].copy_from_slice(&score.to_le_bytes());
    kept[8..16].copy_from_slice(&location.to_le_bytes());
    kept[16..].copy_from_slice(&tie.to_le_bytes());
    kept
}

impl Columns {
    /// Where an entry stands in the order of a column.
    fn key(&self, column: usize, kept: &Kept) -> u128 {
        let (score, tie) = (score_of(kept), u32::from_le_bytes([kept[16], kept[17], kept[18], kept[19]]));
        let failed = score.is_nan() && score.is_sign_negative();
        let status = if failed { OutcomeStatus::Failed } else { OutcomeStatus::Completed };
        self.orders()[column].key(Some(score).filter(|score| !score.is_nan()), status, tie.into())
    }
}

/// Its score; NaN for none.
pub fn score_of(kept: &Kept) -> f64 {
    kept.first_chunk().map_or(f64::NAN, |score| f64::from_le_bytes(*score))
}
