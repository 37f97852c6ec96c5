//! How a library's lines are divided and which cells hold the SMILES and the name, decided once
//! from the first lines. Judging molecules is not done here, beyond asking whether a cell of a
//! file without header could be one.

use super::{LibraryError, LibraryRow, RowError, RowProblem};
use crate::library::lines::Line;
use crate::ligand::Ligand;

/// Headers of SMILES columns, best first; compared without case, spaces, `_` and `-`.
const SMILES_HEADERS: [&str; 9] = [
    "smiles",
    "canonicalsmiles",
    "isomericsmiles",
    "ligandsmiles",
    "smilesstring",
    "smi",
    "structuresmiles",
    "compoundsmiles",
    "moleculesmiles",
];
/// Headers of name columns, best first; the first non-empty cell names the ligand.
const NAME_HEADERS: [&str; 20] = [
    "name",
    "compoundname",
    "moleculename",
    "ligandname",
    "bindingdbligandname",
    "title",
    "id",
    "idnumber",
    "catalogid",
    "catalognumber",
    "catalogno",
    "zincid",
    "chemblid",
    "moleculechemblid",
    "cid",
    "pubchemcid",
    "compoundid",
    "moleculeid",
    "ligandid",
    "bindingdbmonomerid",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Separator {
    Byte(u8),
    /// Any run of spaces and tabs; with two columns the second runs to the end of the line.
    WhiteSpace,
}

/// Where things are on a line.
pub(super) struct Layout {
    separator: Separator,
    smiles: usize,
    names: Vec<usize>,
    columns: usize,
    pub has_header: bool,
}

impl Layout {
    /// Decides from the first lines of a file.
    pub fn detect(sample: &[Line], file_name: &str) -> Result<Self, LibraryError> {
        let mut lines = sample.iter().filter(|line| !line.is_blank());
        let first = lines.next().ok_or(LibraryError::Empty)?;
        let first = first.text.as_deref().unwrap_or_default();
        let separator = separator(first, file_name);
        let header: Vec<String> = cells(first, separator, usize::MAX)
            .unwrap_or_default()
            .iter()
            .map(|cell| String::from_utf8_lossy(cell).into_owned())
            .collect();
        Self::from_header(separator, &header)
            .or_else(|| Self::from_content(separator, sample))
            .ok_or(LibraryError::NoSmilesColumn { columns: header })
    }

    fn from_header(separator: Separator, header: &[String]) -> Option<Self> {
        let keys: Vec<String> = header.iter().map(|cell| key(cell)).collect();
        let find = |wanted: &&str| keys.iter().position(|key| key == wanted);
        let smiles =
            SMILES_HEADERS.iter().find_map(find).or_else(|| keys.iter().position(|key| key.ends_with("smiles")))?;
        let names = NAME_HEADERS.iter().filter_map(find).filter(|at| *at != smiles).collect();
        Some(Self { separator, smiles, names, columns: header.len(), has_header: true })
    }

    /// Without a header: the first column in which at least half the sampled lines hold a molecule,
    /// and as name the first other column. White space then parts two columns only.
    fn from_content(separator: Separator, sample: &[Line]) -> Option<Self> {
        let most = if separator == Separator::WhiteSpace { 2 } else { usize::MAX };
        let rows: Vec<Vec<Vec<u8>>> = sample
            .iter()
            .filter(|line| !line.is_blank())
            .filter_map(|line| cells(line.text.as_deref()?, separator, most).ok())
            .collect();
        let columns = rows.first()?.len();
        let molecules =
            |column: usize| rows.iter().filter_map(|row| row.get(column)).filter(|cell| is_molecule(cell)).count();
        let smiles = (0..columns).find(|column| 2 * molecules(*column) >= rows.len())?;
        let names = vec![usize::from(smiles == 0)];
        Some(Self { separator, smiles, names, columns: columns.min(most), has_header: false })
    }

    /// The SMILES and name on a line.
    pub fn read(&self, row: u64, line: &Line) -> Result<LibraryRow, RowError> {
        let fail = |problem| RowError { row, problem };
        let text = line.text.as_deref().ok_or_else(|| fail(RowProblem::LineTooLong))?;
        let cells = cells(text, self.separator, self.columns).map_err(fail)?;
        self.check_count(&cells).map_err(fail)?;
        let smiles = cells.get(self.smiles).cloned().unwrap_or_default();
        let smiles = String::from_utf8(smiles).map_err(|_| fail(RowProblem::NotUtf8))?;
        let name = self
            .names
            .iter()
            .filter_map(|at| cells.get(*at))
            .map(|cell| String::from_utf8_lossy(cell).into_owned())
            .find(|name| !name.is_empty());
        Ok(LibraryRow { row, name, smiles })
    }

    /// Cells missing after the SMILES are harmless. Extra cells in a comma- or semicolon-separated
    /// row mean an unquoted separator, so cells may have shifted; tab-separated exports
    /// (BindingDB) append columns on purpose.
    fn check_count(&self, cells: &[Vec<u8>]) -> Result<(), RowProblem> {
        let strict = self.has_header && matches!(self.separator, Separator::Byte(b',' | b';'));
        let surplus = strict && cells.iter().skip(self.columns).any(|cell| !cell.is_empty());
        if surplus || cells.len() <= self.smiles {
            let (found, expected) = (cells.len(), self.columns);
            return Err(RowProblem::WrongColumnCount { found, expected });
        }
        Ok(())
    }
}

/// `.smi` files are white-space separated. Otherwise a tab decides; then whichever of `,` and `;`
/// is more frequent before any quote or CXSMILES tail; then a space; a lone column counts as CSV.
fn separator(first: &[u8], file_name: &str) -> Separator {
    let name = file_name.to_ascii_lowercase();
    let stem = name.strip_suffix(".gz").unwrap_or(&name);
    if stem.ends_with(".smi") || stem.ends_with(".smiles") || stem.ends_with(".ism") {
        return Separator::WhiteSpace;
    }
    if first.contains(&b'\t') {
        return Separator::Byte(b'\t');
    }
    let (mut quoted, mut commas, mut semicolons) = (false, 0, 0);
    for byte in first.iter().take_while(|byte| **byte != b'|') {
        match byte {
            b'"' => quoted = !quoted,
            b',' if !quoted => commas += 1,
            b';' if !quoted => semicolons += 1,
            _ => {}
        }
    }
    match (commas, semicolons) {
        (0, 0) if first.trim_ascii().contains(&b' ') && !first.contains(&b'"') => Separator::WhiteSpace,
        (commas, semicolons) if semicolons > commas => Separator::Byte(b';'),
        _ => Separator::Byte(b','),
    }
}

/// Trimmed, unquoted cells of a line. `columns` tells a white-space table of two columns from a
/// wider one.
fn cells(line: &[u8], separator: Separator, columns: usize) -> Result<Vec<Vec<u8>>, RowProblem> {
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

fn key(header: &str) -> String {
    header.chars().filter(|c| !matches!(c, ' ' | '_' | '-' | '"')).flat_map(char::to_lowercase).collect()
}

fn is_molecule(cell: &[u8]) -> bool {
    std::str::from_utf8(cell).is_ok_and(|text| Ligand::parse(text).is_ok())
}
