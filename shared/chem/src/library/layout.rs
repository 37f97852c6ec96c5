//! How a text table is divided and which cells hold the SMILES and the name, decided once from the first lines: by a
//! header that is known, otherwise by where molecules are. Judging molecules is not done here, beyond asking whether a
//! cell of a file without header could be one.

use super::cells::{Separator, cells};
use super::lines::Line;
use super::{LibraryError, Record, RowError, RowProblem, Structure, headers};
use crate::ligand::Ligand;

/// Columns in which molecules are looked for where there is no header.
const COLUMNS_SEARCHED: usize = 32;
/// Characters of a broken line that its error shows.
const SHOWN: usize = 500;

/// Where things are on a line.
#[derive(Debug)]
pub(super) struct Layout {
    separator: Separator,
    smiles: usize,
    names: Vec<usize>,
    columns: usize,
    pub has_header: bool,
}

impl Layout {
    /// Decides from the first lines of a file.
    pub fn detect(sample: &[Line]) -> Result<Self, LibraryError> {
        let lines = || sample.iter().filter(|line| !line.is_blank());
        let first = lines().next().ok_or(LibraryError::Empty)?;
        let first = first.text.as_deref().unwrap_or_default();
        let header = |separator: &Separator| -> Vec<String> {
            let cells = cells(first, *separator, usize::MAX).unwrap_or_default();
            cells.iter().map(|cell| String::from_utf8_lossy(cell).into_owned()).collect()
        };
        let in_header = separators(first, std::iter::once(first));
        let anywhere = separators(first, lines().filter_map(|line| line.text.as_deref()));
        let by_header = in_header.iter().find_map(|at| Self::from_header(*at, &header(at)));
        by_header
            .or_else(|| Self::from_content(&anywhere, sample))
            .ok_or_else(|| LibraryError::NoSmilesColumn { columns: in_header.first().map(header).unwrap_or_default() })
    }

    fn from_header(separator: Separator, header: &[String]) -> Option<Self> {
        let (smiles, names) = headers::columns(header)?;
        Some(Self { separator, smiles, names, columns: header.len(), has_header: true })
    }

    /// Without a header: the separator that shows molecules in the most lines, the first where several do as well.
    fn from_content(separators: &[Separator], sample: &[Line]) -> Option<Self> {
        let mut best: Option<(usize, Self)> = None;
        for separator in separators {
            if let Some((molecules, layout)) = Self::divided_by(*separator, sample)
                && best.as_ref().is_none_or(|(most, _)| molecules > *most)
            {
                best = Some((molecules, layout));
            }
        }
        best.map(|(_, layout)| layout)
    }

    /// The first column in which at least half the sampled lines hold a molecule, how many do, and as name the first
    /// other column. White space parts two columns only.
    fn divided_by(separator: Separator, sample: &[Line]) -> Option<(usize, Self)> {
        let most = if separator == Separator::WhiteSpace { 2 } else { usize::MAX };
        let rows: Vec<Vec<Vec<u8>>> = sample
            .iter()
            .filter(|line| !line.is_blank())
            .filter_map(|line| cells(line.text.as_deref()?, separator, most).ok())
            .collect();
        let columns = rows.first()?.len();
        let (smiles, molecules) = (0..columns.min(COLUMNS_SEARCHED))
            .map(|column| (column, rows.iter().filter(|row| row.get(column).is_some_and(|c| is_molecule(c))).count()))
            .find(|(_, molecules)| 2 * molecules >= rows.len())?;
        let names = vec![usize::from(smiles == 0)];
        Some((molecules, Self { separator, smiles, names, columns: columns.min(most), has_header: false }))
    }

    /// The SMILES and name on a line.
    pub fn read(&self, row: u64, line: &Line) -> Result<Record, RowError> {
        let text = line.text.as_deref();
        self.cells_of(row, text).map_err(|problem| {
            let shown = String::from_utf8_lossy(text.unwrap_or_default());
            RowError { row, text: shown.chars().take(SHOWN).collect(), problem }
        })
    }

    fn cells_of(&self, row: u64, text: Option<&[u8]>) -> Result<Record, RowProblem> {
        let mut cells = cells(text.ok_or(RowProblem::LineTooLong)?, self.separator, self.columns)?;
        self.check_count(&cells)?;
        let name = self
            .names
            .iter()
            .filter_map(|at| cells.get(*at))
            .find(|cell| !cell.is_empty())
            .map(|cell| String::from_utf8_lossy(cell).into_owned());
        let smiles = cells.get_mut(self.smiles).map(std::mem::take).unwrap_or_default();
        let smiles = String::from_utf8(smiles).map_err(|_| RowProblem::NotUtf8)?;
        Ok(Record { row, name, structure: Structure::Smiles(smiles) })
    }

    /// Cells missing after the SMILES are harmless. Extra cells in a comma- or semicolon-separated row mean an unquoted
    /// separator, so cells may have shifted; tab-separated exports (BindingDB) append columns on purpose.
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

/// The separators that may be meant, best first: tab; whichever of `,` and `;` is more frequent on the first line before
/// any quote or CXSMILES tail; white space. Only such as occur; a lone column counts as divided by commas.
fn separators<'a>(first: &[u8], lines: impl Iterator<Item = &'a [u8]>) -> Vec<Separator> {
    let (mut commas, mut semicolons, mut quoted) = (0, 0, false);
    for byte in first.iter().take_while(|byte| **byte != b'|') {
        match byte {
            b'"' => quoted = !quoted,
            b',' if !quoted => commas += 1,
            b';' if !quoted => semicolons += 1,
            _ => {}
        }
    }
    let mut present = [false; 256];
    lines.flat_map(<[u8]>::trim_ascii).for_each(|byte| present[usize::from(*byte)] = true);
    let has = |byte: u8| present[usize::from(byte)];
    let by_count = if semicolons > commas { [b';', b','] } else { [b',', b';'] };
    let bytes = std::iter::once(b'\t').chain(by_count).filter(|byte| has(*byte)).map(Separator::Byte);
    let space = (has(b' ') || has(b'\t')).then_some(Separator::WhiteSpace);
    let found: Vec<Separator> = bytes.chain(space).collect();
    if found.is_empty() { vec![Separator::Byte(b',')] } else { found }
}

fn is_molecule(cell: &[u8]) -> bool {
    std::str::from_utf8(cell).is_ok_and(|text| Ligand::parse(text).is_ok())
}
