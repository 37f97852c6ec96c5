//! The two words of the README: a library and a target on the command line, exports in a folder.

use crate::PROGRAM;
use domain::Scores;
use journeys::{inputs::demo, screen};
use serde_json::Value;
use std::{collections::BTreeMap, fs, path::Path};

type Row = BTreeMap<String, String>;

fn table(path: &Path) -> Vec<Row> {
    csv::Reader::from_path(path).unwrap().deserialize().map(Result::unwrap).collect()
}

#[tokio::test]
async fn the_demo_screen_ends_well_with_one_ranked_row_for_each_ligand() {
    let folder = tempfile::tempdir().unwrap();
    let (data, out) = (folder.path().join("data"), folder.path().join("out"));
    let (library, target) = (demo("kinase-inhibitors.csv"), demo("abl1.fasta"));
    let ended = screen(PROGRAM, &data, &[], &library, &target, &out).await;
    let (said, complained) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert!(ended.status.success(), "{said}{complained}");
    assert!(said.contains("SIMULATED"), "the terminal says that nothing was predicted: {said}");

    let (given, rows) = (table(&library), table(&out.join("results.csv")));
    let rejected = table(&out.join("rejected.csv"));
    let with = |status: &str| rows.iter().filter(|row| row["status"] == status).count();
    assert_eq!(with("completed") + with("failed") + rejected.len(), given.len());
    assert_eq!(with("completed"), given.len(), "every ligand of the demo can be run");
    let mut names: Vec<_> = rows.iter().map(|row| &row["ligand_name"]).collect();
    let mut given: Vec<_> = given.iter().map(|row| &row["name"]).collect();
    names.sort();
    given.sort();
    assert_eq!(names, given);

    ranked_and_honest(&rows, &out);
    for file in ["results.parquet", "results.sdf", "results.zip"] {
        assert!(fs::metadata(out.join(file)).unwrap().len() > 1000, "{file}");
    }
}

/// Ranks by probability, every number the one that the model gave, everything marked as simulated.
fn ranked_and_honest(rows: &[Row], out: &Path) {
    let results: Value = serde_json::from_slice(&fs::read(out.join("batch_results.json")).unwrap()).unwrap();
    assert_eq!((&results["version"], &results["simulated"]), (&"1.0".into(), &true.into()));
    let jobs = results["jobs"].as_array().unwrap();
    assert_eq!(jobs.len(), rows.len());
    let mut last = f64::INFINITY;
    for (position, (row, job)) in rows.iter().zip(jobs).enumerate() {
        let probability: f64 = row["affinity_prob"].parse().unwrap();
        assert!(probability <= last, "rank {}", position + 1);
        last = probability;
        assert_eq!(row["rank"], (position + 1).to_string());
        assert_eq!((row["simulated"].as_str(), &job["simulated"]), ("true", &true.into()));
        for score in Scores::FOURTEEN.into_iter().chain(["affinity", "pic50", "confidence"]) {
            let cell = &row[score];
            assert_eq!(cell.parse().ok(), job[score].as_f64(), "{score} of {}", row["ligand_name"]);
            assert!(!["0", "0.0", "NaN"].contains(&cell.as_str()), "{score} of {}: {cell}", row["ligand_name"]);
        }
        let (affinity, pic50): (f64, f64) = (row["affinity"].parse().unwrap(), row["pic50"].parse().unwrap());
        assert!((6.0 - affinity - pic50).abs() < 1e-9);
    }
    let top: Vec<_> = results["top_predictions"].as_array().unwrap().iter().map(|row| &row["job_id"]).collect();
    let first: Vec<_> = jobs[..10].iter().map(|row| &row["job_id"]).collect();
    assert_eq!(top, first);
}

#[tokio::test]
async fn a_screen_that_cannot_be_ends_with_an_error_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let library = folder.path().join("nothing.csv");
    fs::write(&library, "name,smiles\nwater,O\n").unwrap();
    let (data, out) = (folder.path().join("data"), folder.path().join("out"));
    let ended = screen(PROGRAM, &data, &[], &library, &demo("pdl1.fasta"), &out).await;
    assert_eq!(ended.status.code(), Some(1));
    let said = String::from_utf8_lossy(&ended.stdout);
    assert!(said.contains("none of the 1 rows of the library can be run"), "{said}");
}
