//! Text tables, a row a line: the layout decided once, then line by line.

use super::layout::Layout;
use super::lines::Lines;
use super::{LibraryError, Record, RowError, SAMPLE_LINES};

/// The rows of a CSV, TSV or SMI file.
pub(super) struct Table {
    lines: Lines,
    layout: Layout,
    /// Lines up to and with the header.
    before: u64,
}

impl Table {
    /// Finds the columns.
    pub fn open(mut lines: Lines) -> Result<Self, LibraryError> {
        let sample = lines.sample(SAMPLE_LINES)?;
        let layout = Layout::detect(sample)?;
        let header = sample.iter().take(1 + sample.iter().take_while(|line| line.is_blank()).count());
        let before = if layout.has_header { header.count() as u64 } else { 0 };
        for _ in 0..before {
            lines.next_line()?;
        }
        Ok(Self { lines, layout, before })
    }

    /// The next row that is not blank.
    pub fn next_row(&mut self) -> Result<Option<Result<Record, RowError>>, LibraryError> {
        while let Some(line) = self.lines.next_line()? {
            if !line.is_blank() {
                return Ok(Some(self.layout.read(line.number - self.before, &line)));
            }
        }
        Ok(None)
    }
}
