//! Pages of what a user has, the newest first: how many, and where the next one begins. A cursor names a place in the
//! caller's own list, whoever made it.

use crate::Problem;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use domain::Timestamp;
use platform::{Collection, Cursor};
use serde::Deserialize;
use serde_json::json;
use utoipa::IntoParams;

const DEFAULT_LIMIT: u32 = 20;
const MAX_LIMIT: u32 = 500;

/// Which page.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// 1 to 500, by default 20.
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u32>,
    /// From the page before.
    pub cursor: Option<String>,
}

/// How many are wanted: 1 to 500, by default 20.
pub fn limit(asked: Option<u32>) -> Result<u32, Problem> {
    let limit = asked.unwrap_or(DEFAULT_LIMIT);
    if (1..=MAX_LIMIT).contains(&limit) { Ok(limit) } else { Err(Problem::parameter("limit", "takes 1 to 500")) }
}

/// The place after the one that was made then and has this id.
pub fn encode(created_at: Timestamp, id: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(json!([created_at, id]).to_string())
}

/// The place in a collection ordered by `created_at` that a cursor names.
pub fn decode(collection: &Collection, text: Option<&str>) -> Result<Option<Cursor>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok();
    let parts: Option<(Timestamp, String)> = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let (created_at, id) = parts.ok_or_else(|| Problem::parameter("cursor", "is not one that a page gave"))?;
    Ok(Some(Cursor { value: Some(json!(created_at)), path: collection.doc(&id) }))
}
