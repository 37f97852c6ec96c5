use std::io::{self, BufRead};
use std::sync::Arc;

use parquet::basic::{Compression, Encoding};
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use super::*;

/// Written by pyarrow: LargeUtf8, a dictionary, nulls, a list column and three row groups.
const PYARROW: &[u8] = include_bytes!("../../../tests/fixtures/pyarrow.parquet");

/// A file of one text column, `None` for null.
fn written(name: &str, cells: &[Option<&[u8]>], properties: WriterProperties) -> Vec<u8> {
    let schema = parse_message_type(&format!("message m {{ optional binary {name} (UTF8); }}")).unwrap();
    let mut file = SerializedFileWriter::new(Vec::new(), Arc::new(schema), Arc::new(properties)).unwrap();
    let mut group = file.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let values: Vec<ByteArray> = cells.iter().flatten().map(|cell| ByteArray::from(cell.to_vec())).collect();
    let levels: Vec<i16> = cells.iter().map(|cell| i16::from(cell.is_some())).collect();
    column.typed::<ByteArrayType>().write_batch(&values, Some(&levels), None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    file.into_inner().unwrap()
}

fn plain() -> WriterProperties {
    WriterProperties::builder().set_dictionary_enabled(false).set_compression(Compression::UNCOMPRESSED).build()
}

fn failure(content: impl AsRef<[u8]>) -> LibraryError {
    match open(content) {
        Err(error) => error,
        Ok(reader) => match reader.filter_map(Result::err).next() {
            Some(ReadError::Library(error)) => error,
            other => panic!("{other:?}"),
        },
    }
}

#[test]
fn a_file_of_pyarrow_is_read_row_by_row_with_the_best_name_there_is() {
    let found = rows(PYARROW);
    assert_eq!(found.len(), 300);
    for (n, (row, name, smiles)) in found.iter().enumerate() {
        assert_eq!(*row, n as u64 + 1);
        let catalog = if n % 10 == 9 { (1000 + n).to_string() } else { format!("Z{n}") };
        assert_eq!(*name, catalog, "the number stands in where the catalogue has none");
        let written = if n == 7 { String::new() } else { format!("{}O", "C".repeat(n % 50 + 1)) };
        assert_eq!(*smiles, written);
    }
    assert_eq!(rows(gzip(PYARROW)), found);
}

#[test]
fn plain_and_dictionary_pages_headers_in_any_case_and_nulls_are_read() {
    let cells: [Option<&[u8]>; 4] = [Some(b"CCO"), None, Some(b" CCN "), Some(b"CCO")];
    let pages =
        [plain(), WriterProperties::new(), WriterProperties::builder().set_compression(Compression::SNAPPY).build()];
    for properties in pages {
        for name in ["smiles", "SMILES", "Canonical_Smiles"] {
            let found: Vec<String> = rows(written(name, &cells, properties.clone())).into_iter().map(|r| r.2).collect();
            assert_eq!(found, ["CCO", "", "CCN", "CCO"]);
        }
    }
}

#[test]
fn text_that_is_not_utf8_is_a_broken_row_and_the_next_ones_follow() {
    let found: Vec<_> = open(written("smiles", &[Some(b"C\xff"), Some(b"CCO")], plain())).unwrap().collect();
    assert!(matches!(&found[0], Err(ReadError::Row(error)) if error.problem == RowProblem::NotUtf8));
    assert_eq!(smiles(found.into_iter().nth(1).unwrap().unwrap()), "CCO");
}

#[test]
fn a_file_without_smiles_names_its_columns() {
    let error = failure(written("molecule", &[Some(b"CCO")], plain()));
    assert_eq!(error.to_string(), "found no column of SMILES; the columns are: molecule");
}

#[test]
fn codecs_and_encodings_that_are_not_read_are_named() {
    let delta = WriterProperties::builder().set_dictionary_enabled(false).set_encoding(Encoding::DELTA_BYTE_ARRAY);
    let error = failure(written("smiles", &[Some(b"CCO")], delta.build()));
    assert!(error.to_string().contains("DELTA_BYTE_ARRAY; write it plain or with a dictionary"), "{error}");
    let gzip = include_bytes!("../../../tests/fixtures/gzip.parquet");
    let error = failure(gzip).to_string();
    assert!(error.contains("packed with gzip; pack it with snappy or zstd"), "{error}");
}

#[test]
fn a_file_as_polars_packs_it_is_read_and_one_whose_page_holds_more_than_it_claims_is_refused() {
    let zstd = include_bytes!("../../../tests/fixtures/zstd.parquet");
    let rows: Vec<_> = open(zstd).unwrap().map(|row| row.unwrap()).collect();
    let smiles = |n: usize| Structure::Smiles("C".repeat(n % 40 + 1));
    assert!(rows.len() == 50 && (0..50).all(|n| rows[n].structure == smiles(n)));
    // The dictionary's page is the first: PAR1, type 2, then that its content has 980 bytes; here it says 84.
    assert_eq!(zstd[4..9], [0x15, 0x04, 0x15, 0xa8, 0x0f]);
    let less = failure([&zstd[..8], &[0x01], &zstd[9..]].concat());
    assert!(matches!(less, LibraryError::Parquet { .. }), "the user's to mend: {less}");
}

/// A file in a store that answers no more.
struct Gone(Bytes);

impl Source for Gone {
    fn size(&self) -> u64 {
        self.0.size()
    }

    fn stream(&self) -> io::Result<Box<dyn BufRead + Send>> {
        self.0.stream()
    }

    fn range(&self, _: u64, _: usize) -> io::Result<Bytes> {
        Err(io::Error::other("no answer"))
    }
}

#[test]
fn a_store_that_fails_is_told_from_a_file_that_is_damaged() {
    let gone = LibraryReader::open(Gone(Bytes::from_static(PYARROW))).err().unwrap();
    assert!(matches!(&gone, LibraryError::Io(error) if error.kind() == io::ErrorKind::Other), "{gone:?}");
    let cut_off = failure(&PYARROW[..PYARROW.len() / 2]);
    assert!(matches!(cut_off, LibraryError::Parquet { .. }), "{cut_off:?}");
}

#[test]
fn a_page_or_dictionary_that_claims_more_than_it_holds_is_refused_before_room_is_made_for_it() {
    let file = written("smiles", &[Some(b"CCO"), Some(b"CCN")], WriterProperties::new());
    // The page of the dictionary comes first: PAR1, then type 2, both sizes 14, field 7 with the number of values 2.
    let header = [0x15, 0x04, 0x15, 28, 0x15, 28, 0x4c, 0x15, 0x04];
    assert_eq!(file[4..13], header, "the writer writes as it did when this test was made");
    let claim = |at: usize, varint: &[u8]| [&file[..at], varint, &file[at + 1..]].concat();
    let two_gigabytes = [0xfe, 0xff, 0xff, 0xff, 0x0f];
    let found = failure(claim(7, &two_gigabytes)).to_string();
    assert!(found.contains("more than 16 MiB"), "{found}");
    let found = failure(claim(12, &two_gigabytes)).to_string();
    assert!(found.contains("claims more values than it holds"), "{found}");
}

#[test]
fn rows_that_a_dictionary_makes_almost_for_nothing_stop_at_the_size_limit() {
    let smiles = "C".repeat(100);
    let many = written("smiles", &vec![Some(smiles.as_bytes()); 10_000], WriterProperties::new());
    assert!(many.len() < 2_000);
    let mut reader = LibraryReader::with_max_bytes(Bytes::from(many), 100_000).unwrap();
    let failure = reader.find_map(Result::err).unwrap();
    assert!(matches!(failure, ReadError::Library(LibraryError::TooLarge { max_bytes: 100_000 })), "{failure:?}");
    assert!(reader.next().is_none());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_files_never_panic(at in 4..PYARROW.len(), byte: u8, cut in 0..PYARROW.len()) {
        let mut file = PYARROW.to_vec();
        file[at] = byte;
        if let Ok(reader) = open(&file) {
            prop_assert!(reader.count() <= 40_000_001);
        }
        let _ = open(&file[..cut]).map(Iterator::count);
    }
}
