//! An SD file: a record for every item with a ligand, its scores as properties. A score the model did not give has no
//! property.

use domain::{ResultRow, Scores};
use std::io::{self, Write};

/// Writes the records in the order of the rows. A ligand the chemistry library cannot draw is left out, and said so in
/// the log: it was accepted as SMILES before it was run, so there should be none.
pub fn write(rows: impl Iterator<Item = io::Result<ResultRow>>, sink: &mut dyn Write) -> io::Result<()> {
    for row in rows {
        let row = row?;
        let Some(smiles) = &row.ligand_smiles else { continue };
        match chem::sdf_record(smiles, &row.ligand_name, &properties(&row)) {
            Ok(record) => sink.write_all(record.as_bytes())?,
            Err(error) => tracing::warn!(job.id = row.job_id, error = %error, "ligand left out of an sd file"),
        }
    }
    Ok(())
}

fn properties(row: &ResultRow) -> Vec<(String, String)> {
    let mut properties = vec![("job_id".to_owned(), row.job_id.clone())];
    let mut add = |name: &str, value: Option<String>| properties.extend(value.map(|value| (name.to_owned(), value)));
    add("rank", row.rank.map(|rank| rank.to_string()));
    add("ligand_name", Some(row.ligand_name.clone()));
    add("other_names", (!row.other_names.is_empty()).then(|| row.other_names.join("; ")));
    add("row", Some(row.row.to_string()));
    add("status", Some(row.status.as_str().to_owned()));
    add("affinity_unit", row.affinity_unit.clone());
    let others = row.other_scores.keys().map(String::as_str);
    for score in ["affinity", "pic50", "confidence"].into_iter().chain(Scores::FOURTEEN).chain(others) {
        add(score, row.score(score).map(|value| value.to_string()));
    }
    add("notes", (!row.notes.is_empty()).then(|| row.notes.join("; ")));
    add("error_code", row.error.as_ref().map(|error| error.code.clone()));
    add("error_message", row.error.as_ref().map(|error| error.message.clone()));
    add("simulated", Some(row.simulated.to_string()));
    add("cached", Some(row.cached.to_string()));
    properties
}
