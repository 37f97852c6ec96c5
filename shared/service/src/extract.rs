//! Extractors that refuse with a problem: the caller learns which field is wrong and why.

use crate::Problem;
use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Request},
    http::{HeaderMap, StatusCode, header, request::Parts},
};
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use utoipa::{
    IntoParams,
    openapi::{
        Object, Required, Type,
        path::{Parameter, ParameterIn},
    },
};

/// A JSON body, and the SHA-256 of its bytes.
pub struct Body<T> {
    pub value: T,
    pub digest: String,
}

/// The segments of the path.
pub struct Path<T>(pub T);

/// The query string.
pub struct Query<T>(pub T);

/// The `Idempotency-Key` header: 1 to 255 printable ASCII characters.
pub struct IdempotencyKey(pub Option<String>);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(Problem::of_status(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "send JSON, with content-type: application/json",
            ));
        }
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|rejection| Problem::of_status(rejection.status(), "the body cannot be read, or is too large"))?;
        let mut reader = serde_json::Deserializer::from_slice(&bytes);
        let value = serde_path_to_error::deserialize(&mut reader).map_err(refusal)?;
        reader.end().map_err(|error| Problem::bad_request(format!("the body is not JSON: {error}")))?;
        Ok(Body { value, digest: hex::encode(Sha256::digest(&bytes)) })
    }
}

impl Body<serde_json::Value> {
    /// Reads the JSON as what it has turned out to be.
    pub fn read<T: DeserializeOwned>(self) -> Result<T, Problem> {
        serde_path_to_error::deserialize(self.value).map_err(refusal)
    }
}

fn refusal(error: serde_path_to_error::Error<serde_json::Error>) -> Problem {
    let pointer = pointer(error.path());
    let inner = error.into_inner();
    if inner.is_data() {
        Problem::field(pointer, inner.to_string())
    } else {
        Problem::bad_request(format!("the body is not JSON: {inner}"))
    }
}

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(path) => Ok(Path(path.0)),
            Err(_) => Err(Problem::not_found("what this path names")),
        }
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Query::<T>::from_request_parts(parts, state).await {
            Ok(query) => Ok(Query(query.0)),
            Err(rejection) => Err(Problem::parameter("query", rejection.body_text())),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Some(value) = parts.headers.get("idempotency-key") else { return Ok(IdempotencyKey(None)) };
        match value.to_str() {
            Ok(key) if (1..=255).contains(&key.len()) => Ok(IdempotencyKey(Some(key.to_owned()))),
            _ => Err(Problem::bad_request("the Idempotency-Key header takes 1 to 255 printable ASCII characters")),
        }
    }
}

impl IntoParams for IdempotencyKey {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let text = Object::builder().schema_type(Type::String).min_length(Some(1)).max_length(Some(255));
        let described = "Sent again within a day, the same request is done once and answered as the first time, but for \
                         secrets; another request under the key is refused.";
        let header = Parameter::builder().name("Idempotency-Key").parameter_in(ParameterIn::Header);
        vec![header.required(Required::False).description(Some(described)).schema(Some(text)).build()]
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || essence.ends_with("+json")
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    path.iter().map(|segment| format!("/{}", segment.to_string().trim_matches(['[', ']', '.']))).collect()
}
