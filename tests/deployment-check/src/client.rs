//! A client of the API that keeps what came back: status, headers, body.

use reqwest::{Method, StatusCode, header::HeaderMap, redirect::Policy};
use serde_json::Value;
use std::time::Duration;

/// Who asks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum As<'a> {
    /// The user whose token was given.
    User,
    Nobody,
    /// Somebody with this bearer token.
    Bearer(&'a str),
}

pub struct Client {
    http: reqwest::Client,
    base: String,
    token: String,
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
    pub json: Value,
}

impl Client {
    pub fn new(base: &str, token: &str) -> Result<Self, String> {
        let builder = reqwest::Client::builder().redirect(Policy::none()).timeout(Duration::from_secs(60));
        let http = builder.build().map_err(|error| error.to_string())?;
        Ok(Client { http, base: base.trim_end_matches('/').to_owned(), token: token.to_owned() })
    }

    pub fn base(&self) -> &str {
        &self.base
    }

    /// A request to a path of the API, with headers and perhaps a JSON body.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        who: As<'_>,
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> Result<Answer, String> {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        request = match who {
            As::User if self.token.starts_with("omtx_") => request.header("x-api-key", &self.token),
            As::User => request.bearer_auth(&self.token),
            As::Bearer(token) => request.bearer_auth(token),
            As::Nobody => request,
        };
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        answer(request).await
    }

    pub async fn get(&self, path: &str) -> Result<Answer, String> {
        self.send(Method::GET, path, As::User, &[], None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Result<Answer, String> {
        self.send(Method::POST, path, As::User, &[], Some(body)).await
    }

    /// Follows the redirect of a download to its signed link, which needs no token.
    pub async fn download(&self, path: &str) -> Result<String, String> {
        let redirect = self.get(path).await?.expect(303)?;
        let link = redirect.headers.get("location").and_then(|value| value.to_str().ok()).ok_or("no Location")?;
        Ok(answer(self.http.get(link)).await?.expect(200)?.text)
    }

    /// Sends a file to a signed link.
    pub async fn upload(&self, upload: &Answer, content: &'static str) -> Result<(), String> {
        let mut request = self.http.put(upload.text_at("/upload_url")?);
        for (name, value) in upload.json["headers"].as_object().into_iter().flatten() {
            request = request.header(name, value.as_str().unwrap_or_default());
        }
        answer(request.body(content)).await?.expect(200).map(|_| ())
    }
}

async fn answer(request: reqwest::RequestBuilder) -> Result<Answer, String> {
    let response = request.send().await.map_err(|error| error.to_string())?;
    let (status, headers) = (response.status(), response.headers().clone());
    let text = response.text().await.map_err(|error| error.to_string())?;
    let json = serde_json::from_str(&text).unwrap_or(Value::Null);
    Ok(Answer { status, headers, text, json })
}

impl Answer {
    /// This answer, if it has the status.
    pub fn expect(self, status: u16) -> Result<Self, String> {
        if self.status == status {
            return Ok(self);
        }
        let start: String = self.text.chars().take(200).collect();
        Err(format!("{} instead of {status}: {start}", self.status))
    }

    /// This answer, if it is a problem document of the status.
    pub fn expect_problem(self, status: u16) -> Result<Self, String> {
        let answer = self.expect(status)?;
        let kind = answer.headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let complete = ["type", "title", "status", "detail", "instance"].iter().all(|f| !answer.json[f].is_null());
        if kind == "application/problem+json" && complete && answer.json["status"] == status {
            Ok(answer)
        } else {
            Err(format!("not a problem document: {kind} {}", answer.text))
        }
    }

    /// A text of the JSON body.
    pub fn text_at(&self, pointer: &str) -> Result<String, String> {
        let value = self.json.pointer(pointer).and_then(Value::as_str);
        value.map(str::to_owned).ok_or_else(|| format!("no {pointer} in {}", self.text))
    }
}

/// Passes with `seen` where `holds`.
pub fn ensure(holds: bool, seen: impl Into<String>) -> Result<String, String> {
    if holds { Ok(seen.into()) } else { Err(seen.into()) }
}
