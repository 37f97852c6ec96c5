//! Files users take away: tables that a spreadsheet opens without surprise.

use super::upload::Upload;
use crate::places;
use axum::response::Redirect;
use domain::{Rejected, ResultRow, Run, Scores};
use platform::{BlobPath, Blobs, Error, Method, PutOptions, Result};
use std::{
    borrow::Cow,
    io::{self, Write},
    time::Duration,
};
use tokio::io::AsyncBufReadExt;

/// How long a link to a file may be followed.
const LINK_VALID: Duration = Duration::from_secs(15 * 60);

/// Sends the caller to a file, for fifteen minutes. A browser saves it as `download_as`.
pub async fn redirect(blobs: &Blobs, file: &BlobPath, download_as: &str) -> Result<Redirect> {
    let link = blobs.link(file, Method::Get, LINK_VALID, Some(download_as)).await?;
    Ok(Redirect::to(link.as_str()))
}

/// The first line of `results.csv`; `other` are the scores beyond the fourteen.
pub fn csv_header(other: &[String]) -> io::Result<Vec<u8>> {
    let mut header = vec!["rank", "job_id", "ligand_name", "other_names", "ligand_smiles", "row", "status"];
    header.extend(["affinity", "affinity_unit", "pic50", "confidence", "has_structure"]);
    header.extend(Scores::FOURTEEN);
    header.extend(other.iter().map(String::as_str));
    header.extend(["notes", "error_code", "error_message", "simulated", "cached"]);
    let mut table = csv::Writer::from_writer(vec![]);
    table.write_record(&header)?;
    table.into_inner().map_err(|error| error.into_error())
}

/// Two parts of each row's line in `results.csv`: what stands between its rank and the scores beyond the fourteen, and
/// what follows these. Neither the rank nor which other scores there are is known before every row was seen.
pub struct CsvParts {
    heads: csv::Writer<Vec<u8>>,
    tails: csv::Writer<Vec<u8>>,
    ends: Vec<(usize, usize)>,
}

impl Default for CsvParts {
    fn default() -> Self {
        let table = || csv::Writer::from_writer(vec![]);
        CsvParts { heads: table(), tails: table(), ends: vec![(0, 0)] }
    }
}

impl CsvParts {
    /// Takes a row in. An empty cell stands for every number the model did not give.
    pub fn add(&mut self, row: &ResultRow) -> io::Result<()> {
        head(&mut self.heads, row)?;
        tail(&mut self.tails, row)?;
        self.heads.flush()?;
        self.tails.flush()?;
        self.ends.push((self.heads.get_ref().len(), self.tails.get_ref().len()));
        Ok(())
    }

    /// The parts of the row that was taken in as number `at` (0-based), the second with its line's end.
    pub fn of(&self, at: usize) -> (&[u8], &[u8]) {
        let ((head, tail), (head_end, tail_end)) = (self.ends[at], self.ends[at + 1]);
        (&self.heads.get_ref()[head..head_end - 1], &self.tails.get_ref()[tail..tail_end])
    }
}

/// A line of `results.csv` from its parts.
pub fn csv_line(
    line: &mut Vec<u8>,
    rank: Option<u32>,
    (head, tail): (&[u8], &[u8]),
    other: impl Iterator<Item = Option<f64>>,
) -> io::Result<()> {
    if let Some(rank) = rank {
        write!(line, "{rank}")?;
    }
    line.push(b',');
    line.extend_from_slice(head);
    line.push(b',');
    for score in other {
        if let Some(score) = score {
            push_number(line, score)?;
        }
        line.push(b',');
    }
    line.extend_from_slice(tail);
    Ok(())
}

/// `results.csv` of rows that have their ranks.
pub fn write_csv(
    rows: impl Iterator<Item = io::Result<ResultRow>>,
    other: &[String],
    sink: &mut dyn Write,
) -> io::Result<()> {
    sink.write_all(&csv_header(other)?)?;
    let mut line = vec![];
    for row in rows {
        let (row, mut parts) = (row?, CsvParts::default());
        parts.add(&row)?;
        line.clear();
        csv_line(&mut line, row.rank, parts.of(0), other.iter().map(|name| row.score(name)))?;
        sink.write_all(&line)?;
    }
    Ok(())
}

fn head(table: &mut csv::Writer<Vec<u8>>, row: &ResultRow) -> csv::Result<()> {
    let mut text = vec![];
    table.write_field(&row.job_id)?;
    table.write_field(&*harmless(&row.ligand_name))?;
    table.write_field(&*harmless(&row.other_names.join("; ")))?;
    table.write_field(&*harmless(row.ligand_smiles.as_deref().unwrap_or_default()))?;
    table.write_field(row.row.to_string())?;
    table.write_field(row.status.as_str())?;
    number(table, &mut text, row.affinity)?;
    table.write_field(row.affinity_unit.as_deref().unwrap_or_default())?;
    number(table, &mut text, row.pic50)?;
    number(table, &mut text, row.confidence)?;
    table.write_field(if row.has_structure { "true" } else { "false" })?;
    for score in Scores::FOURTEEN {
        number(table, &mut text, row.score(score))?;
    }
    table.write_record(None::<&[u8]>)
}

fn tail(table: &mut csv::Writer<Vec<u8>>, row: &ResultRow) -> csv::Result<()> {
    let (code, message) = row.error.as_ref().map_or(("", ""), |error| (&error.code, &error.message));
    let flag = |set: bool| if set { "true" } else { "false" };
    let notes = harmless(&row.notes.join("; ")).into_owned();
    let (code, message) = (harmless(code), harmless(message));
    table.write_record([&*notes, &*code, &*message, flag(row.simulated), flag(row.cached)])
}

fn number(table: &mut csv::Writer<Vec<u8>>, text: &mut Vec<u8>, value: Option<f64>) -> csv::Result<()> {
    text.clear();
    if let Some(value) = value {
        push_number(text, value)?;
    }
    table.write_field(text)
}

/// Writes a number without an exponent, in the fewest digits that read back as the same: those that JSON has, whose
/// writer finds them in half the time.
fn push_number(line: &mut Vec<u8>, value: f64) -> io::Result<()> {
    let begin = line.len();
    serde_json::to_writer(&mut *line, &value)?;
    let text = &line[begin..];
    if text.contains(&b'e') || !value.is_finite() {
        line.truncate(begin);
        write!(line, "{value}")?;
    } else if text.ends_with(b".0") {
        line.truncate(line.len() - 2);
    }
    Ok(())
}

/// `rejected.csv`: every row that was not run, and why.
pub async fn write_rejected_csv(blobs: &Blobs, run: &Run) -> Result<()> {
    let failed = |error: csv::Error| Error::internal("writing a table", error);
    let path = places::result(&run.uid, &run.job_id, "rejected.csv")?;
    let mut file = Upload::begin(blobs, path, PutOptions::of_type("text/csv"));
    file.push(b"row,name,smiles,code,reason\n").await?;
    if run.rejected > 0 {
        let mut lines = blobs.reader(&places::rejected(&run.uid, &run.job_id)?).await?.lines();
        while let Some(line) =
            lines.next_line().await.map_err(|error| Error::internal("reading rejected rows", error))?
        {
            let row: Rejected = serde_json::from_str(&line)?;
            let (number, name, smiles) = (row.row.to_string(), harmless(&row.name), harmless(&row.smiles));
            let mut table = csv::Writer::from_writer(file.buffer());
            let cells: [&str; 5] = [&number, &name, &smiles, &row.code, &harmless(&row.reason)];
            table.write_record(cells).map_err(failed)?;
            table.flush().map_err(|error| Error::internal("writing a table", error))?;
            drop(table);
            file.relieve().await?;
        }
    }
    file.finish().await.map(|_| ())
}

/// A text that no spreadsheet takes for a formula: an apostrophe stands before what would begin one (OWASP, "CSV
/// Injection"), which spreadsheets do not show and other readers can take away again. No SMILES that was accepted begins
/// so, and numbers, which may, are not texts.
fn harmless(text: &str) -> Cow<'_, str> {
    let begins = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']);
    if begins { format!("'{text}").into() } else { text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{
        num::f64::{NORMAL, SUBNORMAL},
        prelude::*,
    };

    proptest! {
        #[test]
        fn a_number_reads_back_as_the_same_and_no_shorter_text_would(any in NORMAL | SUBNORMAL, usual in -1e3f64..1e3) {
            for value in [any, usual, usual.round(), f64::from(usual as f32), usual * 1e-8, 0.0] {
                let mut text = vec![];
                push_number(&mut text, value).unwrap();
                let text = String::from_utf8(text).unwrap();
                prop_assert_eq!(text.parse::<f64>().unwrap(), value);
                prop_assert_eq!((text.len(), text.contains('e')), (value.to_string().len(), false));
            }
        }
    }

    #[test]
    fn a_missing_number_is_an_empty_cell_and_a_name_is_no_formula() {
        let row = ResultRow {
            job_id: "b_0001".into(),
            ligand_name: "=cmd|' /C calc'!A0".into(),
            affinity_prob: Some(0.25),
            ..ResultRow::default()
        };
        let mut text = vec![];
        write_csv([Ok(row)].into_iter(), &["docking".to_owned()], &mut text).unwrap();
        let mut table = csv::Reader::from_reader(text.as_slice());
        let header = table.headers().unwrap().clone();
        let record = table.records().next().unwrap().unwrap();
        let cell = |name: &str| &record[header.iter().position(|column| column == name).unwrap()];
        assert_eq!((cell("affinity_prob"), cell("affinity"), cell("docking")), ("0.25", "", ""));
        assert!(cell("ligand_name").starts_with("'="));
        assert!(Scores::FOURTEEN.iter().all(|name| header.iter().any(|column| column == *name)));
    }

    #[test]
    fn no_text_of_a_user_begins_a_formula_and_numbers_stay_numbers() {
        let begin = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "-2-3", "=HYPERLINK(\"x\",\"y\")"];
        for text in begin {
            let text = || text.to_owned();
            let error = domain::ItemError { code: text(), message: text() };
            let row = ResultRow {
                ligand_name: text(),
                other_names: vec![text()],
                ligand_smiles: Some(text()),
                notes: vec![text()],
                error: Some(error),
                affinity: Some(-1.5),
                ..ResultRow::default()
            };
            let mut table = vec![];
            write_csv([Ok(row)].into_iter(), &[], &mut table).unwrap();
            let mut table = csv::Reader::from_reader(table.as_slice());
            let record = table.records().next().unwrap().unwrap();
            assert_eq!(record.iter().filter(|cell| **cell == format!("'{}", text())).count(), 6, "{record:?}");
            assert!(record.iter().any(|cell| cell == "-1.5"), "{record:?}");
        }
        for text in ["imatinib", "(-)-epicatechin", "CC(=O)O", "[Na+]", "", "2-(4-x)"] {
            assert_eq!(harmless(text), text);
        }
    }
}
