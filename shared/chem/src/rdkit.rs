//! RDKit's answers on 5,000 real structures, and on texts made from them, against ours. The table is made by
//! `tests/reference/rdkit_table.py`; every row on which the two differ stands in `rdkit-differences.tsv` with its reason.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;

use flate2::read::GzDecoder;

use crate::{Curator, LibraryRow, Ligand, RejectReason, Verdict};

/// What RDKit says of one SMILES.
pub struct Row {
    source: String,
    pub smiles: String,
    pub valid: bool,
    largest: String,
    largest_heavy_atoms: u32,
}

pub fn table() -> Vec<Row> {
    let mut text = String::new();
    GzDecoder::new(&include_bytes!("../tests/fixtures/rdkit.tsv.gz")[..]).read_to_string(&mut text).unwrap();
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('\t').collect();
        let [source, smiles, outcome, _, largest, heavy] = cells[..] else { panic!("{line}") };
        Row {
            source: source.to_owned(),
            smiles: smiles.to_owned(),
            valid: outcome == "ok",
            largest: largest.to_owned(),
            largest_heavy_atoms: heavy.parse().unwrap(),
        }
    };
    text.lines().skip(1).map(row).collect()
}

/// What differs, by SMILES: the known differences with their kind and reason.
fn known_differences() -> BTreeMap<String, String> {
    let text = include_str!("../tests/fixtures/rdkit-differences.tsv");
    let row = |line: &str| {
        let (kind, rest) = line.split_once('\t').unwrap();
        let (smiles, reason) = rest.split_once('\t').unwrap();
        assert!(!reason.is_empty(), "{line}");
        (smiles.to_owned(), kind.to_owned())
    };
    text.lines().skip(1).map(row).collect()
}

/// The kind of difference between RDKit and us on one row, if there is one.
fn difference(row: &Row) -> Option<&'static str> {
    const INVALID: [&str; 6] = ["empty", "unreadable", "bad_valence", "bad_aromaticity", "too_long", "unprocessable"];
    match Ligand::parse(&row.smiles) {
        Err(error) => match (INVALID.contains(&error.code()), row.valid) {
            (true, true) => Some("refused"),
            (false, false) if error.code() != "undefined_bond" => Some("refused for another reason"),
            _ => None,
        },
        Ok(_) if !row.valid => Some("accepted"),
        Ok(ligand) if ligand.canonical() != row.largest.as_str() => Some("fragment"),
        Ok(ligand) if ligand.heavy_atoms() != row.largest_heavy_atoms => Some("heavy atoms"),
        Ok(_) => None,
    }
}

#[test]
fn validity_heavy_atoms_and_largest_fragment_agree_with_rdkit_but_for_the_listed_rows() {
    let table = table();
    let real = table.iter().filter(|row| !["respelt", "labelled", "damaged", "salted"].contains(&row.source.as_str()));
    assert!(real.count() >= 5_000);
    let found: BTreeMap<String, String> =
        table.iter().filter_map(|row| Some((row.smiles.clone(), difference(row)?.to_owned()))).collect();
    let known = known_differences();
    for (smiles, kind) in &found {
        assert_eq!(known.get(smiles), Some(kind), "{kind}\t{smiles}");
    }
    assert_eq!(found.len(), known.len(), "a listed difference is none any more");
}

#[test]
fn rows_are_duplicates_where_rdkit_says_that_they_are_the_same_molecule() {
    let known = known_differences();
    let rows: Vec<Row> = table().into_iter().filter(|row| row.valid && !known.contains_key(&row.smiles)).collect();
    let mut curator = Curator::new();
    let mut first_of: HashMap<&str, u64> = HashMap::new();
    let mut duplicates = 0;
    for (row, number) in rows.iter().zip(1..) {
        let given = LibraryRow { row: number, name: None, smiles: row.smiles.clone() };
        let first = *first_of.entry(&row.largest).or_insert(number);
        match curator.judge(given) {
            Verdict::Accepted { .. } => assert_eq!(first, number, "{}", row.smiles),
            Verdict::Rejected { reason: RejectReason::Duplicate { of_row, .. }, .. } => {
                assert_eq!(first, of_row, "{}", row.smiles);
                duplicates += 1;
            }
            // Refused for what else is in the row, or whatever its spelling: a later one may still be the first.
            Verdict::Rejected { .. } if first == number => _ = first_of.remove(row.largest.as_str()),
            Verdict::Rejected { .. } => {}
        }
    }
    assert!(duplicates > 500, "{duplicates}");
}
