//! A page of results: what may be asked for, and what is answered.

use super::{Folder, live, pick};
use crate::{Problem, runs::views::shown};
use domain::{Outcome, OutcomeStatus, Ranking, ResultRow, Run, SortDirection, Timestamp};
use models::Better;
use platform::{Blobs, Docs};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// The most rows a page holds.
const MAX_PAGE: u32 = 500;

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
    /// From the page before. Before a run's results are written, pages go as far as its best 10,000 rows.
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

/// A query that can be answered.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub sorted_by: Ranking,
    pub status: Option<OutcomeStatus>,
    pub min: Option<f64>,
    pub max: Option<f64>,
    /// Rows before the page.
    pub start: u64,
    pub limit: u32,
}

impl Wanted {
    fn of(run: &Run, query: &ResultsQuery) -> Result<Self, Problem> {
        let limit = query.limit.unwrap_or(100);
        if !(1..=MAX_PAGE).contains(&limit) {
            return Err(Problem::parameter("limit", "takes 1 to 500"));
        }
        let wrong = |_| Problem::parameter("cursor", "is not one that a page gave");
        let start = query.cursor.as_ref().map_or(Ok(0), |cursor| cursor.parse::<u64>().map_err(wrong))?;
        let sorted_by = sorting(run, query)?;
        Ok(Wanted { sorted_by, status: query.status, min: query.min, max: query.max, start, limit })
    }

    /// True for an item that belongs on one of the pages.
    pub fn takes(&self, outcome: &Outcome) -> bool {
        let score = outcome.score(&self.sorted_by.score);
        self.status.is_none_or(|status| outcome.status == status)
            && self.min.is_none_or(|min| score.is_some_and(|score| score >= min))
            && self.max.is_none_or(|max| score.is_some_and(|score| score <= max))
    }
}

/// Refuses a query that no page of this run's results can be given for.
pub fn check(run: &Run, query: &ResultsQuery) -> Result<(), Problem> {
    Wanted::of(run, query).map(|_| ())
}

/// One page. Ranks are those of the finished run, or of the rows there are so far.
pub async fn page(docs: &Docs, blobs: &Blobs, run: &Run, query: &ResultsQuery) -> Result<ResultsPage, Problem> {
    let wanted = Wanted::of(run, query)?;
    let (results, total) = match run.results {
        Some(token) => pick::page(blobs, &Folder::of_token(run, token), &wanted).await?,
        None => live::page(docs, blobs, run, &wanted).await?,
    };
    let end = wanted.start.saturating_add(results.len() as u64);
    Ok(ResultsPage {
        job_id: run.job_id.to_string(),
        complete: run.status.is_final(),
        sorted_by: wanted.sorted_by,
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
