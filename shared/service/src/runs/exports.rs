//! Files users take away: tables that a spreadsheet opens without surprise.

use super::rows::for_each_line;
use crate::places;
use axum::response::Redirect;
use domain::{Rejected, ResultRow, Run, Scores};
use platform::{BlobPath, Blobs, Error, Method, PutOptions, Result};
use std::{collections::BTreeSet, time::Duration};

/// How long a link to a file may be followed.
const LINK_VALID: Duration = Duration::from_secs(15 * 60);

/// Sends the caller to a file, for fifteen minutes. A browser saves it as `download_as`.
pub async fn redirect(blobs: &Blobs, file: &BlobPath, download_as: &str) -> Result<Redirect> {
    let link = blobs.link(file, Method::Get, LINK_VALID, Some(download_as)).await?;
    Ok(Redirect::to(link.as_str()))
}

/// `results.csv`: one line per item in the order of the rows given, an empty cell for every number the model did not
/// give.
pub fn results_csv(rows: &[ResultRow]) -> Result<Vec<u8>> {
    let other: BTreeSet<&str> = rows.iter().flat_map(|row| row.other_scores.keys().map(String::as_str)).collect();
    let mut header = vec!["rank", "job_id", "ligand_name", "other_names", "ligand_smiles", "row", "status"];
    header.extend(["affinity", "affinity_unit", "pic50", "confidence", "has_structure"]);
    header.extend(Scores::FOURTEEN);
    header.extend(&other);
    header.extend(["notes", "error_code", "error_message", "simulated"]);
    let mut table = csv::Writer::from_writer(vec![]);
    table.write_record(&header).map_err(failed)?;
    for row in rows {
        let number = |name: &str| row.score(name).map_or_else(String::new, |value| value.to_string());
        let mut cells = vec![
            row.rank.map_or_else(String::new, |rank| rank.to_string()),
            row.job_id.clone(),
            harmless(&row.ligand_name),
            harmless(&row.other_names.join("; ")),
            row.ligand_smiles.clone().unwrap_or_default(),
            row.row.to_string(),
            row.status.as_str().to_owned(),
            number("affinity"),
            row.affinity_unit.clone().unwrap_or_default(),
            number("pic50"),
            number("confidence"),
            row.has_structure.to_string(),
        ];
        cells.extend(Scores::FOURTEEN.into_iter().map(number));
        cells.extend(other.iter().map(|name| number(name)));
        let (code, message) = row.error.as_ref().map_or(("", ""), |error| (&error.code, &error.message));
        cells.extend([harmless(&row.notes.join("; ")), code.to_owned(), harmless(message), row.simulated.to_string()]);
        table.write_record(&cells).map_err(failed)?;
    }
    table.into_inner().map_err(|error| Error::internal("writing a table", error.into_error()))
}

/// `rejected.csv`: every row that was not run, and why.
pub async fn write_rejected_csv(blobs: &Blobs, run: &Run) -> Result<()> {
    let mut table = csv::Writer::from_writer(vec![]);
    table.write_record(["row", "name", "smiles", "code", "reason"]).map_err(failed)?;
    let mut outcome = Ok(());
    for_each_line(blobs, &places::rejected(&run.uid, &run.job_id)?, |row: Rejected| {
        let cells = [row.row.to_string(), harmless(&row.name), harmless(&row.smiles), row.code, harmless(&row.reason)];
        if let Err(error) = table.write_record(cells) {
            outcome = Err(failed(error));
        }
    })
    .await?;
    outcome?;
    let bytes = table.into_inner().map_err(|error| Error::internal("writing a table", error.into_error()))?;
    let path = places::result(&run.uid, &run.job_id, "rejected.csv")?;
    blobs.put_bytes(&path, bytes, PutOptions::of_type("text/csv")).await.map(|_| ())
}

/// A text that no spreadsheet takes for a formula.
fn harmless(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text.to_owned() }
}

fn failed(error: csv::Error) -> Error {
    Error::internal("writing a table", error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_number_is_an_empty_cell_and_a_name_is_no_formula() {
        let row = ResultRow {
            job_id: "b_0001".into(),
            ligand_name: "=cmd|' /C calc'!A0".into(),
            affinity_prob: Some(0.25),
            ..ResultRow::default()
        };
        let text = String::from_utf8(results_csv(&[row]).unwrap()).unwrap();
        let mut table = csv::Reader::from_reader(text.as_bytes());
        let header = table.headers().unwrap().clone();
        let record = table.records().next().unwrap().unwrap();
        let cell = |name: &str| &record[header.iter().position(|column| column == name).unwrap()];
        assert_eq!((cell("affinity_prob"), cell("affinity"), cell("iptm_score")), ("0.25", "", ""));
        assert!(cell("ligand_name").starts_with("'="));
        assert!(Scores::FOURTEEN.iter().all(|name| header.iter().any(|column| column == *name)));
    }
}
