use bytes::Bytes;

use super::*;
use crate::library::{LibraryReader, LibraryRow, ReadError};
use crate::ligand::Note;

fn row(row: u64, name: &str, smiles: &str) -> LibraryRow {
    LibraryRow { row, name: Some(name.to_owned()), smiles: smiles.to_owned() }
}

fn reason(verdict: Verdict) -> RejectReason {
    match verdict {
        Verdict::Rejected { reason, .. } => reason,
        Verdict::Accepted { name, .. } => panic!("{name} was accepted"),
    }
}

#[test]
fn a_second_spelling_or_salt_of_a_molecule_is_a_duplicate_of_the_first() {
    let mut curator = Curator::new();
    curator.judge(row(1, "ibuprofen", "CC(C)Cc1ccc(cc1)C(C)C(=O)O"));
    let again = reason(curator.judge(row(7, "brufen", "OC(=O)C(C)c1ccc(CC(C)C)cc1")));
    assert_eq!(again, RejectReason::Duplicate { of_row: 1, of_name: "ibuprofen".into() });
    assert_eq!(again.to_string(), "is the same molecule as ibuprofen (row 1)");
    let salt = reason(curator.judge(row(8, "salt", "CC(C)Cc1ccc(cc1)C(C)C(=O)O.CO")));
    assert_eq!(salt.code(), "duplicate");
    assert_eq!(curator.accepted(), 1);
}

#[test]
fn enantiomers_are_two_ligands() {
    let mut curator = Curator::new();
    for (n, smiles) in [(1, "C[C@H](N)C(=O)O"), (2, "C[C@@H](N)C(=O)O"), (3, "CC(N)C(=O)O")] {
        assert!(matches!(curator.judge(row(n, "a", smiles)), Verdict::Accepted { .. }));
    }
}

#[test]
fn names_are_cleaned_and_missing_ones_are_made_from_the_row() {
    assert_eq!(clean_name(None, 5), "ligand_5");
    assert_eq!(clean_name(Some(" \t\u{0} "), 5), "ligand_5");
    assert_eq!(clean_name(Some(" a\nb "), 5), "a b");
    assert_eq!(clean_name(Some(&"x".repeat(300)), 5).chars().count(), 200);
}

#[test]
fn reasons_survive_json() {
    let reasons = [
        RejectReason::Ligand(LigandError::Metal { symbol: "Fe".into(), name: "iron".into() }),
        RejectReason::Duplicate { of_row: 3, of_name: "x".into() },
        RejectReason::EmptySmiles,
        RejectReason::UnreadableRow(RowProblem::NotUtf8),
    ];
    for reason in reasons {
        let json = serde_json::to_string(&reason).unwrap();
        assert_eq!(serde_json::from_str::<RejectReason>(&json).unwrap(), reason, "{json}");
    }
}

/// Reads and judges a whole library: `row code-or-"ok" notes` per row.
fn verdicts(file: Vec<u8>) -> Vec<(u64, String, String)> {
    let mut curator = Curator::new();
    LibraryReader::open(Bytes::from(file))
        .unwrap()
        .map(|item| match item {
            Ok(row) => curator.judge(row),
            Err(ReadError::Row(error)) => error.into(),
            Err(ReadError::Library(error)) => panic!("{error}"),
        })
        .map(|verdict| match verdict {
            Verdict::Accepted { row, name, ligand } => {
                let notes: Vec<&str> = ligand.notes().iter().map(Note::code).collect();
                (row, name, format!("ok {}", notes.join(" ")).trim_end().to_owned())
            }
            Verdict::Rejected { row, name, reason, .. } => (row, name, reason.code().to_owned()),
        })
        .collect()
}

#[test]
fn ten_kinds_of_broken_rows_among_forty_each_get_their_own_verdict() {
    // Rows 1 to 30 are straight alkanols, so none repeats another.
    let mut file = b"\xef\xbb\xbfsmiles,name\r\n".to_vec();
    for n in 1..=30 {
        file.extend(format!("{}O,alkanol {n}\r\n", "C".repeat(n)).bytes());
    }
    let broken: [(&[u8], &str, &str); 10] = [
        (b"c1ccccc,bad smiles\r\n", "bad smiles", "unreadable"),
        (b",nothing\r\n", "nothing", "empty_smiles"),
        (b"[Fe]C,metal\r\n", "metal", "metal"),
        (&[&[b'C'; 200][..], b",long\r\n"].concat(), "long", "too_many_heavy_atoms"),
        (b"OCCC,again\r\n", "again", "duplicate"),
        (b"CCN.Cl,salt\r\n", "salt", "ok salt_removed"),
        (b"\xef\xbb\xbfCCS,stray mark\r\n", "stray mark", "unreadable"),
        (b"CCCS,unix line end\n", "unix line end", "ok"),
        (b"CCCCS,\"butane, 1-thiol\"\r\n", "butane, 1-thiol", "ok"),
        (b"CCCCCS,\ttab\tinside \r\n", "tab inside", "ok"),
    ];
    for (line, ..) in broken {
        file.extend(line);
    }
    let found = verdicts(file);
    assert_eq!(found.len(), 40);
    for (n, (row, name, outcome)) in (1..).zip(&found[..30]) {
        assert_eq!((*row, name.as_str(), outcome.as_str()), (n, &*format!("alkanol {n}"), "ok"));
    }
    for ((n, (_, name, code)), verdict) in (31..).zip(broken).zip(&found[30..]) {
        assert_eq!(*verdict, (n, name.to_owned(), code.to_owned()));
    }
}

#[test]
fn rows_that_cannot_be_read_are_rejected_under_their_row_number() {
    let long = "C".repeat(70_000);
    let file = format!("smiles,name\nCCO,a\n\n{long},b\n\"CCN,c\nCCC,d,e\nCCS\n");
    let expected = [
        (1, "a", "ok"),
        (3, "ligand_3", "line_too_long"),
        (4, "ligand_4", "unclosed_quote"),
        (5, "ligand_5", "wrong_column_count"),
        (6, "ligand_6", "ok"),
    ];
    let found = verdicts(file.into_bytes());
    assert_eq!(found, expected.map(|(row, name, code)| (row, name.into(), code.to_owned())));
}

#[test]
fn a_first_reading_changes_no_verdict_and_leaves_little_to_remember() {
    // Alcohols of up to 60 carbons; a third of the rows repeat one, written the other way round or as before. Some are
    // beyond what is judged without the chemistry library.
    let smiles = |n: u64| match n % 3 {
        _ if n % 20 == 7 => format!("C[Se]{}", "C".repeat(n as usize / 10)),
        _ if n % 20 == 9 => format!("{}O.Cl", "C".repeat(n as usize / 10)),
        _ if n % 20 == 11 => format!("C[Se]{} |r|", "C".repeat(n as usize / 10)),
        0 => format!("{}O", "C".repeat((n / 2 % 60) as usize + 1)),
        1 => format!("C{}CO", "[13CH2]".repeat((n % 100) as usize + 1)),
        _ => format!("OCC{}N", "[13CH2]".repeat((n / 3) as usize % 120)),
    };
    let rows = || -> Vec<Result<Record, RowError>> {
        let broken = RowError { row: 301, text: "x".into(), problem: RowProblem::NotUtf8 };
        let readable = (1..=300).map(|n| Ok(row(n, &format!("m{n}"), &smiles(n)).into()));
        readable.chain([Err(broken)]).chain((302..400).map(|n| Ok(row(n, "late", &smiles(n + 30)).into()))).collect()
    };
    let verdicts = |mut curator: Curator| {
        let mut rows = rows();
        let later = rows.split_off(150);
        let mut verdicts = [curator.judge_all(rows), curator.judge_all(later)].concat();
        // What two readings know of an accepted ligand is the same; what they have worked out by then need not be.
        for verdict in &mut verdicts {
            if let Verdict::Accepted { ligand, .. } = verdict {
                ligand.canonicalise();
            }
        }
        (verdicts, curator.accepted(), curator.seen.len())
    };
    let mut noted = Noted::default();
    for row in rows() {
        noted.note_all(vec![row]);
    }
    let (expected, accepted, all) = verdicts(Curator::new());
    let (found, still_accepted, remembered) = verdicts(Curator::knowing(noted.finished().into()));
    assert_eq!((found, still_accepted), (expected, accepted));
    assert!(accepted > 150 && all == accepted && remembered < accepted / 2, "{remembered} of {accepted}");
}
