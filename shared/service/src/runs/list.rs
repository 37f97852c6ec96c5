//! Pages of the caller's runs, the newest first.

use crate::{Caller, Problem, paging, places};
use domain::{JobType, Run, Status};
use platform::{Direction, Docs, Query};
use serde::Deserialize;
use serde_json::json;
use utoipa::IntoParams;

/// Filters of a list.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    pub status: Option<Status>,
    pub model: Option<String>,
    /// `individual` or `batch_parent`.
    #[serde(rename = "type")]
    pub job_type: Option<JobType>,
    /// 1 to 500, by default 20.
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u32>,
    /// From the page before.
    pub cursor: Option<String>,
}

/// A page and where the next one begins.
pub struct Listed {
    pub runs: Vec<Run>,
    pub next_cursor: Option<String>,
}

/// The caller's runs that fit.
pub async fn list(docs: &Docs, caller: &Caller, asked: &ListQuery) -> Result<Listed, Problem> {
    let (limit, jobs) = (paging::limit(asked.limit)?, places::jobs(&caller.uid));
    let after = paging::decode(&jobs, asked.cursor.as_deref())?;
    let mut query = Query::collection(jobs).order_by("created_at", Direction::Descending);
    if let Some(status) = asked.status {
        query = query.equals("status", json!(status));
    }
    if let Some(model) = &asked.model {
        query = query.equals("model", model.as_str());
    }
    if let Some(job_type) = asked.job_type {
        query = query.equals("job_type", json!(job_type));
    }
    let mut found = docs.query::<Run>(&query.after(after).limit(limit + 1)).await?;
    let more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next_cursor =
        found.last().filter(|_| more).map(|last| paging::encode(last.value.created_at, last.value.job_id.as_str()));
    Ok(Listed { runs: found.into_iter().map(|run| run.value).collect(), next_cursor })
}
