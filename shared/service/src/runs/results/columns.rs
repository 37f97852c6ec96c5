//! The scores of a run by column: which there are, and their values in the order of ranks. Values wait in groups, a
//! group's columns one after the other, so that a whole column can be read back in large pieces and no more than a
//! group is in memory while rows are written.

use crate::runs::upload::Upload;
use domain::{Ranking, Run, SortDirection};
use futures::{StreamExt, TryStreamExt, stream};
use models::Better;
use platform::{BlobPath, Blobs, PutOptions, Result};

/// Rows of a group.
const GROUP: usize = 65_536;
/// Pieces of a column that are read at once.
const SIDE_BY_SIDE: usize = 8;

/// The scores that rows can be sorted by, and those that the figures are made of. The ranking's comes first.
#[derive(Clone, Debug)]
pub struct Columns {
    orders: Vec<Ranking>,
    histogram_of: Option<&'static str>,
}

impl Columns {
    pub fn of(run: &Run) -> Self {
        let model = models::find(&run.model);
        let histogram_of = model.and_then(|model| model.histogram_of());
        let mut orders = vec![run.ranking.clone()];
        let cards = model.map(|model| model.card().scores).unwrap_or_default();
        let known = cards.iter().map(|card| (card.name, matches!(card.better, Better::Lower)));
        let figures =
            [("affinity", true), ("confidence", false)].into_iter().chain(histogram_of.map(|name| (name, false)));
        for (score, lower) in known.chain(figures) {
            if orders.iter().all(|order| order.score != score) {
                let direction = if lower { SortDirection::Ascending } else { SortDirection::Descending };
                orders.push(Ranking { score: score.to_owned(), direction });
            }
        }
        Columns { orders, histogram_of }
    }

    /// How rows are ranked.
    pub fn ranking(&self) -> &Ranking {
        &self.orders[0]
    }

    /// The orders that are written, a column each: the score's better end first.
    pub fn orders(&self) -> &[Ranking] {
        &self.orders
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.orders.iter().map(|order| order.score.as_str())
    }

    pub fn has(&self, name: &str) -> bool {
        self.column(name).is_some()
    }

    pub fn column(&self, name: &str) -> Option<usize> {
        self.names().position(|other| other == name)
    }

    pub fn histogram_of(&self) -> Option<&'static str> {
        self.histogram_of
    }
}

/// The values, while rows are written.
pub struct Values {
    columns: usize,
    rows: usize,
    held: Vec<f64>,
    groups: Option<(BlobPath, Upload)>,
}

/// The values, once all are there.
pub struct Written {
    columns: usize,
    rows: usize,
    held: Vec<f64>,
    groups: Option<BlobPath>,
}

impl Values {
    pub fn new(columns: usize) -> Self {
        Values { columns, rows: 0, held: vec![0.0; columns * GROUP], groups: None }
    }

    /// Takes the next row's values, 8 bytes each. `scratch` is where groups lie that are full.
    pub async fn add(&mut self, blobs: &Blobs, scratch: &BlobPath, values: &[u8]) -> Result<()> {
        let at = self.rows % GROUP;
        if at == 0 && self.rows > 0 {
            self.release(blobs, scratch).await?;
        }
        for (column, value) in values.as_chunks::<8>().0.iter().enumerate() {
            self.held[column * GROUP + at] = f64::from_le_bytes(*value);
        }
        self.rows += 1;
        Ok(())
    }

    async fn release(&mut self, blobs: &Blobs, scratch: &BlobPath) -> Result<()> {
        let begin = || (scratch.clone(), Upload::begin(blobs, scratch.clone(), PutOptions::default()));
        let (_, upload) = self.groups.get_or_insert_with(begin);
        for values in self.held.chunks(GROUP / 2) {
            upload.buffer().extend(values.iter().flat_map(|value| value.to_le_bytes()));
            upload.relieve().await?;
        }
        Ok(())
    }

    pub async fn finish(self) -> Result<Written> {
        let groups = match self.groups {
            Some((path, upload)) => upload.finish().await.map(|_| Some(path))?,
            None => None,
        };
        Ok(Written { columns: self.columns, rows: self.rows, held: self.held, groups })
    }
}

impl Written {
    /// Puts one score of every row into `values`, in the order of ranks; NaN for none.
    pub async fn column(&self, blobs: &Blobs, column: usize, values: &mut Vec<f64>) -> Result<()> {
        values.clear();
        values.reserve_exact(self.rows);
        let full = self.rows.saturating_sub(1) / GROUP;
        if let Some(path) = &self.groups {
            let bytes = (GROUP * 8) as u64;
            let piece = |group: usize| {
                let at = (group * self.columns + column) as u64 * bytes;
                blobs.get_range(path, at..at + bytes)
            };
            let mut pieces = stream::iter((0..full).map(piece)).buffered(SIDE_BY_SIDE);
            while let Some(piece) = pieces.try_next().await? {
                values.extend(piece.as_chunks::<8>().0.iter().map(|value| f64::from_le_bytes(*value)));
            }
        }
        let held = &self.held[column * GROUP..];
        values.extend_from_slice(&held[..self.rows - full * GROUP]);
        Ok(())
    }
}
