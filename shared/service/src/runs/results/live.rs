//! A page of a run whose results are not written: gathered from the newest report of every shard. Each page reads every
//! report there is, and the inputs of the shards its rows are from; for a million ligands that is tens of thousands of
//! reads, some tens of seconds and a US cent or two, which is why results are written at the end. Memory stays
//! bounded: no more rows are held than pages may reach ([`DEEPEST`]), and 16 bytes for each row that ended, for ranks.

use super::page::Wanted;
use crate::{
    Problem,
    runs::{
        rows::{self, OtherNames},
        shards,
    },
};
use domain::{Outcome, ResultRow, Run};
use futures::{StreamExt, TryStreamExt, stream};
use platform::{Blobs, Docs, Error, Result};
use std::{
    collections::{BTreeMap, HashMap},
    pin::pin,
    sync::Arc,
};

/// As far as pages of a run that has no results yet go, in rows.
pub const DEEPEST: u64 = 10_000;
/// Items that are held beyond what is needed, so that the best are not sought too often.
const SLACK: usize = 500;
/// Shards whose inputs are read at once.
const SIDE_BY_SIDE: usize = 16;

/// An item that ended.
struct Ended {
    /// Its place in the order asked for.
    key: u128,
    /// Its place in the run's ranking.
    rank: u128,
    shard: u32,
    outcome: Outcome,
}

/// The rows of the page, and how many match in all.
pub async fn page(docs: &Docs, blobs: &Blobs, run: &Run, wanted: &Wanted) -> Result<(Vec<ResultRow>, u64), Problem> {
    let end = wanted.start.saturating_add(wanted.limit.into());
    if end > DEEPEST {
        let reason = format!("goes no further than {DEEPEST} rows before the results are written");
        return Err(Problem::parameter("cursor", reason));
    }
    let (mut ranks, mut best, mut total) = (vec![], vec![], 0);
    let asked = Arc::new((wanted.clone(), run.ranking.clone(), run.uid.clone()));
    let reading = blobs.clone();
    let work = move |shard: domain::Shard| {
        let (asked, blobs) = (asked.clone(), reading.clone());
        async move {
            let (wanted, ranking, uid) = &*asked;
            let outcomes = rows::outcomes(&blobs, uid, &shard).await?;
            let ended = |outcome: Outcome| {
                let place =
                    |by: &domain::Ranking| by.key(outcome.score(&by.score), outcome.status, outcome.index.into());
                Ended { key: place(&wanted.sorted_by), rank: place(ranking), shard: shard.shard, outcome }
            };
            let ended: Vec<_> = outcomes.into_iter().map(ended).collect();
            let ranks: Vec<_> = ended.iter().map(|item| item.rank).collect();
            let kept: Vec<_> = ended.into_iter().filter(|item| asked.0.takes(&item.outcome)).collect();
            Ok((ranks, kept))
        }
    };
    let mut read = pin!(rows::each(docs, run, work));
    while let Some((some, kept)) = read.try_next().await? {
        ranks.extend(some);
        total += kept.len() as u64;
        best.extend(kept);
        if best.len() > 2 * end as usize + SLACK {
            keep_best(&mut best, end as usize);
        }
    }
    keep_best(&mut best, end as usize);
    best.sort_unstable_by_key(|item| item.key);
    ranks.sort_unstable();
    let page: Vec<_> = best.into_iter().skip(wanted.start as usize).collect();
    Ok((joined(blobs, run, page, &ranks).await?, total))
}

fn keep_best(items: &mut Vec<Ended>, most: usize) {
    if items.len() > most {
        items.select_nth_unstable_by_key(most, |item| item.key);
        items.truncate(most);
    }
}

/// The rows of the items, in their order; `ranks` are the places of all that ended, sorted.
async fn joined(blobs: &Blobs, run: &Run, page: Vec<Ended>, ranks: &[u128]) -> Result<Vec<ResultRow>> {
    let names = OtherNames::read(blobs, run).await?;
    let rank = |item: &Ended| {
        let scored = item.rank >> 126 == 0;
        scored.then(|| ranks.partition_point(|other| *other < item.rank) as u32 + 1)
    };
    let order: Vec<_> = page.iter().map(|item| (rows::id(run, item.outcome.index), rank(item))).collect();
    let mut by_shard = BTreeMap::<u32, Vec<Outcome>>::new();
    for item in page {
        by_shard.entry(item.shard).or_default().push(item.outcome);
    }
    let join = |(shard, outcomes)| {
        let names = &names;
        async move {
            let items = shards::input(blobs, &run.uid, &run.job_id, shard).await?.items;
            Ok::<_, Error>(rows::join(run, items, outcomes, names))
        }
    };
    let reads: Vec<_> = by_shard.into_iter().map(join).collect();
    let rows = stream::iter(reads).buffer_unordered(SIDE_BY_SIDE).try_concat().await?;
    let mut rows: HashMap<_, _> = rows.into_iter().map(|row| (row.job_id.clone(), row)).collect();
    let take = |(id, rank)| Some(ResultRow { rank, ..rows.remove(&id)? });
    Ok(order.into_iter().filter_map(take).collect())
}
