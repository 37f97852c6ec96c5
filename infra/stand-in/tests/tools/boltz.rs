//! `boltz predict` as the worker meets it, compared with files of a real run.

use std::time::{Duration, Instant};

use crate::support::{Bench, Ended, arrays, fixture, is_marked};
use serde_json::Value;

pub const ASPIRIN: &str = "CC(=O)Oc1ccccc1C(=O)O";

pub fn yaml(msa: &str, smiles: &str, affinity: bool) -> String {
    let properties = if affinity { "properties:\n  - affinity: {binder: B}\n" } else { "" };
    format!(
        "version: 1\nsequences:\n  - protein:\n      id: A\n      sequence: GSHMEAVKLLQEAGYTWRDN\n{msa}\
         \x20 - ligand: {{id: B, smiles: '{smiles}'}}\n{properties}"
    )
}

/// A folder `in` with these ligands and one target.
pub fn bench(ligands: &[(&str, &str)]) -> Bench {
    let bench = Bench::new();
    for (id, smiles) in ligands {
        bench.write(&format!("in/{id}.yaml"), &yaml("      msa: empty\n", smiles, true));
    }
    bench
}

pub fn predict(bench: &Bench, faults: &str) -> Ended {
    bench.run("boltz predict in --out_dir out --accelerator cpu --seed 7", faults)
}

/// Which of the records have a structure, and which an affinity.
pub fn done(bench: &Bench) -> (Vec<String>, Vec<String>) {
    let files = bench.files("out/boltz_results_in/predictions");
    let ids = |prefix: &str| {
        let named = files.iter().filter(|file| file.contains(&format!("/{prefix}_")));
        named.map(|file| file.split('/').next().unwrap().to_owned()).collect()
    };
    (ids("confidence"), ids("affinity"))
}

pub fn three() -> Bench {
    bench(&[("a", ASPIRIN), ("b", "CCO"), ("c", "c1ccccc1")])
}

pub fn ids(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn json(path: &std::path::Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The keys at every depth.
fn keys(value: &Value, above: &str, all: &mut Vec<String>) {
    for (key, value) in value.as_object().into_iter().flatten() {
        all.push(format!("{above}/{key}"));
        keys(value, &format!("{above}/{key}"), all);
    }
}

#[test]
fn the_files_of_one_record_are_those_of_a_real_run() {
    let bench = bench(&[("x1", ASPIRIN)]);
    assert_eq!(predict(&bench, "").code(), Some(0));
    let folder = bench.path("out/boltz_results_in/predictions/x1");
    let names = [
        "affinity_x1.json",
        "confidence_x1_model_0.json",
        "pae_x1_model_0.npz",
        "pde_x1_model_0.npz",
        "plddt_x1_model_0.npz",
        "pre_affinity_x1.npz",
        "x1_model_0.cif",
    ];
    assert_eq!(bench.files("out/boltz_results_in/predictions/x1"), names);
    for (ours, real) in [
        ("affinity_x1.json", "affinity_good_aspirin.json"),
        ("confidence_x1_model_0.json", "confidence_good_aspirin_model_0.json"),
    ] {
        let (mut expected, mut found) = (vec!["/simulated".to_owned()], Vec::new());
        keys(&json(&fixture(real)), "", &mut expected);
        keys(&json(&folder.join(ours)), "", &mut found);
        expected.sort();
        found.sort();
        assert_eq!(found, expected);
        assert_eq!(json(&folder.join(ours))["simulated"], true);
    }
    let plddt = folder.join("plddt_x1_model_0.npz");
    assert_eq!(arrays(&plddt), arrays(&fixture("plddt_good_aspirin_model_0.npz")));
    for name in names.iter().filter(|name| name.ends_with(".npz")) {
        assert!(is_marked(&folder.join(name)), "{name}");
    }
}

#[test]
fn the_confidence_score_is_its_formula() {
    let bench = bench(&[("x1", ASPIRIN)]);
    predict(&bench, "");
    let path = "out/boltz_results_in/predictions/x1/confidence_x1_model_0.json";
    let scores = json(&bench.path(path));
    let number = |key: &str| scores[key].as_f64().unwrap();
    let formula = 0.8 * number("complex_plddt") + 0.2 * number("iptm");
    assert!((number("confidence_score") - formula).abs() < 1e-6);
}

#[test]
fn the_structure_shows_the_sequence_and_every_ligand_atom() {
    let bench = bench(&[("x1", ASPIRIN)]);
    predict(&bench, "");
    let path = bench.path("out/boltz_results_in/predictions/x1/x1_model_0.cif");
    let cif = std::fs::read_to_string(path).unwrap();
    let rows = |group: &str| {
        let rows = cif.lines().filter(|line| line.split(' ').next() == Some(group));
        rows.map(|line| line.split(' ').collect::<Vec<_>>()).collect::<Vec<_>>()
    };
    let alphas: Vec<_> = rows("ATOM").into_iter().filter(|row| row[3] == "CA").collect();
    assert_eq!(alphas.len(), 20);
    assert_eq!([alphas[0][5], alphas[1][5], alphas[19][5]], ["GLY", "SER", "ASN"]);
    assert_eq!(rows("HETATM").len(), 13);
    for row in rows("ATOM").iter().chain(&rows("HETATM")) {
        assert_eq!(row.len(), 19);
        assert_eq!(row[9], if row[0] == "ATOM" { "A" } else { "B" });
        assert!((1.0..=100.0).contains(&row[17].parse::<f64>().unwrap()));
    }
    assert!(cif.contains("_omtx_simulated.note"));
}

#[test]
fn the_best_of_several_samples_comes_first() {
    let bench = bench(&[("x1", ASPIRIN)]);
    bench.run("boltz predict in --out_dir out --diffusion_samples 4", "");
    let score = |rank: usize| {
        let path = format!("out/boltz_results_in/predictions/x1/confidence_x1_model_{rank}.json");
        json(&bench.path(&path))["confidence_score"].as_f64().unwrap()
    };
    let scores: Vec<f64> = (0..4).map(score).collect();
    assert!(scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
}

#[test]
fn the_same_input_and_seed_give_the_same_bytes_and_another_seed_does_not() {
    let bench = three();
    for (out, seed) in [("one", 7), ("two", 7), ("three", 8)] {
        bench.run(&format!("boltz predict in --out_dir {out} --seed {seed}"), "");
    }
    assert!(bench.tree("one").len() > 20);
    assert_eq!(bench.tree("one"), bench.tree("two"));
    assert_ne!(bench.tree("one"), bench.tree("three"));
}

#[test]
fn json_inside_a_yaml_file_is_yaml() {
    let bench = Bench::new();
    let json = serde_json::json!({
        "version": 1,
        "sequences": [
            {"protein": {"id": "A", "sequence": "GSHM", "msa": "empty"}},
            {"ligand": {"id": "B", "smiles": "C#N"}},
        ],
        "constraints": [{"pocket": {"binder": "B", "contacts": [["A", 2]], "max_distance": 6.0}}],
        "properties": [{"affinity": {"binder": "B"}}],
    });
    bench.write("in/x.yaml", &json.to_string());
    assert_eq!(predict(&bench, "").code(), Some(0));
    assert_eq!(done(&bench), (ids("x"), ids("x")));
}

#[test]
fn an_unknown_option_is_a_usage_error() {
    let ended = three().run("boltz predict in --out-dir out", "");
    assert_eq!(ended.code(), Some(2));
}

#[test]
fn records_and_loading_take_the_time_asked_for() {
    let bench = three();
    let started = Instant::now();
    let mut command = bench.command("boltz predict in --out_dir out", "");
    command.env("STAND_IN_LOAD_SECONDS", "0.1").env("STAND_IN_ITEM_SECONDS", "0.05");
    assert!(command.output().unwrap().status.success());
    assert!(started.elapsed() >= Duration::from_millis(2 * (100 + 3 * 50)));
}
