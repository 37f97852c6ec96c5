//! A library as it comes out of a spreadsheet, with ten awkward rows: each gets the verdict that a chemist would give.

use crate::{id, start};
use journeys::inputs::{demo_bytes, target};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const LIBRARY: &str = "library-with-broken-rows.csv";

#[derive(Debug, PartialEq, Deserialize)]
struct Verdict {
    row: u64,
    name: String,
    verdict: String,
    reason_code: String,
}

#[derive(Deserialize)]
struct Rejected {
    row: u64,
    name: String,
    code: String,
    reason: String,
}

fn read<T: for<'a> Deserialize<'a>>(table: &[u8]) -> Vec<T> {
    csv::Reader::from_reader(table).deserialize().map(Result::unwrap).collect()
}

/// What became of a row that was run. Its salt is told in words, so the words are looked for.
fn verdict(row: &Value) -> Verdict {
    let notes = row["notes"].to_string();
    let modified = notes.contains("left out");
    Verdict {
        row: row["row"].as_u64().unwrap(),
        name: row["ligand_name"].as_str().unwrap().to_owned(),
        verdict: if modified { "modified" } else { "accepted" }.to_owned(),
        reason_code: if modified { "salt_removed" } else { "" }.to_owned(),
    }
}

#[tokio::test]
async fn every_row_of_a_broken_library_gets_its_verdict() {
    let hub = start(&[]).await;
    let client = &hub.client;
    let wanted = json!({"file_name": LIBRARY, "protein_sequence": target()});
    let object = client.upload(&wanted, &demo_bytes(LIBRARY)).await;
    let batch = client.batch_ends(&id(&client.batch_of(&object).await)).await;
    assert_eq!(batch["status"], "completed", "{batch}");

    let rows = client.rows(&id(&batch)).await;
    let link = batch["rejected"]["link"].as_str().unwrap();
    let rejected: Vec<Rejected> = read(&client.download(link).await.body);
    assert!(rejected.iter().all(|row| !row.reason.is_empty()));
    let refused = rejected.into_iter().map(|row| Verdict {
        row: row.row,
        name: row.name,
        verdict: "rejected".to_owned(),
        reason_code: row.code,
    });
    let found: BTreeMap<u64, Verdict> = rows.iter().map(verdict).chain(refused).map(|row| (row.row, row)).collect();
    let mut expected: Vec<Verdict> = read(&demo_bytes("library-with-broken-rows.expected.csv"));
    // A control character in a name becomes a space: it would break every table the name is put into.
    expected.iter_mut().for_each(|row| row.name = row.name.replace('\t', " "));
    assert_eq!(found.into_values().collect::<Vec<_>>(), expected);

    let number = |name: &str| batch[name].as_u64().unwrap();
    let ended = number("completed_jobs") + number("failed_jobs");
    assert_eq!(ended + batch["rejected"]["invalid_count"].as_u64().unwrap(), expected.len() as u64);
    let other = |name: &str| rows.iter().find(|row| row["ligand_name"] == name).unwrap()["other_names"].clone();
    assert_eq!(other("erlotinib"), json!(["CP-358774"]), "the name of a duplicate is kept with its molecule");
}
