//! Writing `orders.idx`: for every column, the rows in the order of its scores, merged from the lists of the groups.

use super::{
    Folder, Layout, ORDERS, Section,
    columns::Columns,
    emit::Emitted,
    entries::{Kept, List, score_of},
};
use crate::runs::upload::Upload;
use domain::Ranking;
use platform::{Blobs, PutOptions, Result};
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, binary_heap::PeekMut},
};

/// Bytes of an entry.
pub const ENTRY: u64 = 16;
/// Entries between two fences.
pub const FENCED: u64 = 4096;

/// Writes every order; what the results then hold.
pub async fn write(
    blobs: &Blobs,
    folder: &Folder,
    columns: &Columns,
    emitted: Emitted,
    other_scores: Vec<String>,
    simulated: bool,
) -> Result<Layout> {
    let Emitted { summary, groups } = emitted;
    let mut upload = Upload::begin(blobs, folder.file(ORDERS)?, PutOptions::default());
    let mut orders = vec![];
    let mut next = columns.orders().first().map(|_| groups.lists(0));
    while let Some(lists) = next {
        let column = orders.len();
        next = columns.orders().get(column + 1).map(|_| groups.lists(column + 1));
        let Ranking { score, direction } = columns.orders()[column].clone();
        let at = upload.written();
        let scored = merge(lists, &mut upload).await?;
        orders.push(Section { score, direction, scored, at });
    }
    upload.finish().await?;
    Ok(Layout { summary, other_scores, simulated, orders })
}

/// Writes one order; how many rows have the score.
async fn merge(mut lists: Vec<List>, upload: &mut Upload) -> Result<u64> {
    let (mut heads, mut scored, mut fences) = (BinaryHeap::new(), 0, vec![]);
    for (list, entries) in lists.iter_mut().enumerate() {
        heads.extend(entries.head().await?.map(|(key, kept)| Reverse((key, list, kept))));
    }
    while let Some(mut first) = heads.peek_mut() {
        let Reverse((_, list, kept)) = *first;
        let score = score_of(&kept);
        if !score.is_nan() {
            if scored % FENCED == 0 {
                fences.push(score);
            }
            scored += 1;
        }
        put(&kept, upload);
        lists[list].advance();
        match lists[list].head().await? {
            Some((key, kept)) => *first = Reverse((key, list, kept)),
            None => drop(PeekMut::pop(first)),
        }
        upload.relieve().await?;
    }
    for fence in fences {
        upload.push(&fence.to_le_bytes()).await?;
    }
    Ok(scored)
}

fn put(kept: &Kept, upload: &mut Upload) {
    upload.buffer().extend_from_slice(&kept[..ENTRY as usize]);
}
