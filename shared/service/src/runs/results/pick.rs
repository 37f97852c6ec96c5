//! A page out of written results: which slice of which order it is, and the rows there.

use super::{
    Folder, ORDERS, RANKED,
    index::{Entry, Index},
    page::Wanted,
};
use domain::{OutcomeStatus, ResultRow};
use platform::{Blobs, Error, Result};
use std::ops::Range;

/// Two rows no further apart than this are read as one piece: about what a store sends in the time it takes to answer,
/// in bytes.
const NEAR: u64 = 64 * 1024;

/// The rows of the page, and how many match in all.
pub async fn page(blobs: &Blobs, folder: &Folder, wanted: &Wanted) -> Result<(Vec<ResultRow>, u64)> {
    let layout = folder.layout(blobs).await?;
    let opened = Index::open(blobs, folder.file(ORDERS)?, &layout, &wanted.sorted_by.score);
    let mut index = opened.ok_or_else(|| Error::Invalid(format!("no order by {}", wanted.sorted_by.score)))?;
    let (all, completed, everything) = (index.scored(), u64::from(layout.summary.completed_jobs), layout.rows());
    let (scored, rest) = match (wanted.status, wanted.min.is_some() || wanted.max.is_some()) {
        (Some(OutcomeStatus::Failed), true) => (0..0, 0..0),
        (_, true) => (index.within(wanted.min, wanted.max).await?, 0..0),
        (None, false) => (0..all, all..everything),
        (Some(OutcomeStatus::Completed), false) => (0..all, all..completed),
        (Some(OutcomeStatus::Failed), false) => (0..0, completed..everything),
    };
    let total = (scored.end - scored.start) + (rest.end - rest.start);
    let end = wanted.start.saturating_add(wanted.limit.into()).min(total);
    let entries = if wanted.start < end { entries(&mut index, wanted, scored, rest, end).await? } else { vec![] };
    Ok((rows(blobs, folder, &entries).await?, total))
}

/// The entries from the page's start to `end`, of those with a score and then of the others.
async fn entries(
    index: &mut Index<'_>,
    wanted: &Wanted,
    scored: Range<u64>,
    rest: Range<u64>,
    end: u64,
) -> Result<Vec<Entry>> {
    let with_score = scored.end - scored.start;
    let turned = index.direction() != wanted.sorted_by.direction;
    let mut entries = vec![];
    let mut at = wanted.start;
    while at < end.min(with_score) {
        if !turned {
            entries.push(index.entry(scored.start + at).await?);
            at += 1;
            continue;
        }
        // From behind, but ties keep the order of the library.
        let ties = index.ties(scored.end - 1 - at).await?;
        let behind = scored.end - ties.end;
        for position in ties.start + (at - behind)..ties.end.min(ties.start + (end - behind)) {
            entries.push(index.entry(position).await?);
            at += 1;
        }
    }
    for position in at.max(with_score)..end {
        entries.push(index.entry(rest.start + position - with_score).await?);
    }
    Ok(entries)
}

/// The rows of these entries, in their order.
async fn rows(blobs: &Blobs, folder: &Folder, entries: &[Entry]) -> Result<Vec<ResultRow>> {
    let file = folder.file(RANKED)?;
    let mut lines: Vec<_> = entries.iter().map(Entry::line).enumerate().collect();
    lines.sort_by_key(|(_, line)| line.start);
    let mut pieces: Vec<Range<u64>> = vec![];
    for (_, line) in &lines {
        match pieces.last_mut() {
            Some(piece) if line.start - piece.end <= NEAR => piece.end = line.end,
            _ => pieces.push(line.clone()),
        }
    }
    let contents = blobs.get_ranges(&file, &pieces).await?;
    let (mut rows, mut piece) = (vec![], 0);
    for (position, line) in lines {
        piece += usize::from(line.start >= pieces[piece].end);
        let begin = (line.start - pieces[piece].start) as usize;
        let text = contents[piece].get(begin..begin + (line.end - line.start) as usize);
        rows.push((position, serde_json::from_slice(text.unwrap_or_default())?));
    }
    rows.sort_by_key(|(position, _)| *position);
    Ok(rows.into_iter().map(|(_, row)| row).collect())
}
