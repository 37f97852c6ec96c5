//! What a client asks of a model, what is kept of it, and how a fault in it is named.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// One fault of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// JSON pointer into the request, e.g. `/parameters/seed`.
    #[schema(example = "/parameters/seed")]
    pub pointer: String,
    /// In words.
    pub reason: String,
}

impl FieldError {
    pub fn new(pointer: impl Into<String>, reason: impl Into<String>) -> Self {
        FieldError { pointer: pointer.into(), reason: reason.into() }
    }
}

/// The part of a request that a model judges; ligands are judged elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The short form of a target.
    pub protein_sequence: Option<&'a str>,
    /// An object, or null.
    pub inputs: &'a Value,
    /// An object, or null.
    pub parameters: &'a Value,
}

/// A request that a model can run.
#[derive(Clone, Debug, PartialEq)]
pub struct Accepted {
    /// Small inputs in canonical form.
    pub input: Value,
    /// Large inputs to keep as objects: file name and content.
    pub files: Vec<(String, String)>,
    /// Every parameter, defaults filled in.
    pub parameters: Value,
    /// Residues of the target, for the cost profile.
    pub target_residues: u32,
    /// The number of designs, where the items are designs and not ligands.
    pub designs: Option<u32>,
}

/// A JSON pointer to the member `name` of what `parent` points to.
pub(crate) fn member(parent: &str, name: &str) -> String {
    format!("{parent}/{}", name.replace('~', "~0").replace('/', "~1"))
}
