//! Written results against all rows sorted at once, in memory: runs with ties, gaps and failures, whose rows are spilled.

use super::{columns::Columns, emit::Emitted, entries::Entries, index::Index, *};
use crate::{
    runs::shards,
    testing::{Bench, completed},
};
use domain::{ItemError, Outcome, OutcomeStatus, Ranking, Scores, Status, Tally};
use proptest::{prelude::*, test_runner::Config};
use std::sync::Arc;
use tokio::runtime::Runtime;

/// What an item ends with: a failure, or a ranking score and another one, of few values so that many are equal.
type End = Option<(Option<i8>, Option<i8>)>;

fn end() -> impl Strategy<Value = End> {
    let score = || proptest::option::weighted(0.8, -2i8..3);
    proptest::option::weighted(0.85, (score(), score()))
}

fn outcome(run: &Run, index: u32, end: End) -> Outcome {
    let Some((probability, iptm)) = end else {
        return Outcome::failed(index, ItemError::new("out_of_memory", "too large"));
    };
    let mut scores = Scores::default();
    scores.set("affinity_prob", probability.map(|value| f64::from(value) / 4.0));
    scores.set("affinity", iptm.map(f64::from));
    scores.set("iptm_score", iptm.map(|value| f64::from(value) * -0.0));
    scores.set("docking", probability.map(f64::from));
    Outcome { scores, ..completed(run, index, 1) }
}

/// A run whose items ended so, and waits for its results.
async fn ended(bench: &Bench, ends: &[End]) -> Run {
    let (run, _) = bench.running("u1", ends.len() as u32).await;
    for shard in 0..run.plan.as_ref().unwrap().shards {
        let items = bench.items(&run, shard).await;
        let outcomes = items.into_iter().map(|index| outcome(&run, index, ends[index as usize - 1])).collect();
        bench.report(&run, shard, 1, true, outcomes).await;
        shards::refresh(&bench.world, &run.uid, &run.job_id, shard).await.unwrap();
    }
    shards::evaluate(&bench.world, &run.uid, &run.job_id).await.unwrap();
    bench.run(&run).await
}

/// So many bytes of rows, and so many entries that all but the largest are several groups.
fn held(block: usize) -> write::Held {
    write::Held { block, group: block.div_ceil(1000) }
}

/// The run with its results, written with no more than so many bytes of rows in memory.
async fn finished(bench: &Bench, run: &Run, block: usize) -> Run {
    let (docs, blobs) = (&bench.world.docs, &bench.world.blobs);
    let layout = write::gather(docs, blobs, run, &Folder::of_token(run, 1), "spill", held(block)).await.unwrap();
    assert_eq!(layout.rows(), u64::from(run.items));
    let run = bench.change(run, |run| run.begin_aggregation(bench.now()).is_some()).await;
    bench.change(&run, |run| run.finish(1, layout.summary.clone(), false, bench.now())).await
}

async fn ask(bench: &Bench, run: &Run, query: &ResultsQuery) -> ResultsPage {
    page(&bench.world.docs, &bench.world.blobs, run, query).await.unwrap()
}

/// The pages of a query one after the other.
async fn walk(bench: &Bench, run: &Run, query: &ResultsQuery) -> (Vec<ResultRow>, u64) {
    let (mut rows, mut query) = (vec![], query.clone());
    loop {
        let page = ask(bench, run, &query).await;
        rows.extend(page.results);
        match page.next_cursor {
            Some(cursor) => query.cursor = Some(cursor),
            None => return (rows, page.total),
        }
    }
}

/// The rows of a query out of all rows of the run, which stand in any order.
fn naive(all: &[ResultRow], by: &Ranking, query: &ResultsQuery) -> Vec<ResultRow> {
    let takes = |row: &&ResultRow| {
        let score = row.score(&by.score);
        query.status.is_none_or(|status| row.status == status)
            && query.min.is_none_or(|min| score.is_some_and(|score| score >= min))
            && query.max.is_none_or(|max| score.is_some_and(|score| score <= max))
    };
    let mut rows: Vec<_> = all.iter().filter(takes).cloned().collect();
    rows.sort_by(|a, b| {
        let (x, y) = (a.score(&by.score), b.score(&by.score));
        let ordered = match (x, y) {
            (Some(x), Some(y)) if by.direction == SortDirection::Ascending => x.total_cmp(&y),
            (Some(x), Some(y)) => y.total_cmp(&x),
            _ => y.is_some().cmp(&x.is_some()),
        };
        let failed = |row: &ResultRow| row.status == OutcomeStatus::Failed;
        ordered.then(failed(a).cmp(&failed(b))).then(a.row.cmp(&b.row))
    });
    rows
}

fn query() -> impl Strategy<Value = ResultsQuery> {
    let sort =
        proptest::sample::select(vec![None, Some("affinity"), Some("iptm_score"), Some("pic50"), Some("ptm_score")]);
    let order = proptest::sample::select(vec![None, Some(Order::Asc), Some(Order::Desc)]);
    let status = proptest::sample::select(vec![None, Some(OutcomeStatus::Completed), Some(OutcomeStatus::Failed)]);
    let limit = || proptest::option::weighted(0.3, proptest::sample::select(vec![-2.0, -0.25, -0.0, 0.0, 0.25, 4.0]));
    (sort, order, status, limit(), limit(), 1u32..12).prop_map(|(sort, order, status, min, max, limit)| {
        let sort = sort.map(str::to_owned);
        ResultsQuery { sort, order, status, min, max, limit: Some(limit), cursor: None }
    })
}

proptest! {
    #![proptest_config(Config::with_cases(24))]
    #[test]
    fn every_page_is_what_sorting_all_rows_at_once_gives(
        ends in proptest::collection::vec(end(), 1..40),
        queries in proptest::collection::vec(query(), 6),
        block in proptest::sample::select(vec![1usize, 4000, 1 << 20]),
    ) {
        Runtime::new().unwrap().block_on(async {
            let bench = Bench::new().await;
            let open = ended(&bench, &ends).await;
            let all = bench.rows(&open).await;
            let done = finished(&bench, &open, block).await;
            prop_assert_eq!(&bench.rows(&done).await, &all);
            for query in queries {
                let by = ask(&bench, &done, &query).await.sorted_by;
                let expected = naive(&all, &by, &query);
                for run in [&open, &done] {
                    let (rows, total) = walk(&bench, run, &query).await;
                    let results = if run.results.is_some() { "written" } else { "live" };
                    prop_assert_eq!(total, expected.len() as u64, "{} {:?}", results, &query);
                    prop_assert_eq!(&rows, &expected, "{} {:?}", results, &query);
                }
            }
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn what_is_written_does_not_depend_on_what_was_spilled_and_nothing_spilled_stays() {
    let bench = Bench::new().await;
    let ends: Vec<End> = (0..40).map(|n| (n % 7 != 0).then_some((Some((n % 5) as i8), None))).collect();
    let run = ended(&bench, &ends).await;
    let (docs, blobs) = (&bench.world.docs, &bench.world.blobs);
    let mut written = vec![];
    for (token, block) in [(1, 1), (2, 1 << 20)] {
        let folder = Folder::of_token(&run, token);
        write::gather(docs, blobs, &run, &folder, "spill", held(block)).await.unwrap();
        let objects = blobs.list(places::ARTIFACTS, folder.0.as_str(), None, 100).await.unwrap();
        let mut contents = vec![];
        for object in objects {
            let name = object.path.name().strip_prefix(folder.0.as_str()).unwrap().to_owned();
            contents.push((name, blobs.get(&object.path, u64::MAX).await.unwrap()));
        }
        written.push(contents);
    }
    let names: Vec<_> = written[0].iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["batch_results.json", "layout.json", "orders.idx", "ranked.ndjson", "results.csv"]);
    assert!(written[0] == written[1]);
}

#[tokio::test]
async fn a_listing_of_a_large_run_says_that_it_is_cut() {
    let bench = Bench::new().await;
    let run = ended(&bench, &[Some((Some(1), None)), None, Some((Some(2), None))]).await;
    let run = finished(&bench, &run, 1 << 20).await;
    let layout = Folder::of_token(&run, 1).layout(&bench.world.blobs).await.unwrap();
    let jobs = bench.rows(&run).await;
    let whole = write::listing(&run, jobs.clone(), layout.clone());
    assert_eq!((whole.truncated, whole.jobs_listed, whole.job_count), (false, 3, 3));
    let cut = write::listing(&run, jobs[..1].to_vec(), layout);
    assert_eq!((cut.truncated, cut.jobs_listed, cut.job_count, cut.completed_count), (true, 1, 3, 2));
    assert_eq!((cut.jobs[0].rank, &cut.summary), (Some(1), &whole.summary));
}

#[tokio::test]
async fn pages_of_a_run_that_goes_on_end_at_a_depth() {
    let bench = Bench::new().await;
    let run = ended(&bench, &[Some((Some(1), None))]).await;
    assert_eq!(run.status, Status::Aggregating);
    let at = |cursor: &str| ResultsQuery { cursor: Some(cursor.to_owned()), ..ResultsQuery::default() };
    assert!(ask(&bench, &run, &at("9900")).await.results.is_empty());
    let problem = page(&bench.world.docs, &bench.world.blobs, &run, &at("9901")).await.unwrap_err();
    assert_eq!(problem.status(), 400);
}

/// Orders of 10,000 rows, which are several blocks between fences: each score is that of 40 rows, every 50th row has none.
async fn long_orders(
    bench: &Bench,
    folder: &Folder,
    columns: &Arc<Columns>,
    score: impl Fn(u64) -> Option<f64>,
) -> Layout {
    let blobs = &bench.world.blobs;
    let mut entries = Entries::new(blobs, folder.clone(), columns, 3000);
    let mut tally = Tally::default();
    for row in 0..10_000u64 {
        let scores: Vec<u8> = columns.names().flat_map(|_| score(row).unwrap_or(f64::NAN).to_le_bytes()).collect();
        tally.add(OutcomeStatus::Completed, None, None, None);
        entries.add(&scores, OutcomeStatus::Completed, row << emit::LENGTH_BITS | 1, row as u32).await.unwrap();
    }
    let emitted = Emitted { summary: tally.summary(None), groups: entries.finish().await.unwrap() };
    orders::write(blobs, folder, columns, emitted, vec![], false).await.unwrap()
}

#[tokio::test]
async fn orders_longer_than_a_block_are_read_by_place_by_score_and_by_tie() {
    let bench = Bench::new().await;
    let run = bench.submit("u1", 1).await;
    let (folder, columns) = (Folder::of_token(&run, 1), Arc::new(Columns::of(&run)));
    let score = |row: u64| (row % 50 != 7).then_some((row * 7919 % 250) as f64 / 250.0);
    let layout = long_orders(&bench, &folder, &columns, score).await;
    for name in ["affinity_prob", "affinity"] {
        let mut index = Index::open(&bench.world.blobs, folder.file(ORDERS).unwrap(), &layout, name).unwrap();
        let direction = index.direction();
        let mut rows: Vec<u64> = (0..10_000).collect();
        rows.sort_by_key(|row| (score(*row).is_none(), score(*row).map(|score| direction.place(score)), *row));
        assert_eq!((index.scored(), layout.rows()), (9800, 10_000));
        for at in [0, 1, 4095, 4096, 4097, 8191, 8192, 8193, 9799, 9800, 9999] {
            assert_eq!(index.entry(at).await.unwrap().line().start, rows[at as usize], "{name} at {at}");
        }
        for at in [0, 4080, 4095, 4096, 4100, 8191, 8192, 9799] {
            let same = |row: &u64| score(*row) == score(rows[at as usize]);
            let first = rows.iter().position(same).unwrap() as u64;
            let last = rows.iter().rposition(same).unwrap() as u64;
            assert_eq!(index.ties(at).await.unwrap(), first..last + 1, "{name} at {at}");
        }
        for (from, to) in
            [(None, None), (Some(0.1), Some(0.9)), (Some(0.42), Some(0.42)), (None, Some(0.3)), (Some(2.0), None)]
        {
            let within = |row: &u64| score(*row).is_some_and(|s| s >= from.unwrap_or(0.0) && s <= to.unwrap_or(1.0));
            let expected: Vec<u64> = (0..10_000).filter(|at| within(&rows[*at as usize])).collect();
            let found: Vec<u64> = index.within(from, to).await.unwrap().collect();
            assert_eq!(found, expected, "{name} from {from:?} to {to:?}");
        }
    }
}
