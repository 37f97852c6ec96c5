//! The one check an alignment needs before a run pays for it: that an A3M belongs to its target.
//! Models read a foreign alignment without complaint and fold nonsense. Searching databases for
//! alignments is not done here.

use crate::sequence::ProteinSequence;

/// Why an A3M alignment cannot be used for a target. Rows and positions count from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MsaError {
    /// No row at all.
    #[error("the alignment holds no sequence")]
    Empty,
    /// Letters before the first `>` line.
    #[error("the alignment does not start with a `>` header line")]
    NoHeader,
    /// The first row has gaps or lower-case insertions, so it is not a query.
    #[error("the first row, the query, has a gap or insertion (`{letter}`) at position {position}")]
    QueryNotPlain { letter: char, position: usize },
    /// The first row has another length than the target.
    #[error("the first row has {found} residues but the target has {expected}")]
    OtherLength { expected: usize, found: usize },
    /// The first row is another sequence.
    #[error("the first row is not the target: position {position} is {found} instead of {expected}")]
    OtherSequence { position: usize, expected: char, found: char },
    /// A later row does not cover the query's columns.
    #[error("row {row} of the alignment spans {columns} columns instead of {expected}")]
    RaggedRow { row: usize, columns: usize, expected: usize },
}

/// Checks that the first row of an A3M equals `target`, and that every other row spans as many
/// columns: upper-case letters and `-` fill a column, lower-case insertions do not. Comment lines
/// (`#`) and NUL bytes, which ColabFold puts between merged alignments, are passed over.
///
/// # Errors
/// The first defect found.
pub fn check_msa(a3m: &str, target: &ProteinSequence) -> Result<(), MsaError> {
    let mut rows = 0;
    let mut query = String::new();
    let mut columns = 0;
    for line in a3m.lines().map(|line| line.trim_matches(|c: char| c == '\0' || c.is_whitespace())) {
        if line.starts_with('>') {
            close_row(rows, &query, columns, target)?;
            rows += 1;
            columns = 0;
        } else if line.is_empty() || line.starts_with('#') {
            continue;
        } else if rows == 0 {
            return Err(MsaError::NoHeader);
        } else if rows == 1 {
            query.push_str(line);
        } else {
            columns += line.bytes().filter(|b| b.is_ascii_uppercase() || *b == b'-').count();
        }
    }
    if rows == 0 {
        return Err(MsaError::Empty);
    }
    close_row(rows, &query, columns, target)
}

fn close_row(row: usize, query: &str, columns: usize, target: &ProteinSequence) -> Result<(), MsaError> {
    match row {
        0 => Ok(()),
        1 => check_query(query, target.as_str()),
        _ if columns == target.residues() => Ok(()),
        _ => Err(MsaError::RaggedRow { row, columns, expected: target.residues() }),
    }
}

fn check_query(query: &str, target: &str) -> Result<(), MsaError> {
    if let Some((index, letter)) = query.chars().enumerate().find(|(_, c)| !c.is_ascii_uppercase()) {
        return Err(MsaError::QueryNotPlain { letter, position: index + 1 });
    }
    if query.len() != target.len() {
        return Err(MsaError::OtherLength { expected: target.len(), found: query.len() });
    }
    match target.chars().zip(query.chars()).enumerate().find(|(_, (a, b))| a != b) {
        Some((index, (expected, found))) => Err(MsaError::OtherSequence { position: index + 1, expected, found }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(a3m: &str) -> Result<(), MsaError> {
        check_msa(a3m, &ProteinSequence::try_from("MKTAYIAKQR").unwrap())
    }

    #[test]
    fn the_targets_own_alignment_passes_with_insertions_and_gaps_below_the_query() {
        check(">101\nMKTAY\nIAKQR\n>hit\nMKT--IAgghKQR\n>other\n----------\n").unwrap();
        check("#10\t1\r\n>101\r\nMKTAYIAKQR\r\n\0>101\r\nMKTAYIAKQR\r\n").unwrap();
    }

    #[test]
    fn a_foreign_or_shifted_alignment_is_refused_with_the_place() {
        assert_eq!(check(""), Err(MsaError::Empty));
        assert_eq!(check("MKTAYIAKQR"), Err(MsaError::NoHeader));
        assert_eq!(check(">q\nMKTAYIAKQ"), Err(MsaError::OtherLength { expected: 10, found: 9 }));
        assert_eq!(check(">q\nMKTAYIVKQR"), Err(MsaError::OtherSequence { position: 7, expected: 'A', found: 'V' }));
    }

    #[test]
    fn a_query_with_gaps_or_insertions_is_refused() {
        assert_eq!(check(">q\nMKTaAYIAKQR"), Err(MsaError::QueryNotPlain { letter: 'a', position: 4 }));
        assert_eq!(check(">q\nMK-TAYIAKQR"), Err(MsaError::QueryNotPlain { letter: '-', position: 3 }));
    }

    #[test]
    fn a_row_of_another_width_is_refused() {
        let error = check(">q\nMKTAYIAKQR\n>hit\nMKTAYIAKQ\n").unwrap_err();
        assert_eq!(error, MsaError::RaggedRow { row: 2, columns: 9, expected: 10 });
    }
}
