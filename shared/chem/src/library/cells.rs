//! One line of a text table in cells: quotes, white space and CXSMILES tails. What the cells mean is the layout's.

use super::RowProblem;

/// What stands between the cells of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Separator {
    Byte(u8),
    /// Any run of spaces and tabs; with two columns the second runs to the end of the line.
    WhiteSpace,
}

/// Trimmed, unquoted cells of a line. `columns` tells a white-space table of two columns from a
/// wider one.
pub(super) fn cells(line: &[u8], separator: Separator, columns: usize) -> Result<Vec<Vec<u8>>, RowProblem> {
    let trimmed = |cell: &[u8]| cell.trim_ascii().to_vec();
    match separator {
        Separator::WhiteSpace => Ok(white_space_cells(line.trim_ascii(), columns)),
        Separator::Byte(separator) if !line.contains(&b'"') => {
            Ok(line.split(|byte| *byte == separator).map(trimmed).collect())
        }
        Separator::Byte(separator) => quoted_cells(line, separator),
    }
}

fn quoted_cells(line: &[u8], separator: u8) -> Result<Vec<Vec<u8>>, RowProblem> {
    // The csv reader closes an open quote at the end of input; a balanced line has an even number.
    if line.iter().filter(|byte| **byte == b'"').count() % 2 == 1 {
        return Err(RowProblem::UnclosedQuote);
    }
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(separator)
        .buffer_capacity(line.len().max(1))
        .from_reader(line);
    let mut record = csv::ByteRecord::new();
    reader.read_byte_record(&mut record).map_err(|_| RowProblem::UnclosedQuote)?;
    Ok(record.iter().map(|cell| cell.trim_ascii().to_vec()).collect())
}

/// SMILES and the rest of the line, or single words where the header has three or more. A CXSMILES
/// tail (`|...|`) stays with the first word.
fn white_space_cells(line: &[u8], columns: usize) -> Vec<Vec<u8>> {
    let space = |byte: &u8| byte.is_ascii_whitespace();
    let mut end = line.iter().position(space).unwrap_or(line.len());
    let rest = line[end..].trim_ascii_start();
    if rest.first() == Some(&b'|')
        && let Some(tail) = rest.iter().skip(1).position(|byte| *byte == b'|')
    {
        end = line.len() - rest.len() + tail + 2;
    }
    let rest = line[end..].trim_ascii();
    let mut cells = vec![line[..end].to_vec()];
    if columns > 2 {
        cells.extend(rest.split(space).filter(|word| !word.is_empty()).map(<[u8]>::to_vec));
    } else if !rest.is_empty() {
        cells.push(rest.to_vec());
    }
    cells
}
