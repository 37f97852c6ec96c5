use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::*;

mod columnar;
mod sdf;

fn open(content: impl AsRef<[u8]>) -> Result<LibraryReader, LibraryError> {
    LibraryReader::open(Bytes::copy_from_slice(content.as_ref()))
}

fn smiles(record: Record) -> String {
    match record.structure {
        Structure::Smiles(smiles) => smiles,
        Structure::MolBlock(block) => panic!("a connection table: {block}"),
    }
}

/// `(row, name, smiles)` of every row; panics on any error.
fn rows(content: impl AsRef<[u8]>) -> Vec<(u64, String, String)> {
    let row = |row: Record| (row.row, row.name.clone().unwrap_or_default(), smiles(row));
    open(content).unwrap_or_else(|error| panic!("{error}")).map(|item| row(item.unwrap())).collect()
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn libraries_of_the_usual_sources_are_understood() {
    let table = [
        ("a.csv", "smiles,name\nCCO,x\n"),
        ("a.csv", "Name,Canonical SMILES\nx,CCO\n"),
        ("a.csv", "\u{feff}\"SMILES\",\"name\"\r\n\"CCO\",\"x\"\r\n"),
        ("enamine.csv", "SMILES,idnumber,MW\nCCO,x,46.07\n"),
        ("enamine.tsv", "Catalog ID\tSMILES\nx\tCCO\n"),
        ("enamine.cxsmiles", "smiles\tid\tMW\nCCO\tx\t46\n"),
        ("zinc.txt", "smiles zinc_id\nCCO x\n"),
        ("zinc.smi", "smiles\tzinc_id\nCCO\tx\n"),
        ("zinc.smi", "CCO x\n"),
        ("zinc.txt", "CCO x\n"),
        ("chembl.txt", "chembl_id\tcanonical_smiles\tstandard_inchi\nx\tCCO\tInChI=1S/C2H6O\n"),
        ("chembl.csv", "\"ChEMBL ID\";\"Name\";\"Smiles\"\n\"x\";\"\";\"CCO\"\n"),
        ("CID-SMILES", "x\tCCO\n"),
        ("bindingdb.tsv", "BindingDB MonomerID\tLigand SMILES\tTarget\nx\tCCO\tABL1\textra\tcells\n"),
        ("a.csv", "CCO,x\n"),
        ("a.csv", "x,CCO\n"),
        ("a.csv", "zinc id,smiles,mw\nx,CCO\n"),
    ];
    for (source, text) in table {
        assert_eq!(rows(text), [(1, "x".into(), "CCO".into())], "{source}: {text}");
    }
}

#[test]
fn pubchem_numbers_are_names_and_not_molecules() {
    assert_eq!(rows("2244\tCC(=O)O\n702\tCCO\n")[1], (2, "702".into(), "CCO".into()));
}

#[test]
fn a_lone_column_needs_no_separator() {
    assert_eq!(rows("smiles\nCCO\n"), [(1, String::new(), "CCO".into())]);
    assert_eq!(rows("CCO\nCCN").len(), 2);
}

#[test]
fn a_smi_name_is_the_rest_of_the_line_and_a_cxsmiles_tail_stays_with_the_smiles() {
    let found = rows("CCO ethyl alcohol, pure\nC[C@H](F)Cl |o1:1| chiral one\n");
    assert_eq!(found[0], (1, "ethyl alcohol, pure".into(), "CCO".into()));
    assert_eq!(found[1], (2, "chiral one".into(), "C[C@H](F)Cl |o1:1|".into()));
    let tailed = rows("CC(F)Cl |o1:1,&1:2|\tx\n");
    assert_eq!(tailed[0], (1, "x".into(), "CC(F)Cl |o1:1,&1:2|".into()));
}

#[test]
fn a_bad_first_molecule_does_not_hide_a_library_without_header() {
    let found = rows("C(C bad\nCCO a\nCCN b\n");
    assert_eq!(found.len(), 3);
    assert_eq!(found[0], (1, "bad".into(), "C(C".into()));
}

#[test]
fn blank_lines_are_skipped_but_counted() {
    let found = rows("\nsmiles,name\n\nCCO,a\n  \r\nCCN,b\n\n");
    assert_eq!(found.iter().map(|row| row.0).collect::<Vec<_>>(), [2, 4]);
}

#[test]
fn gzipped_libraries_are_read_whatever_their_name() {
    let text = b"smiles,name\nCCO,a\nCCN,b\n";
    assert_eq!(rows(gzip(text)).len(), 2);
    let members = [gzip(b"CCO a\n"), gzip(b"CCN b\n")].concat();
    assert_eq!(rows(members).len(), 2);
}

#[test]
fn a_cut_off_gzip_file_ends_in_an_error() {
    let lines: String = (0..20_000).map(|n| format!("C,{}\n", n * 7_919 % 104_729)).collect();
    let whole = gzip(format!("smiles,name\n{lines}").as_bytes());
    let mut reader = open(&whole[..whole.len() / 2]).unwrap();
    let failure = reader.find_map(Result::err).unwrap();
    assert!(matches!(failure, ReadError::Library(LibraryError::Io(_))), "{failure:?}");
    assert!(reader.next().is_none());
}

#[test]
fn a_gzip_bomb_stops_at_the_size_limit() {
    let bomb = gzip(&b"CCO,a\n".repeat(200_000));
    let mut reader = LibraryReader::with_max_bytes(Bytes::from(bomb), 100_000).unwrap();
    let failure = reader.find_map(Result::err).unwrap();
    assert!(matches!(failure, ReadError::Library(LibraryError::TooLarge { max_bytes: 100_000 })));
    assert!(reader.next().is_none());
}

#[test]
fn a_gzip_stream_that_grows_beyond_reason_is_called_by_its_name() {
    let zeros = gzip(&vec![b'C'; 20 << 20]);
    let failure = open(&zeros).err().unwrap();
    assert!(matches!(failure, LibraryError::Bomb), "{failure:?}");
    assert!(failure.to_string().contains("200 times"));
}

#[test]
fn a_table_without_smiles_names_its_columns() {
    let error = open("id,weight\n1,46.07\n2,45.08\n").err().unwrap();
    assert_eq!(error.to_string(), "found no column of SMILES; the columns are: id, weight");
    assert_eq!(error.code(), "no_smiles_column");
}

#[test]
fn files_that_are_no_text_say_what_they_are() {
    let message = |bytes: &[u8]| open(bytes).err().unwrap().to_string();
    assert!(message(b"PK\x03\x04rest").contains("Excel"));
    assert!(message(b"PAR1rest").contains("Parquet"));
    assert!(message(b"\x28\xb5\x2f\xfdrest").contains("Zstandard"));
    assert!(message(b"\xff\xfes\0m\0").contains("UTF-16"));
    assert_eq!(message(b""), "the file is empty");
    assert_eq!(message(b" \n\n"), "the file is empty");
}

#[test]
fn broken_rows_are_reported_and_reading_goes_on() {
    let text = b"name,smiles\na\nb,C\xff\n\"c,CCO\nd,CCO,1,2\ne,CCO,\n\xe9ther,CCOCC\n";
    let found: Vec<String> = open(text)
        .unwrap()
        .map(|item| match item {
            Ok(row) => format!("{} {}", row.row, row.name.unwrap_or_default()),
            Err(ReadError::Row(error)) => format!("{} {}", error.row, error.problem.code()),
            Err(ReadError::Library(error)) => panic!("{error}"),
        })
        .collect();
    let expected =
        ["1 wrong_column_count", "2 not_utf8", "3 unclosed_quote", "4 wrong_column_count", "5 e", "6 \u{fffd}ther"];
    assert_eq!(found, expected);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), gz: bool) {
        let bytes = if gz { gzip(&bytes) } else { bytes };
        if let Ok(reader) = open(bytes) {
            prop_assert!(reader.count() <= 301);
        }
    }

    #[test]
    fn arbitrary_tables_never_panic(text in "(smiles[,;\t ]name\n)?[CNO\",;|\t \r\n]{0,80}") {
        if let Ok(reader) = open(text) {
            prop_assert!(reader.count() <= 81);
        }
    }
}
