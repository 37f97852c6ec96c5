//! Months of UTC as texts, `2026-11`, whose order is that of the months.

use domain::{Account, Run};
use platform::{Direction, Docs, Query as DocQuery};
use serde::Deserialize;
use service::{Caller, Result, places};
use utoipa::IntoParams;

/// Months that are listed at most: ten years.
const MONTHS: usize = 120;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct UsageQuery {
    /// A month of UTC, `2026-11`; by default this one.
    #[param(example = "2026-11")]
    pub month: Option<String>,
}

/// Every month since the caller's first run, purged or not.
pub async fn since_the_first_run(docs: &Docs, caller: &Caller, account: &Account, now: String) -> Result<Vec<String>> {
    let first = DocQuery::collection(places::jobs(&caller.uid)).order_by("created_at", Direction::Ascending).limit(1);
    let first = docs.readable::<Run>(&first).await?;
    let first = first.first().map(|run| run.value.created_at.month());
    let since = first.iter().chain(account.purged.keys()).min().unwrap_or(&now).clone();
    let mut months: Vec<_> = std::iter::successors(Some(since), |month| next(month))
        .take_while(|month| *month <= now)
        .take(MONTHS)
        .collect();
    months.reverse();
    Ok(months)
}

/// The month after this one; `None` if this is none.
pub fn next(month: &str) -> Option<String> {
    let (year, number) = month.split_once('-').filter(|(year, number)| year.len() == 4 && number.len() == 2)?;
    match (year.parse::<u32>().ok()?, number.parse::<u32>().ok()?) {
        (year, 12) => Some(format!("{:04}-01", year + 1)),
        (year, number @ 1..12) => Some(format!("{year:04}-{:02}", number + 1)),
        _ => None,
    }
}
