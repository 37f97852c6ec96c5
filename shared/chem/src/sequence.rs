//! Protein sequences as users paste them: plain or FASTA. What comes out is upper-case, made of
//! the 20 standard amino acids and of a length a model can fold. Nothing here knows a model.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Fewest residues accepted; shorter chains are peptides, which these screens do not take.
pub const MIN_RESIDUES: usize = 10;
/// Most residues accepted.
pub const MAX_RESIDUES: usize = 2_000;
const STANDARD: &str = "ACDEFGHIKLMNPQRSTVWY";

/// A protein chain: [`MIN_RESIDUES`] to [`MAX_RESIDUES`] upper-case letters of the 20 standard
/// amino acids. White space in the input is dropped, lower case is raised.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProteinSequence(String);

impl ProteinSequence {
    /// The one-letter codes.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Number of residues.
    #[must_use]
    pub fn residues(&self) -> usize {
        self.0.len()
    }
}

/// Why a text is not a protein sequence that can be run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum SequenceError {
    /// No letters at all.
    #[error("the sequence is empty")]
    Empty,
    /// The first letter that is no standard amino acid; `position` counts residues from 1.
    #[error("`{letter}` at position {position} is not one of the 20 standard amino acids")]
    NotAnAminoAcid { letter: char, position: usize },
    /// Fewer than [`MIN_RESIDUES`].
    #[error("the sequence has {residues} residues; at least 10 are needed")]
    TooShort { residues: usize },
    /// More than [`MAX_RESIDUES`].
    #[error("the sequence has {residues} residues; at most 2,000 can be run")]
    TooLong { residues: usize },
}

impl TryFrom<&str> for ProteinSequence {
    type Error = SequenceError;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        let mut letters = String::with_capacity(text.len().min(MAX_RESIDUES));
        let mut residues = 0;
        for letter in text.chars().filter(|c| !c.is_whitespace()) {
            residues += 1;
            let upper = letter.to_ascii_uppercase();
            if !STANDARD.contains(upper) {
                return Err(SequenceError::NotAnAminoAcid { letter, position: residues });
            }
            letters.push(upper);
        }
        match residues {
            0 => Err(SequenceError::Empty),
            1..MIN_RESIDUES => Err(SequenceError::TooShort { residues }),
            MIN_RESIDUES..=MAX_RESIDUES => Ok(Self(letters)),
            _ => Err(SequenceError::TooLong { residues }),
        }
    }
}

impl TryFrom<String> for ProteinSequence {
    type Error = SequenceError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::try_from(text.as_str())
    }
}

impl From<ProteinSequence> for String {
    fn from(sequence: ProteinSequence) -> Self {
        sequence.0
    }
}

impl fmt::Display for ProteinSequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One entry of a FASTA text. `name` is the header line without `>`, empty where there was none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FastaRecord {
    pub name: String,
    pub sequence: ProteinSequence,
}

/// Why a FASTA text was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FastaError {
    /// Neither a header nor a sequence.
    #[error("there is no sequence in the text")]
    Empty,
    /// An entry whose sequence cannot be run; `record` counts from 1.
    #[error("sequence {record} ({name}) cannot be used")]
    Sequence {
        record: usize,
        name: String,
        #[source]
        source: SequenceError,
    },
}

/// Reads FASTA, or a bare sequence as a single record without a name. Lines before the first
/// header count as such a record; lines starting with `;` are comments.
///
/// # Errors
/// The text holds no sequence, or the first unusable one.
pub fn parse_fasta(text: &str) -> Result<Vec<FastaRecord>, FastaError> {
    let mut entries: Vec<(&str, String)> = Vec::new();
    for line in text.trim_start_matches('\u{feff}').lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('>') {
            entries.push((name.trim(), String::new()));
        } else if !line.is_empty() && !line.starts_with(';') {
            match entries.last_mut() {
                Some((_, letters)) => letters.push_str(line),
                None => entries.push(("", line.to_owned())),
            }
        }
    }
    if entries.is_empty() {
        return Err(FastaError::Empty);
    }
    entries
        .into_iter()
        .enumerate()
        .map(|(index, (name, letters))| match ProteinSequence::try_from(letters) {
            Ok(sequence) => Ok(FastaRecord { name: name.to_owned(), sequence }),
            Err(source) => Err(FastaError::Sequence { record: index + 1, name: name.to_owned(), source }),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_line_breaks_and_lower_case_are_put_right() {
        let sequence = ProteinSequence::try_from(" mktay iakqr\r\nQISFV\t").unwrap();
        assert_eq!(sequence.as_str(), "MKTAYIAKQRQISFV");
        assert_eq!(sequence.residues(), 15);
    }

    #[test]
    fn the_first_wrong_letter_is_named_with_its_place_in_the_sequence() {
        let error = ProteinSequence::try_from("MKT AYx ZAKQRQ").unwrap_err();
        assert_eq!(error, SequenceError::NotAnAminoAcid { letter: 'x', position: 6 });
        assert!(error.to_string().contains("position 6"));
        for letter in ['B', 'Z', 'X', 'U', 'O', 'J', '*', '-', '1', 'Ä'] {
            assert!(ProteinSequence::try_from(format!("MKTAYIAKQR{letter}")).is_err(), "{letter}");
        }
    }

    #[test]
    fn lengths_from_10_to_2000_are_accepted() {
        let of = |n: usize| ProteinSequence::try_from("A".repeat(n));
        assert_eq!(of(0), Err(SequenceError::Empty));
        assert_eq!(of(9), Err(SequenceError::TooShort { residues: 9 }));
        assert!(of(10).is_ok() && of(2_000).is_ok());
        assert_eq!(of(2_001), Err(SequenceError::TooLong { residues: 2_001 }));
    }

    #[test]
    fn json_carries_the_letters_and_is_checked_on_the_way_in() {
        let sequence: ProteinSequence = serde_json::from_str("\"mktayiakqr\"").unwrap();
        assert_eq!(serde_json::to_string(&sequence).unwrap(), "\"MKTAYIAKQR\"");
        assert!(serde_json::from_str::<ProteinSequence>("\"MKT\"").is_err());
    }

    #[test]
    fn fasta_and_bare_sequences_are_both_read() {
        let records = parse_fasta(">sp|P1|A kinase\r\nMKTAY\r\nIAKQR\r\n\r\n>B\nmktayiakqrq\n").unwrap();
        assert_eq!(records[0].name, "sp|P1|A kinase");
        assert_eq!(records[0].sequence.as_str(), "MKTAYIAKQR");
        assert_eq!(records[1].sequence.residues(), 11);
        assert_eq!(parse_fasta("MKTAYIAKQR").unwrap()[0].name, "");
        assert_eq!(parse_fasta(" \n"), Err(FastaError::Empty));
    }

    #[test]
    fn a_header_without_sequence_is_named() {
        let error = parse_fasta(">A\nMKTAYIAKQR\n>B\n").unwrap_err();
        assert_eq!(error.to_string(), "sequence 2 (B) cannot be used");
    }
}
