//! The results of a run: written once, all at the end, and read page by page, also before they are all there.
//!
//! `ranked.ndjson` holds the rows in the order of ranks and `ranked.idx` where each begins (8-byte little-endian byte
//! offsets, one more than rows), so that a page in that order is two ranged reads however long the run is.

use super::{exports, rows, views::shown};
use crate::{Problem, places};
use domain::{BatchResults, OutcomeStatus, Ranking, ResultRow, Run, SortDirection, Summary, Timestamp};
use models::Better;
use platform::{Blobs, Docs, PutOptions, Result};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

const INDEX: &str = "ranked.idx";
const RANKED: &str = "ranked.ndjson";
/// How many of the best stand apart in `batch_results.json`.
const TOP: usize = 10;
/// More objects than one writer writes.
const WRITTEN: u32 = 100;
/// The most rows a page holds.
const MAX_PAGE: u32 = 500;

/// Writes every result object of the run from its rows, under the writer's token; the figures.
pub async fn write(blobs: &Blobs, run: &Run, token: u32, mut rows: Vec<ResultRow>) -> Result<Summary> {
    run.ranking.rank(&mut rows);
    let put = async |name: &str, kind: &'static str, content: Vec<u8>| {
        let path = places::final_result(&run.uid, &run.job_id, token, name)?;
        blobs.put_bytes(&path, content, PutOptions::of_type(kind)).await
    };
    let (lines, index) = lines(&rows)?;
    put(RANKED, "application/x-ndjson", lines).await?;
    put(INDEX, "application/octet-stream", index).await?;
    put("results.csv", "text/csv", exports::results_csv(&rows)?).await?;
    let results = batch_results(run, rows);
    put("summary.json", "application/json", serde_json::to_vec_pretty(&results.summary)?).await?;
    exports::write_rejected_csv(blobs, run).await?;
    put("batch_results.json", "application/json", serde_json::to_vec_pretty(&results)?).await?;
    Ok(results.summary)
}

/// Removes what writers left whose turn came before `token`.
pub async fn remove_older(blobs: &Blobs, run: &Run, token: u32) -> Result<()> {
    for older in 1..token {
        let prefix = places::final_results(&run.uid, &run.job_id, older);
        for object in blobs.list(places::ARTIFACTS, &prefix, None, WRITTEN).await? {
            blobs.delete(&object.path).await?;
        }
    }
    Ok(())
}

fn lines(rows: &[ResultRow]) -> Result<(Vec<u8>, Vec<u8>)> {
    let (mut lines, mut index) = (vec![], 0u64.to_le_bytes().to_vec());
    for row in rows {
        serde_json::to_writer(&mut lines, row)?;
        lines.push(b'\n');
        index.extend((lines.len() as u64).to_le_bytes());
    }
    Ok((lines, index))
}

/// `batch_results.json` of these rows, which stand in the order of their ranks.
pub fn batch_results(run: &Run, rows: Vec<ResultRow>) -> BatchResults {
    let histogram_of = models::find(&run.model).and_then(|model| model.histogram_of());
    let summary = Summary::of(rows.iter(), histogram_of);
    let jobs: Vec<_> = rows.into_iter().map(shown).collect();
    let top_predictions = jobs.iter().filter(|row| row.rank.is_some()).take(TOP).cloned().collect();
    BatchResults {
        batch_id: run.job_id.clone(),
        created_at: run.created_at,
        updated_at: run.ended_at.or(run.completed_at).unwrap_or(run.created_at),
        version: "1.0".into(),
        model: run.model.clone(),
        model_version: run.model_version.clone(),
        simulated: jobs.iter().any(|row| row.simulated),
        job_count: summary.total_jobs,
        completed_count: summary.completed_jobs,
        jobs,
        summary,
        top_predictions,
    }
}

/// Which rows of a run, in which order.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ResultsQuery {
    /// A score to sort by; by default the run's ranking. Its better end comes first.
    pub sort: Option<String>,
    /// Turns the order: `asc` or `desc`.
    #[param(inline)]
    pub order: Option<Order>,
    /// Only completed, or only failed items.
    pub status: Option<OutcomeStatus>,
    /// Only rows whose sorting score is at least this.
    pub min: Option<f64>,
    /// Only rows whose sorting score is at most this.
    pub max: Option<f64>,
    /// 1 to 500, by default 100.
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u32>,
    /// From the page before.
    pub cursor: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    Asc,
    Desc,
}

/// A page of results.
#[derive(Debug, Serialize, ToSchema)]
pub struct ResultsPage {
    pub job_id: String,
    /// False while more rows may come.
    pub complete: bool,
    /// By what the rows are ordered.
    pub sorted_by: Ranking,
    /// True if any value of the run came from a stand-in; null before the first result.
    pub simulated: Option<bool>,
    pub results: Vec<ResultRow>,
    /// Rows that match, in all pages.
    pub total: u64,
    pub next_cursor: Option<String>,
    pub has_more: bool,
    pub updated_at: Timestamp,
}

/// One page. Ranks are those of the finished run, or of the rows there are so far.
pub async fn page(docs: &Docs, blobs: &Blobs, run: &Run, query: &ResultsQuery) -> Result<ResultsPage, Problem> {
    let limit = query.limit.unwrap_or(100);
    if !(1..=MAX_PAGE).contains(&limit) {
        return Err(Problem::parameter("limit", "takes 1 to 500"));
    }
    let wrong = |_| Problem::parameter("cursor", "is not one that a page gave");
    let start = query.cursor.as_ref().map_or(Ok(0), |cursor| cursor.parse::<u64>().map_err(wrong))?;
    let sorted_by = sorting(run, query)?;
    let in_rank_order =
        sorted_by == run.ranking && query.status.is_none() && query.min.is_none() && query.max.is_none();
    let (results, total) = match run.results {
        Some(token) if in_rank_order => ranked(blobs, run, token, start, limit).await?,
        _ => selected(docs, blobs, run, query, &sorted_by, start, limit).await?,
    };
    let end = start + results.len() as u64;
    Ok(ResultsPage {
        job_id: run.job_id.to_string(),
        complete: run.status.is_final(),
        sorted_by,
        simulated: run.simulated.or_else(|| results.iter().map(|row| row.simulated).reduce(|a, b| a || b)),
        results: results.into_iter().map(shown).collect(),
        total,
        next_cursor: (end < total).then(|| end.to_string()),
        has_more: end < total,
        updated_at: run.progress_at,
    })
}

fn sorting(run: &Run, query: &ResultsQuery) -> Result<Ranking, Problem> {
    let mut ranking = run.ranking.clone();
    if let Some(score) = &query.sort {
        let cards = models::find(&run.model).map(|model| model.card().scores).unwrap_or_default();
        let Some(card) = cards.iter().find(|card| card.name == score) else {
            let known: Vec<_> = cards.iter().map(|card| card.name).collect();
            return Err(Problem::parameter("sort", format!("takes one of {}", known.join(", "))));
        };
        let lower = matches!(card.better, Better::Lower);
        ranking.score = score.clone();
        ranking.direction = if lower { SortDirection::Ascending } else { SortDirection::Descending };
    }
    match query.order {
        Some(Order::Asc) => ranking.direction = SortDirection::Ascending,
        Some(Order::Desc) => ranking.direction = SortDirection::Descending,
        None => {}
    }
    Ok(ranking)
}

async fn ranked(blobs: &Blobs, run: &Run, token: u32, start: u64, limit: u32) -> Result<(Vec<ResultRow>, u64)> {
    let total = u64::from(run.items);
    let end = total.min(start.saturating_add(limit.into()));
    if start >= end {
        return Ok((vec![], total));
    }
    let file = |name| places::final_result(&run.uid, &run.job_id, token, name);
    let offsets = blobs.get_range(&file(INDEX)?, start * 8..(end + 1) * 8).await?;
    let offset = |at: Option<&[u8]>| at.and_then(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes).unwrap_or(0);
    let (from, to) =
        (offset(offsets.first_chunk::<8>().map(|c| &c[..])), offset(offsets.last_chunk::<8>().map(|c| &c[..])));
    let text = blobs.get_range(&file(RANKED)?, from..to).await?;
    let rows = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    Ok((rows.map(serde_json::from_slice).collect::<Result<_, _>>()?, total))
}

async fn selected(
    docs: &Docs,
    blobs: &Blobs,
    run: &Run,
    query: &ResultsQuery,
    sorted_by: &Ranking,
    start: u64,
    limit: u32,
) -> Result<(Vec<ResultRow>, u64)> {
    let mut rows = all(docs, blobs, run).await?;
    let within = |row: &ResultRow| {
        let score = row.score(&sorted_by.score);
        query.status.is_none_or(|status| row.status == status)
            && query.min.is_none_or(|min| score.is_some_and(|score| score >= min))
            && query.max.is_none_or(|max| score.is_some_and(|score| score <= max))
    };
    rows.retain(within);
    rows.sort_by(|a, b| sorted_by.compare(a, b));
    let total = rows.len() as u64;
    let skip = usize::try_from(start).unwrap_or(usize::MAX);
    Ok((rows.into_iter().skip(skip).take(limit as usize).collect(), total))
}

/// Every row there is, with its rank among them, the best first.
pub async fn all(docs: &Docs, blobs: &Blobs, run: &Run) -> Result<Vec<ResultRow>> {
    let Some(token) = run.results else {
        let mut rows = rows::ended(docs, blobs, run).await?;
        run.ranking.rank(&mut rows);
        return Ok(rows);
    };
    let mut rows = vec![];
    let ranked = places::final_result(&run.uid, &run.job_id, token, RANKED)?;
    rows::for_each_line(blobs, &ranked, |row| rows.push(row)).await?;
    Ok(rows)
}
