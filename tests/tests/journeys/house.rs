//! The house itself: what must be the same in several places is, and no wall has fallen.

use journeys::inputs::root;
use serde_json::Value;
use service::{Function, Trigger};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Lines that a file of code may have.
const MOST_LINES: usize = 400;

fn folders() -> BTreeSet<String> {
    let entries = fs::read_dir(root().join("functions")).unwrap().map(Result::unwrap);
    entries.filter(|entry| entry.path().is_dir()).map(|entry| entry.file_name().into_string().unwrap()).collect()
}

/// The rows of `infra/functions.json` by name.
fn rows() -> BTreeMap<String, Value> {
    let text = fs::read(root().join("infra/functions.json")).unwrap();
    let table: Value = serde_json::from_slice(&text).unwrap();
    let rows = table["functions"].as_array().unwrap().clone();
    let named: BTreeMap<_, _> =
        rows.iter().map(|row| (row["name"].as_str().unwrap().to_owned(), row.clone())).collect();
    assert_eq!(named.len(), rows.len(), "a name stands in infra/functions.json twice");
    named
}

fn mounted() -> impl Iterator<Item = (&'static Function, Value)> {
    let rows = rows();
    hub::ALL.iter().map(move |function| (function, rows[function.name]["trigger"].clone()))
}

#[test]
fn folders_rows_and_mounted_functions_are_the_same_set() {
    let rows: BTreeSet<_> = rows().into_keys().collect();
    let mounted: BTreeSet<_> = hub::ALL.iter().map(|function| function.name.to_owned()).collect();
    assert_eq!(rows, folders(), "infra/functions.json and functions/");
    assert_eq!(mounted, folders(), "infra/hub/src/lib.rs and functions/");
    assert_eq!(mounted.len(), hub::ALL.len(), "one is mounted twice");
}

#[test]
fn the_triggers_in_the_table_are_those_in_the_code() {
    for (function, row) in mounted() {
        let same = match function.trigger {
            Trigger::Http => row["type"] == "http" && row["routes"].is_array(),
            Trigger::DocumentWritten { pattern } => row["type"] == "document_written" && row["pattern"] == pattern,
            Trigger::ObjectFinalized { bucket } => row["type"] == "object_finalized" && row["bucket"] == bucket,
            Trigger::Message { topic } => row["type"] == "message" && row["topic"] == topic,
            Trigger::Schedule { every } => row["type"] == "schedule" && row["every_seconds"] == every.as_secs(),
            Trigger::Job => row["type"] == "job",
        };
        assert!(same, "{}: {row} and {:?}", function.name, function.trigger);
    }
}

#[test]
fn the_routes_in_the_table_are_those_in_the_code() {
    for (function, row) in mounted().filter(|(function, _)| function.trigger == Trigger::Http) {
        let contract = serde_json::to_value(function.openapi().unwrap()).unwrap();
        let mut promised = BTreeSet::new();
        for (path, item) in contract["paths"].as_object().unwrap() {
            promised.extend(item.as_object().unwrap().keys().map(|method| (method.to_uppercase(), path.clone())));
        }
        let text = |route: &Value, member: &str| route[member].as_str().unwrap().to_owned();
        let routes = row["routes"].as_array().unwrap();
        let listed: BTreeSet<_> = routes.iter().map(|route| (text(route, "method"), text(route, "path"))).collect();
        assert_eq!(listed, promised, "{}", function.name);
    }
}

#[test]
fn a_function_that_knows_its_callers_may_tell_that_a_key_was_used() {
    for (name, row) in
        rows().into_iter().filter(|(name, row)| row["trigger"]["type"] == "http" && name != "get-openapi")
    {
        let roles: Vec<_> = row["roles"].as_array().unwrap().iter().map(|role| role.as_str().unwrap()).collect();
        let reads = roles.iter().any(|role| role.starts_with("docs."));
        assert!(reads && roles.contains(&"publish:key-used"), "{name}: {roles:?}");
    }
}

#[test]
fn the_served_contract_is_the_one_in_the_code() {
    let served: Value = serde_json::from_str(get_openapi::CONTRACT).unwrap();
    let coded = serde_json::to_value(hub::openapi()).unwrap();
    let again = "make it again: cargo run -- openapi > functions/get-openapi/openapi.json";
    // Whole documents are too long to read in a failure: name the parts that differ.
    for part in ["paths", "components"] {
        let differ = differing(&served[part], &coded[part], part);
        assert!(differ.is_empty(), "{again}\ndifferent: {}", differ.join(", "));
    }
    assert!(served == coded, "{again}");
}

#[test]
fn every_post_may_be_sent_again() {
    let contract: Value = serde_json::from_str(get_openapi::CONTRACT).unwrap();
    let mut posts = 0;
    for (path, item) in contract["paths"].as_object().unwrap() {
        let Some(post) = item.get("post") else { continue };
        let parameters = post["parameters"].as_array().cloned().unwrap_or_default();
        assert!(parameters.iter().any(|parameter| parameter["name"] == "Idempotency-Key"), "POST {path}");
        posts += 1;
    }
    assert!(posts >= 10, "{posts}");
}

#[test]
fn everything_the_contract_refers_to_is_in_it() {
    let contract: Value = serde_json::from_str(get_openapi::CONTRACT).unwrap();
    let known: BTreeSet<_> = contract["components"]["schemas"].as_object().unwrap().keys().cloned().collect();
    let named = get_openapi::CONTRACT.split("#/components/schemas/").skip(1);
    let named: BTreeSet<_> = named.map(|rest| rest.split('"').next().unwrap().to_owned()).collect();
    assert_eq!(&named - &known, BTreeSet::new());
}

/// The members, two levels down, that are not the same.
fn differing(a: &Value, b: &Value, name: &str) -> Vec<String> {
    let names = |value: &Value| {
        value.as_object().map(|object| object.keys().cloned().collect::<BTreeSet<_>>()).unwrap_or_default()
    };
    let all = &names(a) | &names(b);
    let below = all.into_iter().filter(|key| a.get(key) != b.get(key)).flat_map(|key| match name.contains('.') {
        true => vec![format!("{name}.{key}")],
        false => differing(&a[&key], &b[&key], &format!("{name}.{key}")),
    });
    below.collect()
}

#[test]
fn the_main_of_every_function_is_the_same_four_lines() {
    for name in folders() {
        let krate = name.replace('-', "_");
        let wanted = format!(
            "use std::process::ExitCode;\n\nfn main() -> ExitCode {{\n    service::run({krate}::FUNCTION)\n}}\n"
        );
        let main = fs::read_to_string(root().join("functions").join(&name).join("src/main.rs")).unwrap();
        assert_eq!(main, wanted, "functions/{name}/src/main.rs");
    }
}

#[test]
fn no_file_of_code_is_too_long() {
    let mut found = vec![];
    code(&root(), &mut found);
    assert!(found.len() > 100, "{} files", found.len());
    let long = found.into_iter().filter(|path| fs::read_to_string(path).unwrap().lines().count() > MOST_LINES);
    assert_eq!(long.collect::<Vec<_>>(), Vec::<PathBuf>::new(), "these have more than {MOST_LINES} lines");
}

/// Adds the files of code below a folder.
pub fn code(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
        if name.starts_with('.') || name == "target" {
            continue;
        }
        if path.is_dir() {
            code(&path, found);
        } else if name.ends_with(".rs") {
            found.push(path);
        }
    }
}

/// The packages of the workspace, each with its folder and the packages of ours that it depends on, tests left out.
fn packages() -> BTreeMap<String, (String, BTreeSet<String>)> {
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root())
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let prefix = format!("{}/", metadata["workspace_root"].as_str().unwrap());
    let package = |package: &Value| {
        let folder = package["manifest_path"].as_str().unwrap().strip_prefix(&prefix).unwrap();
        let ours = package["dependencies"].as_array().unwrap().iter();
        let ours = ours.filter(|dependency| dependency["path"].is_string() && dependency["kind"] != "dev");
        let ours = ours.map(|dependency| dependency["name"].as_str().unwrap().to_owned()).collect();
        (package["name"].as_str().unwrap().to_owned(), (folder.rsplit_once('/').unwrap().0.to_owned(), ours))
    };
    metadata["packages"].as_array().unwrap().iter().map(package).collect()
}

#[test]
fn dependencies_point_one_way() {
    let shared = [
        ("chem", &[][..]),
        ("domain", &["chem"]),
        ("models", &["chem", "domain"]),
        ("platform", &[]),
        ("service", &["chem", "domain", "models", "platform"]),
    ];
    let shared: BTreeMap<&str, BTreeSet<&str>> =
        shared.into_iter().map(|(name, below)| (name, below.iter().copied().collect())).collect();
    let packages = packages();
    let (mut houses, mut functions) = (BTreeSet::new(), BTreeSet::new());
    for (name, (folder, ours)) in &packages {
        let ours: BTreeSet<_> = ours.iter().map(String::as_str).collect();
        if folder.starts_with("shared/") {
            let allowed = shared.get(name.as_str()).unwrap_or_else(|| panic!("{name} has no place in architecture.md"));
            assert!(ours.is_subset(allowed), "{name} depends on {:?}", &ours - allowed);
            houses.insert(name.as_str());
        } else if let Some(function) = folder.strip_prefix("functions/") {
            assert_eq!(name, function, "the package has the name of its folder");
            let rooms: BTreeSet<_> = shared.keys().copied().collect();
            assert!(ours.is_subset(&rooms), "{name} depends on {:?}", &ours - &rooms);
            functions.insert(function.to_owned());
        }
    }
    assert_eq!(houses, shared.keys().copied().collect());
    assert_eq!(functions, folders());
}
