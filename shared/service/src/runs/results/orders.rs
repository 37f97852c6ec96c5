//! Writing `orders.idx`: for every column, the rows in the order of its values.

use super::{Folder, Layout, ORDERS, Section, columns::Columns, emit::Emitted};
use crate::runs::upload::Upload;
use domain::Ranking;
use futures::{StreamExt, TryStreamExt, stream};
use platform::{Blobs, Error, PutOptions, Result};
use std::{pin::pin, sync::Arc};

/// Bytes of an entry.
pub const ENTRY: u64 = 16;
/// Entries between two fences.
pub const FENCED: u64 = 4096;
/// Orders that are made at once.
const SIDE_BY_SIDE: usize = 2;

/// Writes every order; what the results then hold.
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
    let order = |column: usize| {
        let (emitted, direction) = (emitted.clone(), columns.orders()[column].direction);
        async move {
            let values = emitted.values.column(blobs, column).await?;
            let sorting = move || sort(&values, |value| direction.place(value), &emitted);
            let sorting = tokio::task::spawn_blocking(sorting).await;
            sorting.map_err(|error| Error::internal("sorting rows", error))
        }
    };
    let mut made = pin!(stream::iter((0..columns.orders().len()).map(order)).buffered(SIDE_BY_SIDE));
    let mut orders = vec![];
    while let Some((bytes, scored)) = made.try_next().await? {
        let Ranking { score, direction } = columns.orders()[orders.len()].clone();
        orders.push(Section { score, direction, scored, at: upload.written() });
        upload.push(&bytes).await?;
    }
    upload.finish().await?;
    Ok(Layout { summary: emitted.summary.clone(), other_scores, simulated, orders })
}

/// The order's bytes, and how many rows have the score.
fn sort(values: &[f64], place: impl Fn(f64) -> u64, emitted: &Emitted) -> (Vec<u8>, u64) {
    let mut scored = Vec::with_capacity(values.len());
    let mut without = vec![];
    for (position, value) in (0u32..).zip(values) {
        let tie = emitted.ties[position as usize];
        if value.is_nan() {
            without.push((position >= emitted.summary.completed_jobs, tie, position));
        } else {
            scored.push((place(*value), tie, position));
        }
    }
    scored.sort_unstable();
    without.sort_unstable();
    let fences = scored.len().div_ceil(FENCED as usize);
    let mut bytes = Vec::with_capacity(values.len() * ENTRY as usize + fences * 8);
    let positions = scored.iter().map(|entry| entry.2).chain(without.iter().map(|entry| entry.2));
    for position in positions {
        bytes.extend(values[position as usize].to_le_bytes());
        bytes.extend(emitted.locations[position as usize].to_le_bytes());
    }
    for (_, _, position) in scored.iter().step_by(FENCED as usize) {
        bytes.extend(values[*position as usize].to_le_bytes());
    }
    (bytes, scored.len() as u64)
}
