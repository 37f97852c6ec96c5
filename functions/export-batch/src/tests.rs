mod bench;

use crate::archive;
use axum::http::StatusCode;
use bench::{ASPIRIN, Bench, now};
use domain::{BatchResults, Scores, Status};
use futures::TryStreamExt;
use parquet::{
    file::reader::{FileReader, SerializedFileReader},
    record::{Field, Row},
};
use platform::PutOptions;
use service::runs::results::Folder;
use std::io::{Cursor, Read};
use zip::ZipArchive;

fn header(csv: &[u8]) -> Vec<String> {
    csv::Reader::from_reader(csv).headers().unwrap().iter().map(str::to_owned).collect()
}

fn records(csv: &[u8]) -> usize {
    csv::Reader::from_reader(csv).records().map(Result::unwrap).count()
}

#[tokio::test]
async fn tables_of_a_completed_batch_are_linked_as_they_were_written() {
    let bench = Bench::completed_batch().await;
    let id = bench.run.job_id.as_str();
    let csv = bench.export("csv").await;
    assert_eq!((csv.path, csv.saved_as), (bench.result("results.csv"), format!("{id}_results.csv")));
    assert_eq!(csv.expires, now().plus_seconds(900).as_datetime().timestamp(), "fifteen minutes");
    assert_eq!(records(&csv.bytes), 4);
    let json = bench.export("json").await;
    assert_eq!(json.path, bench.result("batch_results.json"));
    let json: BatchResults = serde_json::from_slice(&json.bytes).unwrap();
    assert_eq!((json.job_count, json.completed_count), (4, 3));
    assert_eq!(records(&bench.export("rejected").await.bytes), 2);
}

#[tokio::test]
async fn a_row_that_was_rejected_begins_no_formula() {
    let bench = Bench::completed_batch().await;
    let row = domain::Rejected {
        row: 1,
        name: "=cmd|' /C calc'!A0".into(),
        smiles: "@SUM(A1)".into(),
        code: "unreadable".into(),
        reason: "-1 is no atom".into(),
        duplicate_of: None,
    };
    let rows = service::places::rejected(&bench.run.uid, &bench.run.job_id).unwrap();
    bench.world.blobs.put_json(&rows, &row, PutOptions::default()).await.unwrap();
    bench.world.blobs.delete(&bench.result("rejected.csv")).await.unwrap();
    let table = bench.export("rejected").await.bytes;
    let record = csv::Reader::from_reader(&table[..]).into_records().next().unwrap().unwrap();
    assert_eq!(record, ["1", "'=cmd|' /C calc'!A0", "'@SUM(A1)", "unreadable", "'-1 is no atom"][..]);
}

#[tokio::test]
async fn a_table_that_is_missing_is_made_again() {
    let bench = Bench::completed_batch().await;
    for (format, name) in [("csv", "results.csv"), ("json", "batch_results.json"), ("rejected", "rejected.csv")] {
        let before = bench.export(format).await.bytes;
        bench.world.blobs.delete(&bench.result(name)).await.unwrap();
        assert_eq!(bench.export(format).await.bytes, before, "{name}");
    }
}

#[tokio::test]
async fn parquet_holds_the_columns_of_the_csv_with_types_and_nulls() {
    let bench = Bench::completed_batch().await;
    let reader = SerializedFileReader::new(bench.export("parquet").await.bytes).unwrap();
    let fields = reader.metadata().file_metadata().schema_descr().columns();
    let names: Vec<_> = fields.iter().map(|field| field.name().to_owned()).collect();
    assert_eq!(names, header(&bench.export("csv").await.bytes));
    let read: Vec<Row> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
    let rows = bench.rows().await;
    assert_eq!(read.len(), rows.len());
    for (read, row) in read.iter().zip(&rows) {
        let cell = |name: &str| read.get_column_iter().find(|(column, _)| *column == name).unwrap().1.clone();
        let number = |value: Option<f64>| value.map_or(Field::Null, Field::Double);
        for score in Scores::FOURTEEN.into_iter().chain(["affinity", "pic50", "confidence", "docking"]) {
            assert_eq!(cell(score), number(row.score(score)), "{score} of {}", row.job_id);
        }
        let text = |value: Option<String>| value.map_or(Field::Null, Field::Str);
        assert_eq!(cell("rank"), row.rank.map_or(Field::Null, |rank| Field::Long(rank.into())));
        assert_eq!(cell("row"), Field::Long(row.row as i64));
        assert_eq!(cell("ligand_name"), text(Some(row.ligand_name.clone())), "as the user wrote it");
        assert_eq!(cell("ligand_smiles"), text(row.ligand_smiles.clone()));
        assert_eq!(cell("other_names"), text(row.other_names.first().cloned()));
        assert_eq!(cell("error_code"), text(row.error.as_ref().map(|error| error.code.clone())));
        assert_eq!(
            (cell("has_structure"), cell("simulated")),
            (Field::Bool(row.has_structure), Field::Bool(row.simulated))
        );
    }
}

#[tokio::test]
async fn sd_records_carry_the_scores_there_are_and_no_others() {
    let bench = Bench::completed_batch().await;
    let sdf = String::from_utf8(bench.export("sdf").await.bytes.to_vec()).unwrap();
    let records: Vec<_> = sdf.split_terminator("$$$$\n").collect();
    let rows = bench.rows().await;
    assert_eq!(records.len(), rows.len());
    for (record, row) in records.iter().zip(&rows) {
        let property = |name: &str| {
            let mut lines = record.lines().skip_while(|line| *line != format!(">  <{name}>")).skip(1);
            lines.next().map(str::to_owned)
        };
        assert_eq!(record.lines().next().unwrap(), row.ligand_name.trim());
        assert_eq!(property("SMILES"), row.ligand_smiles);
        assert_eq!(property("job_id"), Some(row.job_id.clone()));
        assert_eq!(property("simulated"), Some(row.simulated.to_string()), "{}", row.job_id);
        for score in Scores::FOURTEEN.into_iter().chain(["affinity", "pic50", "confidence", "docking"]) {
            assert_eq!(property(score).map(|text| text.parse().unwrap()), row.score(score), "{score}");
        }
    }
    assert!(records[1].contains(ASPIRIN) && records[1].contains(" 13 13 "), "the atoms and bonds of the second hit");
}

#[tokio::test]
async fn the_zip_holds_tables_and_every_structure_under_names_that_stay_inside() {
    let bench = Bench::completed_batch().await;
    let mut zip = ZipArchive::new(Cursor::new(bench.export("zip").await.bytes)).unwrap();
    let names: Vec<_> =
        zip.file_names().map(str::to_owned).collect::<std::collections::BTreeSet<_>>().into_iter().collect();
    let expected = [
        "rejected.csv",
        "results.csv",
        "structures/0001________etc_passwd.cif",
        "structures/0002_aspirin.cif",
        "structures/item_0004_unnamed.cif",
        "summary/batch_results.json",
    ];
    assert_eq!(names, expected);
    let mut content = |name: &str| {
        let mut bytes = vec![];
        zip.by_name(name).unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    };
    assert_eq!(content("structures/0002_aspirin.cif"), "data_1\n".repeat(1000).as_bytes());
    for (name, format) in [("results.csv", "csv"), ("summary/batch_results.json", "json"), ("rejected.csv", "rejected")]
    {
        assert_eq!(content(name), bench.export(format).await.bytes.to_vec(), "{name}");
    }
}

#[tokio::test]
async fn a_large_file_is_streamed_into_the_zip() {
    let bench = Bench::completed_batch().await;
    let large = vec![b'7'; 9 * 1024 * 1024];
    let table = bench.result("results.csv");
    bench.world.blobs.put_bytes(&table, large.clone(), PutOptions::default()).await.unwrap();
    let mut zip = ZipArchive::new(Cursor::new(bench.export("zip").await.bytes)).unwrap();
    let mut bytes = vec![];
    zip.by_name("results.csv").unwrap().read_to_end(&mut bytes).unwrap();
    assert!(bytes == large);
    assert_eq!(zip.len(), 6);
}

#[tokio::test]
async fn a_zip_of_some_of_the_structures_says_so() {
    let bench = Bench::completed_batch().await;
    let folder = Folder::of_token(&bench.run, 1);
    for (rows, files) in [(10_000, 3), (10_001, 4)] {
        let chunks = archive::chunks(bench.world.blobs.clone(), bench.run.clone(), vec![], folder.clone(), rows);
        let bytes = chunks.try_collect::<Vec<_>>().await.unwrap().concat();
        let zip = ZipArchive::new(Cursor::new(bytes)).unwrap();
        assert_eq!(zip.len(), files, "of {rows} items");
        assert_eq!(zip.file_names().any(|name| name == "structures/only_the_best_10000.txt"), rows > 10_000);
    }
}

#[tokio::test]
async fn a_structure_that_is_missing_leaves_no_half_zip() {
    let bench = Bench::completed_batch().await;
    bench.remove_cif(4).await;
    assert_eq!(bench.ask("u1", "?format=zip").await.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(bench.world.blobs.head(&bench.result("results.zip")).await.unwrap(), None);
    bench.write_cif(4).await;
    assert_eq!(bench.export("zip").await.path, bench.result("results.zip"), "and the next request makes it");
}

#[tokio::test]
async fn a_file_is_made_once() {
    let bench = Bench::completed_batch().await;
    for format in ["parquet", "sdf", "zip"] {
        let made = bench.export(format).await.path;
        let generation = bench.world.blobs.head(&made).await.unwrap().unwrap().generation;
        assert_eq!(bench.export(format).await.path, made);
        assert_eq!(bench.world.blobs.head(&made).await.unwrap().unwrap().generation, generation, "{format}");
    }
}

#[tokio::test]
async fn a_cancelled_batch_gives_what_there_is_under_another_name() {
    let bench = Bench::new(Status::Cancelled).await;
    let csv = bench.export("csv").await;
    let id = bench.run.job_id.as_str();
    assert_eq!((csv.saved_as, records(&csv.bytes)), (format!("{id}_partial-results.csv"), 4));
    assert_eq!(bench.export("csv").await.path, csv.path, "while nothing new is said, it is made once");
    let json: BatchResults = serde_json::from_slice(&bench.export("json").await.bytes).unwrap();
    assert_eq!(json.jobs, bench.rows().await);
    let zip = bench.export("zip").await;
    assert_eq!(zip.saved_as, format!("{id}_partial-results.zip"));
    let names: Vec<_> = ZipArchive::new(Cursor::new(zip.bytes)).unwrap().file_names().map(str::to_owned).collect();
    assert!(
        names.contains(&"partial-results.csv".to_owned()) && !names.contains(&"results.csv".to_owned()),
        "{names:?}"
    );
    assert_eq!(bench.world.blobs.head(&bench.result("results.csv")).await.unwrap(), None);
}

#[tokio::test]
async fn a_batch_whose_library_was_never_read_gives_empty_files() {
    let bench = Bench::without_items().await;
    assert_eq!(records(&bench.export("csv").await.bytes), 0);
    assert!(bench.export("sdf").await.bytes.is_empty());
    let parquet = SerializedFileReader::new(bench.export("parquet").await.bytes).unwrap();
    assert_eq!(parquet.metadata().file_metadata().num_rows(), 0);
    assert_eq!(ZipArchive::new(Cursor::new(bench.export("zip").await.bytes)).unwrap().len(), 3);
    assert_eq!(records(&bench.export("rejected").await.bytes), 0);
}

#[tokio::test]
async fn a_batch_that_runs_says_where_to_read_meanwhile_and_what_it_rejected() {
    let bench = Bench::new(Status::Running).await;
    for format in ["csv", "json", "zip", "parquet", "sdf"] {
        let problem = bench.problem("u1", &format!("?format={format}")).await;
        assert_eq!((&problem["status"], &problem["retry_after"]), (&409.into(), &30.into()), "{format}");
        assert!(problem["detail"].as_str().unwrap().contains("/results"));
    }
    assert_eq!(records(&bench.export("rejected").await.bytes), 2);
}

#[tokio::test]
async fn another_users_batch_is_not_there_and_an_unknown_format_is_named() {
    let bench = Bench::completed_batch().await;
    assert_eq!(bench.ask("u2", "?format=csv").await.status(), StatusCode::NOT_FOUND);
    assert_eq!(bench.ask("nobody", "?format=csv").await.status(), StatusCode::UNAUTHORIZED);
    let problem = bench.problem("u1", "?format=xlsx").await;
    assert_eq!(problem["status"], 400);
    assert!(problem["errors"][0]["reason"].as_str().unwrap().contains("parquet"), "it lists what there is");
    assert_eq!(bench.ask("u1", "").await.status(), StatusCode::BAD_REQUEST);
}

#[test]
fn the_contract_tells_of_the_redirect_and_each_parameter_once() {
    let api = serde_json::to_value(crate::FUNCTION.openapi().unwrap()).unwrap();
    let get = &api["paths"]["/api/v1/batches/{batch_id}/export"]["get"];
    assert!(get["responses"]["303"]["headers"]["Location"].is_object());
    let names: Vec<_> = get["parameters"].as_array().unwrap().iter().map(|p| p["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["batch_id", "format"]);
}
