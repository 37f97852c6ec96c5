//! The one error reply: RFC 9457 problem documents. The caller sees title, detail and field; the cause is logged once,
//! here, with its chain, and never sent.

use crate::limits::Reading;
use axum::{
    body::Body,
    http::{HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use domain::{Exceeded, LimitKind, Tier, Timestamp};
use serde::Serialize;
use std::{error::Error, fmt, sync::Arc};
use utoipa::{IntoResponses, ToSchema};

/// Wrong fields that an answer lists.
const LISTED: usize = 100;

/// What a handler answers with.
pub type Result<T, E = Problem> = std::result::Result<T, E>;

/// One wrong field or row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldProblem {
    /// JSON pointer into the request, e.g. `/ligands/3/smiles`.
    #[schema(example = "/ligands/3/smiles")]
    pub pointer: String,
    pub reason: String,
}

/// The body of every answer that is not a success (`application/problem+json`).
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ProblemDetails {
    /// Names the kind of problem.
    #[serde(rename = "type")]
    #[schema(example = "urn:omtx-hub:not-found")]
    pub kind: String,
    pub title: String,
    pub status: u16,
    pub detail: String,
    /// The path that was asked for.
    pub instance: String,
    /// What is wrong with which field, the first hundred.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldProblem>,
    /// How many fields or rows are wrong, where that is more than `errors` lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_count: Option<u64>,
    /// Seconds after which to try again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// The limit that leaves no room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<LimitProblem>,
}

/// A limit that leaves no room for what was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct LimitProblem {
    /// As in `GET /api/v1/usage`.
    #[schema(example = "jobs_per_hour")]
    pub name: String,
    pub tier: Tier,
    /// The most that is allowed.
    pub limit: u64,
    pub used: u64,
    /// What the request would have added.
    pub wanted: u64,
    /// When there is room again, as far as that is known.
    pub resets_at: Option<Timestamp>,
}

/// What any endpoint may answer instead of a success.
#[derive(IntoResponses)]
pub enum Refusals {
    /// The request cannot be read.
    #[response(status = 400, content_type = "application/problem+json")]
    BadRequest(ProblemDetails),
    /// Nobody, or nobody we know.
    #[response(status = 401, content_type = "application/problem+json")]
    Unauthorized(ProblemDetails),
    /// The month's GPU minutes are used up; `limit` says how.
    #[response(status = 402, content_type = "application/problem+json")]
    PaymentRequired(ProblemDetails),
    /// The API key lacks a scope, or this is for operators.
    #[response(status = 403, content_type = "application/problem+json")]
    Forbidden(ProblemDetails),
    /// It is not there, or somebody else's.
    #[response(status = 404, content_type = "application/problem+json")]
    NotFound(ProblemDetails),
    /// It is in a state that does not allow this.
    #[response(status = 409, content_type = "application/problem+json")]
    Conflict(ProblemDetails),
    /// The body is larger than 32 MiB.
    #[response(status = 413, content_type = "application/problem+json")]
    TooLarge(ProblemDetails),
    /// The body is not JSON.
    #[response(status = 415, content_type = "application/problem+json")]
    UnsupportedMediaType(ProblemDetails),
    /// Fields or rows are wrong; `errors` says which.
    #[response(status = 422, content_type = "application/problem+json")]
    Invalid(ProblemDetails),
    /// A limit of the tier; `limit` or `detail` says which, `Retry-After` when to come again.
    #[response(status = 429, content_type = "application/problem+json")]
    TooMany(ProblemDetails),
    /// Something of ours failed.
    #[response(status = 500, content_type = "application/problem+json")]
    Internal(ProblemDetails),
    /// Something of ours is away; try again.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(ProblemDetails),
}

/// A refusal on its way out.
#[derive(Clone, Debug)]
pub struct Problem {
    status: StatusCode,
    detail: String,
    errors: Vec<FieldProblem>,
    error_count: Option<u64>,
    retry_after: Option<u64>,
    limit: Option<Box<LimitProblem>>,
    cause: Option<Arc<dyn Error + Send + Sync>>,
}

impl Problem {
    fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Problem { status, detail, errors: vec![], error_count: None, retry_after: None, limit: None, cause: None }
    }

    /// The request cannot be read.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// Nobody, or nobody we know.
    pub fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, detail)
    }

    /// Somebody we know who may not do this.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, detail)
    }

    /// More than is allowed in a time.
    pub fn too_many(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, detail)
    }

    /// It is not there, or it is somebody else's.
    pub fn not_found(what: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("{} was not found", what.into()))
    }

    /// It is there, in a state that does not allow this.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, detail)
    }

    /// The request can be read and asks for something that cannot be.
    pub fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    }

    /// One field is wrong.
    pub fn field(pointer: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::invalid("the request holds invalid fields")
            .with_errors(vec![FieldProblem { pointer: pointer.into(), reason: reason.into() }])
    }

    /// A parameter of the query string is wrong.
    pub fn parameter(name: &str, reason: impl Into<String>) -> Self {
        let error = FieldProblem { pointer: format!("?{name}"), reason: reason.into() };
        Self::bad_request("the query string holds invalid parameters").with_errors(vec![error])
    }

    /// A status that the HTTP layer itself decided on.
    pub fn of_status(status: StatusCode, detail: impl Into<String>) -> Self {
        Self::new(status, detail)
    }

    /// Something of ours is away; the caller may try again.
    pub fn unavailable(cause: Arc<dyn Error + Send + Sync>) -> Self {
        let mut problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, "try again in a moment").retry_after(5);
        problem.cause = Some(cause);
        problem
    }

    /// Something of ours failed; the caller may try again.
    pub fn internal(cause: impl Error + Send + Sync + 'static) -> Self {
        let mut problem = Self::new(StatusCode::INTERNAL_SERVER_ERROR, "something failed on our side");
        problem.cause = Some(Arc::new(cause));
        problem
    }

    /// Keeps the first hundred, and the count where there are more.
    pub fn with_errors(mut self, mut errors: Vec<FieldProblem>) -> Self {
        if errors.len() > LISTED {
            self.error_count = Some(errors.len() as u64);
            errors.truncate(LISTED);
        }
        self.errors = errors;
        self
    }

    pub fn with_error_count(mut self, count: u64) -> Self {
        self.error_count = Some(count);
        self
    }

    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The limit that was run into and has room again later, as it stands `now`.
    pub(crate) fn exceeded(&self, now: DateTime<Utc>) -> Option<Reading> {
        let limit = self.limit.as_deref().filter(|_| self.status != StatusCode::UNPROCESSABLE_ENTITY)?;
        let until = limit.resets_at.map(|at| at.seconds_since(now.into()).ceil().max(0.0) as u64);
        let reset = self.retry_after.or(until)?;
        let remaining = limit.limit.saturating_sub(limit.used);
        Some(Reading { limit: limit.limit, remaining, reset, retry_after: self.retry_after })
    }

    fn details(&self, instance: &str) -> ProblemDetails {
        let title = self.status.canonical_reason().unwrap_or("Error");
        ProblemDetails {
            kind: format!("urn:omtx-hub:{}", title.to_lowercase().replace(' ', "-")),
            title: title.to_owned(),
            status: self.status.as_u16(),
            detail: self.detail.clone(),
            instance: instance.to_owned(),
            errors: self.errors.clone(),
            error_count: self.error_count,
            retry_after: self.retry_after,
            limit: self.limit.as_deref().cloned(),
        }
    }
}

impl From<Exceeded> for Problem {
    /// A budget that is spent is 402; a batch that is too large for its tier will always be, which is 422; of anything
    /// else there can be more later.
    fn from(exceeded: Exceeded) -> Self {
        let status = match exceeded.kind {
            LimitKind::GpuMinutesPerMonth => StatusCode::PAYMENT_REQUIRED,
            LimitKind::LigandsPerBatch => StatusCode::UNPROCESSABLE_ENTITY,
            _ => StatusCode::TOO_MANY_REQUESTS,
        };
        let mut problem = Problem::new(status, exceeded.to_string());
        problem.retry_after = exceeded.retry_after;
        let Exceeded { kind, tier, limit, used, wanted, resets_at, .. } = exceeded;
        let name = kind.as_str().to_owned();
        problem.limit = Some(Box::new(LimitProblem { name, tier, limit, used, wanted, resets_at }));
        problem
    }
}

impl fmt::Display for Problem {
    /// What the caller is told, in one line: the fields that are wrong, or the detail.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.errors.first() {
            Some(_) => {
                let each: Vec<_> = self.errors.iter().map(|e| format!("{}: {}", e.pointer, e.reason)).collect();
                f.write_str(&each.join("; "))
            }
            None => f.write_str(&self.detail),
        }
    }
}

impl Error for Problem {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as &(dyn Error + 'static))
    }
}

impl IntoResponse for Problem {
    /// Marks the response; [`render`] writes the body, because only there the path is known.
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        response.extensions_mut().insert(self);
        response
    }
}

impl From<platform::Error> for Problem {
    fn from(error: platform::Error) -> Self {
        match &error {
            platform::Error::NotFound(_) => Problem::new(StatusCode::NOT_FOUND, "this was not found"),
            platform::Error::AlreadyExists(_) | platform::Error::Conflict(_) => {
                Problem::conflict("somebody else changed this at the same time; try again").retry_after(1)
            }
            platform::Error::Unavailable { .. } => Problem::unavailable(Arc::new(error)),
            platform::Error::Invalid(_) | platform::Error::Internal { .. } => Problem::internal(error),
        }
    }
}

/// Writes the body of every problem, logs its cause, and turns the HTTP layer's own refusals (unknown path, wrong
/// method) into problems.
pub fn render(mut response: Response, method: &Method, instance: &str) -> Response {
    let problem = match response.extensions_mut().remove::<Problem>() {
        Some(problem) => problem,
        None if is_bare_refusal(&response) => Problem::new(response.status(), bare_detail(response.status())),
        None => return response,
    };
    if let Some(cause) = &problem.cause {
        tracing::error!(http.method = %method, http.path = %instance, error = %chain(cause.as_ref()), "request failed");
    }
    let body = serde_json::to_vec(&problem.details(instance)).unwrap_or_default();
    let (mut parts, _) = response.into_parts();
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    parts.headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(body))
}

fn is_bare_refusal(response: &Response) -> bool {
    let status = response.status();
    (status.is_client_error() || status.is_server_error()) && !response.headers().contains_key(header::CONTENT_TYPE)
        || matches!(status, StatusCode::PAYLOAD_TOO_LARGE | StatusCode::METHOD_NOT_ALLOWED)
}

fn bare_detail(status: StatusCode) -> &'static str {
    match status {
        StatusCode::NOT_FOUND => "there is nothing at this path",
        StatusCode::METHOD_NOT_ALLOWED => "this path does not take this method",
        StatusCode::PAYLOAD_TOO_LARGE => "the body is too large",
        _ => "the request was refused",
    }
}

/// An error and what caused it, from the outside in.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
