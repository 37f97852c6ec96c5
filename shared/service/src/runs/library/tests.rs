use super::*;
use crate::testing::{Bench, user};
use chem::curate::BATCH;
use huge::Huge;
use platform::{Ids, PutOptions};

mod huge;

/// Ethanol as a V2000 record.
const ETHANOL: &str = "ethanol\n\n\n  3  2  0  0  0  0            999 V2000
    0.0000    0.0000    0.0000 C   0  0
    1.5000    0.0000    0.0000 C   0  0
    2.2000    1.2000    0.0000 O   0  0
  1  2  1  0
  2  3  1  0
M  END
$$$$
";

fn job() -> JobId {
    JobId::new(true, &Ids::derived(&["library"])).unwrap()
}

fn other_job() -> JobId {
    JobId::new(true, &Ids::derived(&["request"])).unwrap()
}

/// Stores a library and takes it in: what was found, and the items.
async fn taken(bench: &Bench, name: &str, content: &[u8]) -> (Result<Judged, IngestError>, Vec<Item>) {
    let path = BlobPath::new(places::UPLOADS, name).unwrap();
    let blobs = &bench.world.blobs;
    blobs.put_bytes(&path, content.to_vec(), PutOptions::default()).await.unwrap();
    let judged = ingest(blobs, (&user("u1"), &job()), &Ligands::Library(path), Reading::new(MOST_LIGANDS, false)).await;
    let items = match blobs.get(&places::library(&user("u1"), &job()).unwrap(), 1 << 30).await {
        Ok(lines) => lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(item_of).collect(),
        Err(_) => vec![],
    };
    (judged, items)
}

fn item_of(line: &[u8]) -> Item {
    serde_json::from_slice(line).unwrap()
}

#[tokio::test]
async fn a_library_of_any_format_becomes_items_whatever_it_is_called() {
    let bench = Bench::new().await;
    let parquet = include_bytes!("../../../tests/fixtures/library.parquet");
    let libraries: [(&[u8], u32, &str); 4] = [
        (b"smiles,name\nCCO,ethanol\nOCC,again\n", 1, "ethanol"),
        (b"CCO ethyl alcohol, pure\nCCN ethylamine\n", 2, "ethyl alcohol, pure"),
        (ETHANOL.as_bytes(), 1, "ethanol"),
        (parquet, 50, "Z0"),
    ];
    for (content, accepted, name) in libraries {
        let (judged, items) = taken(&bench, "u1/screen/library.bin", content).await;
        assert_eq!(judged.unwrap().accepted, accepted);
        assert_eq!((items.len() as u32, items[0].row, items[0].name.as_str()), (accepted, 1, name));
        assert!(items[0].smiles.is_some());
    }
}

#[tokio::test]
async fn rows_keep_their_order_and_numbers_across_batches() {
    let bench = Bench::new().await;
    let rows = 2 * BATCH + 10;
    // Chains of 1 to 100 carbons, again and again: the first hundred run, the others repeat them.
    let text: String = (0..rows).map(|row| format!("{},m{row}\n", "C".repeat(row % 100 + 1))).collect();
    let (judged, items) = taken(&bench, "u1/screen/library.csv", format!("smiles,name\n{text}").as_bytes()).await;
    let judged = judged.unwrap();
    assert_eq!((judged.accepted, judged.rejected as usize, judged.invalid), (100, rows - 100, 0));
    assert!(items.iter().zip(1..).all(|(item, row)| item.row == row && item.name == format!("m{}", row - 1)));
}

#[tokio::test]
async fn a_library_too_large_to_be_remembered_is_judged_like_any_other() {
    let bench = Bench::new().await;
    // Long names make a large file of few rows; a third of them repeat a molecule, near or far.
    let smiles = |row: u64| match row % 3 {
        0 => format!("{}O", "C".repeat((row / 2 % 60) as usize + 1)),
        _ => format!("[{}CH3]{}N", row % 70 + 10, "C".repeat((row / 70) as usize + 1)),
    };
    let name = |row: u64| format!("{row:0>190}");
    let rows: Vec<_> = (1..=6000).map(|row| LibraryRow { row, name: Some(name(row)), smiles: smiles(row) }).collect();
    let text: String = (1..=6000).map(|row| format!("{},{}\n", smiles(row), name(row))).collect();
    let (judged, items) = taken(&bench, "u1/screen/library.csv", format!("smiles,name\n{text}").as_bytes()).await;
    let judged = judged.unwrap();
    let (blobs, requested) = (&bench.world.blobs, Reading::new(MOST_LIGANDS, true));
    let in_request = ingest(blobs, (&user("u1"), &other_job()), &Ligands::Rows(rows), requested).await.unwrap();
    assert!(judged.agrees(&in_request) && judged.rejected > 1000, "{} rejected", judged.rejected);
    let library = places::library(&user("u1"), &other_job()).unwrap();
    let lines = blobs.get(&library, 1 << 30).await.unwrap();
    let expected = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(item_of);
    assert!(expected.eq(items));
    assert_eq!((judged.wanted.len(), in_request.wanted.len() as u32), (0, in_request.accepted));
}

#[tokio::test]
async fn what_was_found_of_a_library_holds_for_it_and_not_for_what_replaced_it() {
    let bench = Bench::new().await;
    let blobs = &bench.world.blobs;
    let path = BlobPath::new(places::UPLOADS, "u1/screen/library.csv").unwrap();
    let put = async |end: &str| {
        let line = |row: usize| format!("{}{end},{row:0>190}\n", "C".repeat(row % 60 + 1));
        let text: String = (1..=6000).map(line).collect();
        blobs.put_bytes(&path, format!("smiles,name\n{text}"), PutOptions::default()).await.unwrap();
    };
    let library = Ligands::Library(path.clone());
    let reading = |first_reading| Reading { first_reading, ..Reading::new(MOST_LIGANDS, false) };
    put("O").await;
    let judged = check(blobs, &library, reading(None)).await.unwrap();
    let again = check(blobs, &library, reading(judged.first_reading.clone())).await.unwrap();
    assert!(judged.first_reading.is_some() && judged.agrees(&again) && judged.accepted == 60);
    put("c").await;
    let replaced = check(blobs, &library, reading(judged.first_reading)).await.unwrap();
    assert_eq!((replaced.accepted, replaced.invalid), (0, 6000));
}

#[tokio::test]
async fn rows_that_cannot_be_run_are_not_read_without_end() {
    let bench = Bench::new().await;
    let check_rows = async |rows: usize, name_length: usize| {
        let line = format!("C(,{}\n", "x".repeat(name_length));
        let path = BlobPath::new(places::UPLOADS, "u1/screen/bad.csv").unwrap();
        let text = format!("smiles,name\n{}", line.repeat(rows));
        bench.world.blobs.put_bytes(&path, text, PutOptions::default()).await.unwrap();
        check(&bench.world.blobs, &Ligands::Library(path), Reading::new(5, false)).await
    };
    assert_eq!(check_rows(10_010, 1).await.unwrap().rejected, 10_010);
    // A small file, and one that is read twice.
    for name_length in [1, 200] {
        let error = check_rows(12_000, name_length).await.unwrap_err();
        assert_eq!(error.to_string(), "the library holds more than 10010 rows");
    }
}

#[tokio::test]
async fn a_file_too_large_is_refused_by_what_is_known_of_it_and_not_read() {
    let blobs = Blobs::new(Arc::new(Huge));
    let path = BlobPath::new(places::UPLOADS, "u1/screen/library.csv").unwrap();
    let error = check(&blobs, &Ligands::Library(path), Reading::new(5, false)).await.unwrap_err();
    assert!(matches!(error, IngestError::TooLarge), "{error:?}");
    assert_eq!(error.to_string(), "the library is larger than 1024 MiB");
}

#[tokio::test]
async fn a_library_that_is_not_there_or_no_library_says_so() {
    let bench = Bench::new().await;
    let absent = Ligands::Library(BlobPath::new(places::UPLOADS, "u1/screen/absent.csv").unwrap());
    let error = check(&bench.world.blobs, &absent, Reading::new(MOST_LIGANDS, false)).await.unwrap_err();
    assert!(matches!(error, IngestError::Platform(platform::Error::NotFound(_))), "{error:?}");
    let (judged, items) = taken(&bench, "u1/screen/library.csv", b"id,weight\n1,46\n").await;
    assert!(matches!(judged, Err(IngestError::Library(LibraryError::NoSmilesColumn { .. }))));
    assert!(items.is_empty(), "nothing is left half written");
}
