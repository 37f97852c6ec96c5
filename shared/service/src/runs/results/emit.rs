//! The rows in the order of ranks, on their way into `ranked.ndjson` and `results.csv`: each gets its rank, and what the
//! orders and the figures need of it is kept.

use super::{
    Folder, RANKED,
    batch::Record,
    columns::Columns,
    entries::{Entries, Groups},
};
use crate::runs::{exports, sort::Sorted, upload::Upload};
use domain::{OutcomeStatus, Summary, Tally};
use platform::{Blobs, Error, PutOptions, Result};
use std::io::Write;

/// What is known of the rows once they are written.
pub struct Emitted {
    pub summary: Summary,
    pub groups: Groups,
}

/// The bits of an entry's location that are the length.
pub const LENGTH_BITS: u32 = 24;

/// Writes both files and gives the rows to the `entries`; `other` are the scores beyond the fourteen.
pub async fn emit(
    blobs: &Blobs,
    folder: &Folder,
    columns: &Columns,
    other: &[String],
    mut sorted: Sorted,
    mut entries: Entries,
) -> Result<Emitted> {
    let mut ranked = Upload::begin(blobs, folder.file(RANKED)?, PutOptions::of_type("application/x-ndjson"));
    let mut csv = Upload::begin(blobs, folder.file("results.csv")?, PutOptions::of_type("text/csv"));
    csv.push(&exports::csv_header(other).map_err(failed)?).await?;
    let figures = Figures::of(columns);
    let places: Vec<_> = other.iter().map(|name| columns.column(name)).collect();
    let (mut tally, mut rows) = (Tally::default(), 0);
    while let Some(bytes) = sorted.next().await? {
        let record = Record::read(bytes, columns.orders().len())?;
        rows += 1;
        let rank = (record.key >> 126 == 0).then_some(rows);
        let status = if record.key >> 126 < 2 { OutcomeStatus::Completed } else { OutcomeStatus::Failed };
        let location = line(&mut ranked, &record, rank)?;
        figures.add(&mut tally, status, &record);
        let rest = record.rest()?;
        let score = |(name, column): (&String, &Option<usize>)| match column {
            Some(column) => record.score(*column),
            None => rest.get(name).copied(),
        };
        let others = other.iter().zip(&places).map(score);
        exports::csv_line(csv.buffer(), rank, record.csv, others).map_err(failed)?;
        entries.add(record.columns, status, location, (record.key & u128::from(u32::MAX)) as u32).await?;
        ranked.relieve().await?;
        csv.relieve().await?;
    }
    ranked.finish().await?;
    csv.finish().await?;
    let summary = tally.summary(columns.histogram_of());
    Ok(Emitted { summary, groups: entries.finish().await? })
}

/// Writes a row's line; its location.
fn line(ranked: &mut Upload, record: &Record<'_>, rank: Option<u32>) -> Result<u64> {
    let begin = ranked.written();
    let text = ranked.buffer();
    text.extend_from_slice(record.json.0);
    match rank {
        Some(rank) => write!(text, "{rank}").map_err(failed)?,
        None => text.extend_from_slice(b"null"),
    }
    text.extend_from_slice(record.json.1);
    let length = ranked.written() - begin;
    ranked.buffer().push(b'\n');
    if length >> LENGTH_BITS != 0 {
        return Err(Error::Invalid(format!("a row of {length} bytes")));
    }
    Ok(begin << LENGTH_BITS | length)
}

/// The columns that the figures are made of.
struct Figures {
    affinity: Option<usize>,
    confidence: Option<usize>,
    counted: Option<usize>,
}

impl Figures {
    fn of(columns: &Columns) -> Self {
        Figures {
            affinity: columns.column("affinity"),
            confidence: columns.column("confidence"),
            counted: columns.histogram_of().and_then(|name| columns.column(name)),
        }
    }

    fn add(&self, tally: &mut Tally, status: OutcomeStatus, record: &Record<'_>) {
        let score = |column: Option<usize>| column.and_then(|column| record.score(column));
        tally.add(status, score(self.affinity), score(self.confidence), score(self.counted));
    }
}

fn failed(error: std::io::Error) -> Error {
    Error::internal("writing results", error)
}
