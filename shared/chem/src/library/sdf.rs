//! SD files, V2000 and V3000: record by record, each the connection table as text and a name. Reading the table is the
//! chemistry library's work and not done here.

use super::lines::{Line, Lines};
use super::{LibraryError, MAX_BLOCK_BYTES, Record, RowError, RowProblem, Structure, headers};

/// Whether the first lines of a file are those of an SD or MOL file.
pub(super) fn is_sdf(sample: &[Line]) -> bool {
    sample.iter().map(text).any(|line| {
        let line = line.trim_ascii();
        line == b"M  END" || line == b"$$$$" || is_counts(line)
    })
}

/// A counts line: it begins with a number and ends with the version.
fn is_counts(line: &[u8]) -> bool {
    let versioned = line.ends_with(b"V2000") || line.ends_with(b"V3000");
    versioned && line.first().is_some_and(u8::is_ascii_digit) && line.len() < 60
}

fn text(line: &Line) -> &[u8] {
    line.text.as_deref().unwrap_or_default()
}

/// The records of an SD file. The last one may lack its `$$$$`.
pub(super) struct Records {
    lines: Lines,
    record: u64,
}

impl Records {
    pub fn new(lines: Lines) -> Self {
        Self { lines, record: 0 }
    }

    /// The next record; `None` where nothing but blank lines is left.
    pub fn next_record(&mut self) -> Result<Option<Result<Record, RowError>>, LibraryError> {
        let mut draft = Draft::default();
        let mut anything = false;
        while let Some(line) = self.lines.next_line()? {
            anything |= !line.is_blank();
            if text(&line).starts_with(b"$$$$") {
                break;
            }
            draft.take(&line);
        }
        if !anything {
            return Ok(None);
        }
        self.record += 1;
        Ok(Some(draft.finish(self.record)))
    }
}

/// A record while its lines come in.
#[derive(Default)]
struct Draft {
    block: Vec<u8>,
    lines: usize,
    too_long: bool,
    in_data: bool,
    /// Atoms with a coordinate that is not zero were seen.
    placed: bool,
    /// Name of the data field whose value comes next.
    field: Option<String>,
    /// The best name among the data fields and how good it is.
    name: Option<(usize, String)>,
    smiles: Option<String>,
}

impl Draft {
    fn take(&mut self, line: &Line) {
        let bytes = text(line);
        if self.in_data || bytes.first() == Some(&b'>') && self.lines > 3 {
            self.in_data = true;
            return self.take_data(bytes);
        }
        self.lines += 1;
        self.in_data = bytes.starts_with(b"M  END");
        self.placed |= self.lines > 4 && has_place(bytes);
        self.too_long |= line.text.is_none() || self.block.len() + bytes.len() >= MAX_BLOCK_BYTES;
        if !self.too_long {
            self.block.extend_from_slice(bytes);
            self.block.push(b'\n');
        }
    }

    /// A data header (`> 25 <NAME>`), or the first line of a field that is wanted.
    fn take_data(&mut self, bytes: &[u8]) {
        if bytes.first() == Some(&b'>') {
            let header = String::from_utf8_lossy(bytes);
            let inside = header.split_once('<').and_then(|(_, rest)| rest.rsplit_once('>'));
            self.field = inside.map(|(name, _)| name.to_owned());
            return;
        }
        let Some(field) = self.field.take() else { return };
        let value = String::from_utf8_lossy(bytes).trim().to_owned();
        if value.is_empty() {
            return;
        }
        if headers::is_smiles(&field) {
            self.smiles.get_or_insert(value);
        } else if let Some(rank) = headers::name_rank(&field)
            && self.name.as_ref().is_none_or(|(best, _)| rank < *best)
        {
            self.name = Some((rank, value));
        }
    }

    /// The title names the record, else the best data field. A table without coordinates cannot show stereochemistry, so
    /// there a SMILES field speaks for the molecule.
    fn finish(self, row: u64) -> Result<Record, RowError> {
        let block = String::from_utf8_lossy(&self.block).into_owned();
        let title = block.lines().next().unwrap_or_default().trim().to_owned();
        let name = if title.is_empty() { self.name.map(|(_, name)| name) } else { Some(title) };
        let structure = match self.smiles {
            Some(smiles) if !self.placed => Structure::Smiles(smiles),
            _ if self.too_long => {
                return Err(RowError { row, text: name.unwrap_or_default(), problem: RowProblem::RecordTooLong });
            }
            _ => Structure::MolBlock(block),
        };
        Ok(Record { row, name, structure })
    }
}

/// Whether a line of a connection table is an atom away from the origin: `x y z symbol`, or V3000's
/// `M  V30 index symbol x y z`.
fn has_place(line: &[u8]) -> bool {
    let Ok(line) = std::str::from_utf8(line) else { return false };
    let words: Vec<&str> = line.split_ascii_whitespace().take(7).collect();
    let coordinates = match words.as_slice() {
        ["M", "V30", _, _, x, y, z] => [x, y, z],
        [x, y, z, _, ..] => [x, y, z],
        _ => return false,
    };
    coordinates.iter().any(|word| word.contains('.') && word.parse::<f64>().is_ok_and(|place| place != 0.0))
}
