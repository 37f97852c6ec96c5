//! The members of a request's `inputs`, and the target in its short form: every fault is gathered, none is passed
//! over.

use crate::{FieldError, Request, request::member};
use chem::ProteinSequence;
use serde_json::{Map, Value};

/// `inputs` being read.
pub(crate) struct Inputs<'a> {
    request: &'a Request<'a>,
    members: Option<&'a Map<String, Value>>,
    /// Every fault so far.
    pub errors: Vec<FieldError>,
}

impl<'a> Inputs<'a> {
    /// Faults of names that are not `known` are gathered at once.
    pub fn new(request: &'a Request<'a>, known: &[&str]) -> Self {
        let mut errors = vec![];
        let members = request.inputs.as_object();
        if members.is_none() && !request.inputs.is_null() {
            errors.push(FieldError::new("/inputs", "must be an object"));
        }
        unknown("/inputs", members, known, &mut errors);
        Inputs { request, members, errors }
    }

    /// A member that is there and not null.
    pub fn get(&self, name: &str) -> Option<&'a Value> {
        self.members?.get(name).filter(|value| !value.is_null())
    }

    /// A member that must be text, if it is there.
    pub fn text(&mut self, name: &str) -> Option<&'a str> {
        let value = self.get(name)?;
        if value.as_str().is_none() {
            self.fault(name, "must be text");
        }
        value.as_str()
    }

    /// A fault of the member `name`.
    pub fn fault(&mut self, name: &str, reason: impl Into<String>) {
        self.errors.push(FieldError::new(member("/inputs", name), reason));
    }

    /// The one protein of a target: the short form or `inputs.protein_sequence`, at most `most` residues.
    pub fn protein(&mut self, most: usize) -> Option<ProteinSequence> {
        let short = self.request.protein_sequence;
        let long = self.text("protein_sequence");
        let (pointer, text) = match (short, long) {
            (Some(_), Some(_)) => {
                self.fault("protein_sequence", "was given twice: here and as protein_sequence");
                return None;
            }
            (Some(text), None) => ("/protein_sequence", text),
            (None, Some(text)) => ("/inputs/protein_sequence", text),
            (None, None) => {
                self.errors.push(FieldError::new("/protein_sequence", "is missing"));
                return None;
            }
        };
        protein(pointer, text, most, &mut self.errors)
    }
}

/// A protein of at most `most` residues; its fault is added to `errors`.
pub(crate) fn protein(pointer: &str, text: &str, most: usize, errors: &mut Vec<FieldError>) -> Option<ProteinSequence> {
    let sequence = match ProteinSequence::try_from(text) {
        Ok(sequence) => sequence,
        Err(error) => {
            errors.push(FieldError::new(pointer, error.to_string()));
            return None;
        }
    };
    if sequence.residues() > most {
        let reason = format!("has {} residues; {most} is the most", sequence.residues());
        errors.push(FieldError::new(pointer, reason));
        return None;
    }
    Some(sequence)
}

/// Adds a fault for every member of an object that nobody knows.
pub(crate) fn unknown(
    pointer: &str,
    members: Option<&Map<String, Value>>,
    known: &[&str],
    errors: &mut Vec<FieldError>,
) {
    for name in members.into_iter().flat_map(Map::keys).filter(|name| !known.contains(&name.as_str())) {
        let reason = format!("is not an input here; those are {}", known.join(", "));
        errors.push(FieldError::new(member(pointer, name), reason));
    }
}
