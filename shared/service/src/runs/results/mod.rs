//! The results of a run: written once, all at the end, and read page by page, also before they are all there.
//!
//! A set of results is a folder of objects. `layout.json` ([`Layout`]) is written last and says what the others hold:
//!
//! - `ranked.ndjson`: every row as one JSON line, in the order of ranks. What most pages show lies side by side.
//! - `orders.idx`: for every score that rows can be sorted by, an order: an entry of 16 bytes per row, then fences.
//!   The entry is the score (little-endian f64, NaN where the row has none) and where the row's line lies in
//!   `ranked.ndjson` (little-endian u64: the offset shifted left by 24 bits, and the length without its line end). Rows
//!   with the score come first, in the order's direction, then completed rows without it, then failed ones; ties stand
//!   in the order of the library. A fence is the score of each 4,096th entry that has one (little-endian f64). So
//!   every page, whatever it is sorted by, and whether it keeps one status or a range of scores, is one slice of one
//!   order, found by its position or, over the fences, in one more read.
//! - `results.csv`, `batch_results.json`: what users take away.
//!
//! The default order's slice leads to one range of `ranked.ndjson`; other orders' rows are scattered over it and read
//! side by side. Rows are never all in memory, neither while writing
//! ([`sort`](super::sort), [`entries`]) nor while reading, nor anything of each of them.

mod batch;
mod columns;
mod emit;
mod entries;
mod index;
mod live;
mod orders;
mod page;
mod pick;
mod write;

pub use page::{Order, ResultsPage, ResultsQuery, check, page};
pub use write::{partial, remove_older, write, write_listing};

use crate::places::{self, Prefix};
use domain::{ResultRow, Run, SortDirection, Summary};
use futures::{Stream, stream};
use platform::{BlobPath, Blobs, Error, Result};
use serde::{Deserialize, Serialize};
use std::io::{self, BufRead};
use tokio::io::{AsyncBufReadExt, Lines};
use tokio_util::io::SyncIoBridge;

const RANKED: &str = "ranked.ndjson";
const ORDERS: &str = "orders.idx";
const LAYOUT: &str = "layout.json";
/// The most a layout may weigh: scores and their names.
const LAYOUT_LIMIT: u64 = 1024 * 1024;

/// Where one set of results lies.
#[derive(Clone, Debug)]
pub struct Folder(Prefix);

/// What a set of results holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Layout {
    pub summary: Summary,
    /// Names of the scores that some row has beyond the fourteen, sorted: columns of the tables.
    pub other_scores: Vec<String>,
    /// True if a stand-in and not the model made any value.
    pub simulated: bool,
    orders: Vec<Section>,
}

/// One order of rows in `orders.idx`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Section {
    score: String,
    direction: SortDirection,
    /// Rows that have the score.
    scored: u64,
    /// Where it begins, in bytes.
    at: u64,
}

impl Layout {
    pub fn rows(&self) -> u64 {
        self.summary.total_jobs.into()
    }
}

impl Folder {
    /// The results that were written under a token.
    pub fn of_token(run: &Run, token: u32) -> Self {
        Folder(places::final_results(&run.uid, &run.job_id, token))
    }

    /// One of its objects.
    pub fn file(&self, name: &str) -> Result<BlobPath> {
        self.0.object(name)
    }

    /// What it holds.
    pub async fn layout(&self, blobs: &Blobs) -> Result<Layout> {
        blobs.get_json(&self.file(LAYOUT)?, LAYOUT_LIMIT).await
    }

    /// Its rows with their ranks, the best first.
    pub async fn stream(&self, blobs: &Blobs) -> Result<impl Stream<Item = Result<ResultRow>> + Send + use<>> {
        let lines = blobs.reader(&self.file(RANKED)?).await?.lines();
        Ok(stream::try_unfold(lines, async |mut lines: Lines<_>| {
            let line = lines.next_line().await.map_err(|error| Error::internal("reading rows", error))?;
            let row = line.map(|line| serde_json::from_str(&line)).transpose()?;
            Ok(row.map(|row| (row, lines)))
        }))
    }

    /// The same for work that blocks.
    pub async fn rows(&self, blobs: &Blobs) -> Result<impl Iterator<Item = io::Result<ResultRow>> + Send + use<>> {
        let lines = SyncIoBridge::new(blobs.reader(&self.file(RANKED)?).await?).lines();
        Ok(lines.map(|line| Ok(serde_json::from_str(&line?)?)))
    }
}

#[cfg(test)]
mod tests;
