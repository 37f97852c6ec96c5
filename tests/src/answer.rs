//! An answer of the API, read to its end.

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use serde_json::Value;

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Method and path of the request, for messages.
    pub asked: String,
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header, empty where it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The JSON body of an answer that must have this status.
    #[track_caller]
    pub fn json(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}: {}", self.asked, self.text());
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{}: {error}", self.asked))
    }

    /// The problem document of a refusal that must have this status. Its shape is checked.
    #[track_caller]
    pub fn problem(&self, status: u16) -> Value {
        let problem = self.json(status);
        let asked = &self.asked;
        assert_eq!(self.header(header::CONTENT_TYPE.as_str()), "application/problem+json", "{asked}");
        assert_eq!(problem["status"], status, "{asked}");
        for member in ["type", "title", "detail", "instance"] {
            assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "{asked}: {member} in {problem}");
        }
        let path = asked.split_once(' ').unwrap().1.split('?').next().unwrap();
        assert_eq!(problem["instance"], path, "{asked}");
        for error in problem["errors"].as_array().into_iter().flatten() {
            assert!(error["pointer"].is_string() && error["reason"].is_string(), "{asked}: {error}");
        }
        problem
    }

    /// The pointers of the fields that a refusal names.
    #[track_caller]
    pub fn pointers(&self, status: u16) -> Vec<String> {
        let problem = self.problem(status);
        let errors = problem["errors"].as_array().cloned().unwrap_or_default();
        errors.iter().map(|error| error["pointer"].as_str().unwrap().to_owned()).collect()
    }
}
