//! Rows on their way from a shard to the results, as records of bytes: everything about a row is made here, where shards
//! are worked on side by side, so that what follows only moves bytes. What cannot be known yet, the rank and which
//! scores beyond the fourteen there are, is put in when the rows come out in order.

use super::columns::Columns;
use crate::runs::{
    exports::CsvParts,
    reuse::Answers,
    sort::{Records, key_of},
};
use domain::ResultRow;
use platform::{Error, Result};
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
};

/// In the JSON of a row, until its rank is known.
const NO_RANK: &[u8] = b"null";
/// Before the columns of a record: its key, and five lengths.
const HEAD: usize = 16 + 5 * 4;

/// The records of one shard.
#[derive(Debug, Default)]
pub struct Batch {
    /// They are to come out in the order of their keys.
    pub records: Records,
    /// Scores beyond the fourteen that the rows have.
    pub other: BTreeSet<String>,
    pub simulated: bool,
    /// For later runs.
    pub answers: Answers,
}

/// One row. Little-endian: key (16 bytes); where in the JSON the rank stands, the lengths of the four texts (4 each); a
/// score per column (8 each, NaN for none); the row as JSON, its two parts of a CSV line, its scores without a column
/// as JSON (empty for none).
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    pub key: u128,
    /// Of the columns, 8 bytes each.
    pub columns: &'a [u8],
    /// The row's JSON around its rank.
    pub json: (&'a [u8], &'a [u8]),
    pub csv: (&'a [u8], &'a [u8]),
    rest: &'a [u8],
}

impl Batch {
    pub fn of(rows: &[ResultRow], columns: &Columns) -> Result<Self> {
        let failed = |error| Error::internal("writing a table", error);
        let (mut batch, mut csv) = (Batch::default(), CsvParts::default());
        let mut json = vec![];
        for (at, row) in rows.iter().enumerate() {
            csv.add(row).map_err(failed)?;
            json.clear();
            serde_json::to_writer(&mut json, row)?;
            batch.add(row, columns, &json, csv.of(at))?;
        }
        Ok(batch)
    }

    fn add(&mut self, row: &ResultRow, columns: &Columns, json: &[u8], (head, tail): (&[u8], &[u8])) -> Result<()> {
        let rank_at = rank_at(json)?;
        let rest: BTreeMap<_, _> = row.other_scores.iter().filter(|(name, _)| !columns.has(name)).collect();
        let rest = if rest.is_empty() { vec![] } else { serde_json::to_vec(&rest)? };
        let key = columns.ranking().key_of(row);
        let bytes = self.records.begin(key);
        for length in [rank_at, json.len(), head.len(), tail.len(), rest.len()] {
            bytes.extend((length as u32).to_le_bytes());
        }
        for name in columns.names() {
            bytes.extend(row.score(name).unwrap_or(f64::NAN).to_le_bytes());
        }
        for text in [json, head, tail, &rest] {
            bytes.extend_from_slice(text);
        }
        for name in row.other_scores.keys() {
            if !self.other.contains(name) {
                self.other.insert(name.clone());
            }
        }
        self.simulated |= row.simulated;
        Ok(())
    }
}

/// Where in the JSON of a row without a rank the rank stands.
fn rank_at(json: &[u8]) -> Result<usize> {
    const FIELD: &[u8] = b"\"rank\":null";
    let found = json.windows(FIELD.len()).position(|part| part == FIELD);
    let at = found.ok_or_else(|| Error::internal("writing a row", io::Error::other("it has no place for its rank")))?;
    Ok(at + FIELD.len() - NO_RANK.len())
}

impl<'a> Record<'a> {
    /// Reads what [`Batch`] wrote, of so many columns.
    pub fn read(bytes: &'a [u8], columns: usize) -> Result<Self> {
        let damaged = || Error::internal("reading a record", io::Error::other("it is cut off"));
        let (head, rest) = bytes.split_at_checked(HEAD).ok_or_else(damaged)?;
        let mut lengths = [0usize; 5];
        for (length, bytes) in lengths.iter_mut().zip(head[16..].as_chunks::<4>().0) {
            *length = u32::from_le_bytes(*bytes) as usize;
        }
        let [rank_at, json, csv_head, csv_tail, others] = lengths;
        let mut rest = rest;
        let mut take = |length: usize| {
            let (part, after) = rest.split_at_checked(length).ok_or_else(damaged)?;
            rest = after;
            Ok::<_, Error>(part)
        };
        let (columns, json) = (take(columns * 8)?, take(json)?);
        let csv = (take(csv_head)?, take(csv_tail)?);
        let rest = take(others)?;
        let after = json.get(rank_at + NO_RANK.len()..).ok_or_else(damaged)?;
        Ok(Record { key: key_of(head), columns, json: (&json[..rank_at], after), csv, rest })
    }

    /// The score of a column.
    pub fn score(&self, column: usize) -> Option<f64> {
        let bytes = self.columns.get(column * 8..)?.first_chunk()?;
        Some(f64::from_le_bytes(*bytes)).filter(|score| !score.is_nan())
    }

    /// The scores that have no column.
    pub fn rest(&self) -> Result<BTreeMap<String, f64>> {
        if self.rest.is_empty() { Ok(BTreeMap::new()) } else { Ok(serde_json::from_slice(self.rest)?) }
    }
}
