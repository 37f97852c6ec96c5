//! Pages of the caller's runs, the newest first.

use crate::{Caller, Problem, places};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use domain::{JobType, Run, Status};
use platform::{Cursor, Direction, Docs, Query};
use serde::Deserialize;
use serde_json::json;
use utoipa::IntoParams;

const DEFAULT_LIMIT: u32 = 20;
const MAX_LIMIT: u32 = 500;

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
    let limit = asked.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(Problem::parameter("limit", "takes 1 to 500"));
    }
    let mut query = Query::collection(places::jobs(&caller.uid)).order_by("created_at", Direction::Descending);
    if let Some(status) = asked.status {
        query = query.equals("status", json!(status));
    }
    if let Some(model) = &asked.model {
        query = query.equals("model", model.as_str());
    }
    if let Some(job_type) = asked.job_type {
        query = query.equals("job_type", json!(job_type));
    }
    let after = asked.cursor.as_ref().map(|text| decode(caller, text)).transpose()?;
    let mut found = docs.query::<Run>(&query.after(after).limit(limit + 1)).await?;
    let more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next_cursor = found.last().filter(|_| more).map(|last| encode(&last.value));
    Ok(Listed { runs: found.into_iter().map(|run| run.value).collect(), next_cursor })
}

fn encode(run: &Run) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(json!([run.created_at, run.job_id]).to_string())
}

/// The place in the caller's own list that a cursor names, whoever made it.
fn decode(caller: &Caller, text: &str) -> Result<Cursor, Problem> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok();
    let parts: Option<(domain::Timestamp, domain::JobId)> = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let (created_at, job_id) = parts.ok_or_else(|| Problem::parameter("cursor", "is not one that a page gave"))?;
    Ok(Cursor { value: Some(json!(created_at)), path: caller.job(&job_id) })
}
