//! Whose data is whose is settled where paths are made. A path to a user's document or object is made from a `Uid`, and
//! a `Uid` has two doors (`domain::Uid`): these lists say who uses them, and who makes a path other than by `places`.
//! What is not on a list does not compile into a service unseen: a new name here is a decision about tenancy.

use crate::house::code;
use journeys::inputs::root;
use std::{collections::BTreeSet, fs, path::Path};

/// The files of code that services are built from, without their tests.
fn files() -> Vec<(String, String)> {
    let mut found = vec![];
    for folder in ["functions", "shared/domain", "shared/models", "shared/service", "infra/local", "infra/hub"] {
        code(&root().join(folder), &mut found);
    }
    let named = found.into_iter().map(|path| {
        let text = fs::read_to_string(&path).unwrap();
        let name = path.strip_prefix(root()).unwrap().to_owned();
        (name, text.split("\n#[cfg(test)]").next().unwrap().to_owned())
    });
    let of_services = named.filter(|(name, _)| !is_test(name));
    of_services.map(|(name, code)| (name.to_string_lossy().into_owned(), code)).collect()
}

fn is_test(path: &Path) -> bool {
    let in_tests = path.components().any(|part| part.as_os_str() == "tests" || part.as_os_str() == "testing");
    in_tests || path.to_string_lossy().ends_with("tests.rs")
}

/// Those files in which one of the texts stands.
fn with(files: &[(String, String)], texts: &[&str]) -> BTreeSet<String> {
    let holding = files.iter().filter(|(_, code)| texts.iter().any(|text| code.contains(text)));
    holding.map(|(name, _)| name.clone()).collect()
}

fn are(found: BTreeSet<String>, expected: &[&str], what: &str) {
    let expected: BTreeSet<_> = expected.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(found, expected, "{what}");
}

#[test]
fn a_user_is_named_by_a_verified_token_or_by_what_we_named_ourselves() {
    let files = files();
    assert!(files.len() > 150, "{} files", files.len());
    let doors = [
        "shared/domain/src/ids.rs",
        // The subject of a token that was verified in full.
        "shared/service/src/tokens.rs",
        // The names of reports and of uploaded objects, as Cloud Storage's events tell them.
        "shared/service/src/places.rs",
        "shared/service/src/runs/screen.rs",
        // The run that a task was started for.
        "functions/predict-worker/src/environment.rs",
        // Operators, and nobody else, say whose run is to be repaired.
        "functions/repair-runs/src/lib.rs",
        // The one user of a program on a laptop, and the users its operator makes keys for.
        "infra/local/src/access.rs",
        "infra/local/src/screen.rs",
    ];
    are(with(&files, &["Uid::named"]), &doors, "who names a user");
}

#[test]
fn a_user_is_read_only_from_what_we_wrote() {
    let stored = [
        "shared/domain/src/delivery.rs",
        "shared/domain/src/ids.rs",
        "shared/domain/src/notice.rs",
        "shared/domain/src/pool.rs",
        "shared/domain/src/repair.rs",
        "shared/domain/src/report.rs",
        "shared/domain/src/run.rs",
        "shared/service/src/api_key.rs",
        "shared/service/src/repeat.rs",
        "shared/service/src/runs/again.rs",
        "shared/service/src/runs/queue.rs",
        "shared/service/src/webhooks/mod.rs",
    ];
    are(with(&files(), &["Uid::stored"]), &stored, "who reads a user");
}

#[test]
fn paths_are_made_in_one_room() {
    let made = [
        "shared/service/src/places.rs",
        // What happened to a document or an object, as the event names it.
        "shared/service/src/events/dead_letter.rs",
        "shared/service/src/events/document.rs",
        "shared/service/src/events/object.rs",
        // The object of a link that the laptop's store signed, which is checked with its signature.
        "infra/local/src/serve.rs",
    ];
    let makers = ["Collection::root", "DocPath::parse", "BlobPath::new"];
    are(with(&files(), &makers), &made, "who makes paths");
}

#[test]
fn only_these_list_objects() {
    let listing = [
        // The models' weights, which are nobody's.
        "functions/predict-worker/src/weights.rs",
        "shared/service/src/runs/delete.rs",
        "shared/service/src/runs/reports.rs",
        "shared/service/src/runs/results/write.rs",
        "shared/service/src/runs/reuse/marker.rs",
        "shared/service/src/runs/screen.rs",
    ];
    are(with(&files(), &["blobs.list("]), &listing, "who lists objects");
}
