//! Writing `orders.idx`: for every column, the rows in the order of its values.

use super::{Folder, Layout, ORDERS, Section, columns::Columns, emit::Emitted};
use crate::runs::upload::Upload;
use domain::{Ranking, SortDirection};
use futures::future::BoxFuture;
use platform::{Blobs, Error, PutOptions, Result};
use std::sync::Arc;

/// Bytes of an entry.
pub const ENTRY: u64 = 16;
/// Entries between two fences.
pub const FENCED: u64 = 4096;
/// So many rows are sorted where they are: handing them to a thread takes longer.
const IN_PLACE: usize = 1000;

/// Writes every order; what the results then hold. One is sorted while the one before it is written.
pub async fn write(
    blobs: &Blobs,
    folder: &Folder,
    columns: &Columns,
    emitted: Emitted,
    other_scores: Vec<String>,
    simulated: bool,
) -> Result<Layout> {
    let emitted = Arc::new(emitted);
    let mut upload = Upload::begin(blobs, folder.file(ORDERS)?, PutOptions::default());
    let mut orders = vec![];
    let mut spare = Sorting::default();
    let mut next = columns.orders().first().map(|order| spare.take().begin(blobs, &emitted, 0, order.direction));
    while let Some(sorting) = next {
        let sorted = sorting.await?;
        let column = orders.len();
        let begin = |order: &Ranking| spare.take().begin(blobs, &emitted, column + 1, order.direction);
        next = columns.orders().get(column + 1).map(begin);
        let Ranking { score, direction } = columns.orders()[column].clone();
        let scored = sorted.scored.len() as u64;
        orders.push(Section { score, direction, scored, at: upload.written() });
        sorted.write(&emitted, &mut upload).await?;
        spare = sorted;
    }
    upload.finish().await?;
    Ok(Layout { summary: emitted.summary.clone(), other_scores, simulated, orders })
}

/// The rows by one score. Its lists are used again for another one: made anew each time, they would scatter over the
/// memory and keep it.
#[derive(Default)]
struct Sorting {
    values: Vec<f64>,
    /// Place of the score, tie, and position in the order of ranks.
    scored: Vec<(u64, u32, u32)>,
    /// Whether it failed, tie, and position.
    without: Vec<(bool, u32, u32)>,
}

impl Sorting {
    fn take(&mut self) -> Self {
        std::mem::take(self)
    }

    /// The order of a column: beside whatever else is done, or, of few rows, when it is waited for.
    fn begin(
        mut self,
        blobs: &Blobs,
        emitted: &Arc<Emitted>,
        column: usize,
        direction: SortDirection,
    ) -> BoxFuture<'static, Result<Self>> {
        let (blobs, emitted) = (blobs.clone(), emitted.clone());
        if emitted.ties.len() <= IN_PLACE {
            return Box::pin(async move {
                emitted.values.column(&blobs, column, &mut self.values).await?;
                self.sort(direction, &emitted);
                Ok(self)
            });
        }
        let sorting = tokio::spawn(async move {
            emitted.values.column(&blobs, column, &mut self.values).await?;
            let sort = move || {
                self.sort(direction, &emitted);
                self
            };
            tokio::task::spawn_blocking(sort).await.map_err(|error| Error::internal("sorting rows", error))
        });
        Box::pin(async { sorting.await.map_err(|error| Error::internal("sorting rows", error))? })
    }

    fn sort(&mut self, direction: SortDirection, emitted: &Emitted) {
        self.scored.clear();
        self.without.clear();
        self.scored.reserve_exact(self.values.len());
        for ((position, value), tie) in (0u32..).zip(&self.values).zip(&emitted.ties) {
            if value.is_nan() {
                self.without.push((position >= emitted.summary.completed_jobs, *tie, position));
            } else {
                self.scored.push((direction.place(*value), *tie, position));
            }
        }
        self.scored.sort_unstable();
        self.without.sort_unstable();
    }

    async fn write(&self, emitted: &Emitted, upload: &mut Upload) -> Result<()> {
        let with = self.scored.iter().map(|entry| entry.2 as usize);
        for position in with.chain(self.without.iter().map(|entry| entry.2 as usize)) {
            let buffer = upload.buffer();
            buffer.extend(self.values[position].to_le_bytes());
            buffer.extend(emitted.locations[position].to_le_bytes());
            upload.relieve().await?;
        }
        for (_, _, position) in self.scored.iter().step_by(FENCED as usize) {
            upload.push(&self.values[*position as usize].to_le_bytes()).await?;
        }
        Ok(())
    }
}
