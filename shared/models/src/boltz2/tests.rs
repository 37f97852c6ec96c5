//! Boltz-2 against files and logs that its real command-line tool wrote (ids renamed, tracebacks shortened).

use super::*;
use crate::testing::{items, run, stage, tools};
use domain::Run;
use std::{fs, path::PathBuf};

const SEQUENCE: &str = "GSHMEAVKLLQEAGYTWRDN";
const REFUSED: &str = include_str!("../../tests/fixtures/boltz2/refused.log");
const NO_MEMORY: &str = include_str!("../../tests/fixtures/boltz2/out-of-memory.log");

fn accept(inputs: Value, parameters: Value) -> Result<Accepted, Vec<FieldError>> {
    Boltz2.accept(&Request { protein_sequence: Some(SEQUENCE), inputs: &inputs, parameters: &parameters })
}

fn pointers(result: Result<Accepted, Vec<FieldError>>) -> Vec<String> {
    result.unwrap_err().into_iter().map(|error| error.pointer).collect()
}

/// A run of three ligands, and a folder in which to put Boltz's files.
struct Bench {
    folder: tempfile::TempDir,
    run: Run,
    items: Vec<Item>,
    tools: crate::Tools,
}

impl Bench {
    fn new(parameters: Value) -> Self {
        let accepted = accept(Value::Null, parameters).unwrap();
        Bench {
            folder: tempfile::tempdir().unwrap(),
            run: run("boltz2", accepted.input, accepted.parameters),
            items: items(&["CC(=O)Oc1ccccc1C(=O)O", "CC #N", "CCO"]),
            tools: tools(),
        }
    }

    fn stage(&self) -> Stage<'_> {
        stage(self.folder.path(), &self.run, &self.items, &self.tools)
    }

    fn predictions(&self, n: u32) -> PathBuf {
        let folder = self.folder.path().join(format!("out/boltz_results_complexes/predictions/i{n:07}"));
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn put(&self, n: u32, fixture: &str) {
        let name = match fixture {
            "affinity.json" => format!("affinity_i{n:07}.json"),
            "model_0.cif" => format!("i{n:07}_model_0.cif"),
            other => other.replace("_model", &format!("_i{n:07}_model")),
        };
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/boltz2");
        fs::copy(fixtures.join(fixture), self.predictions(n).join(name)).unwrap();
    }

    fn structure(&self, n: u32) {
        for file in ["model_0.cif", "confidence_model_0.json", "plddt_model_0.npz"] {
            self.put(n, file);
        }
    }

    fn both(&self, n: u32) {
        self.structure(n);
        self.put(n, "affinity.json");
    }

    fn read(&self, log: &str, ended: Option<bool>) -> Vec<Reading> {
        Boltz2.read(&self.stage(), log, ended)
    }
}

fn code(reading: &Reading) -> &str {
    match reading {
        Reading::Done { .. } => "done",
        Reading::Failed { error, .. } => &error.code,
        Reading::Unfinished { .. } => "unfinished",
    }
}

fn codes(readings: &[Reading]) -> Vec<&str> {
    readings.iter().map(code).collect()
}

#[test]
fn the_short_form_is_enough_and_lower_case_is_mended() {
    let lower = SEQUENCE.to_lowercase();
    let request = Request { protein_sequence: Some(&lower), inputs: &Value::Null, parameters: &Value::Null };
    let accepted = Boltz2.accept(&request).unwrap();
    assert_eq!(accepted, accept(Value::Null, json!({"affinity": true})).unwrap());
    assert_eq!(accepted.input["protein_sequence"], SEQUENCE);
    assert_eq!((accepted.target_residues, accepted.designs), (20, None));
    assert_eq!(accepted.parameters["sampling_steps"], 200);
}

#[test]
fn what_boltz_would_pass_over_in_silence_is_refused() {
    assert_eq!(
        pointers(accept(json!({"pocket": {"contacts": [3, 21, 0]}}), Value::Null)),
        ["/inputs/pocket/contacts/1", "/inputs/pocket/contacts/2"]
    );
    assert_eq!(
        pointers(accept(json!({"ligand": "CCO"}), json!({"sampling_step": 1}))),
        ["/inputs/ligand", "/parameters/sampling_step"]
    );
    assert_eq!(pointers(accept(json!({"msa": ">other\nMKTAYIAKQR\n"}), Value::Null)), ["/inputs/msa"]);
    assert_eq!(pointers(accept(json!({"protein_sequence": SEQUENCE}), Value::Null)), ["/inputs/protein_sequence"]);
    for sequence in ["", "GSHMXXAVK", "MKT*"] {
        let request = Request { protein_sequence: Some(sequence), inputs: &Value::Null, parameters: &Value::Null };
        assert_eq!(pointers(Boltz2.accept(&request)), ["/protein_sequence"], "{sequence:?}");
    }
    let long = "A".repeat(MOST_RESIDUES + 1);
    let request = Request { protein_sequence: Some(&long), inputs: &Value::Null, parameters: &Value::Null };
    assert_eq!(pointers(Boltz2.accept(&request)), ["/protein_sequence"]);
}

#[test]
fn an_alignment_becomes_a_file_and_not_part_of_the_run() {
    let msa = format!(">target\n{SEQUENCE}\n>hit\n{}\n", SEQUENCE.replace('K', "R"));
    let accepted = accept(json!({"msa": msa}), Value::Null).unwrap();
    assert_eq!(accepted.files, [("msa.a3m".to_owned(), msa)]);
    assert_eq!(accepted.input["msa"], "msa.a3m");
}

#[test]
fn every_ligand_is_one_quoted_file_in_a_folder_of_nothing_else() {
    let bench = Bench::new(json!({"use_potentials": true}));
    let steps = Boltz2.stage(&bench.stage()).unwrap();
    let folder = bench.folder.path().join("complexes");
    let mut names: Vec<_> = fs::read_dir(&folder).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["i0000001.yaml", "i0000002.yaml", "i0000003.yaml"]);
    let text = fs::read_to_string(folder.join("i0000002.yaml")).unwrap();
    assert!(text.contains("\"CC #N\""), "unquoted, # begins a comment: {text}");
    let complex: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(complex["sequences"][0]["protein"]["msa"], "empty");
    assert_eq!(complex["properties"][0]["affinity"]["binder"], "B");
    let [step] = steps.as_slice() else { panic!("one process for all ligands") };
    assert_eq!(step.program[..2], ["boltz", "predict"]);
    assert!(step.program.contains(&"--use_potentials".to_owned()));
    assert!(!step.program.contains(&"--affinity_mw_correction".to_owned()));
    let seed = step.program.iter().position(|argument| argument == "--seed").unwrap();
    assert_eq!(step.program[seed + 1], "1");
}

#[test]
fn a_pocket_and_an_alignment_reach_boltz() {
    let mut bench = Bench::new(json!({"affinity": false}));
    let msa = format!(">target\n{SEQUENCE}\n");
    let inputs = json!({"msa": msa, "pocket": {"contacts": [5, 3, 5]}});
    bench.run.input = accept(inputs, Value::Null).unwrap().input;
    Boltz2.stage(&bench.stage()).unwrap();
    let text = fs::read_to_string(bench.folder.path().join("complexes/i0000001.yaml")).unwrap();
    let complex: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(complex["sequences"][0]["protein"]["msa"], "/files/msa.a3m");
    assert_eq!(complex["constraints"][0]["pocket"]["contacts"], json!([["A", 3], ["A", 5]]));
    assert_eq!(complex.get("properties"), None, "no affinity was asked for");
}

#[test]
fn real_files_give_the_scores_under_the_names_clients_know() {
    let bench = Bench::new(Value::Null);
    bench.both(1);
    let Reading::Done { scores, files, simulated, .. } = &bench.read("", Some(true))[0] else { panic!() };
    assert_eq!(scores.get("affinity"), Some(-0.030684662982821465));
    assert_eq!(scores.get("ens_prob_2"), Some(0.4054265320301056));
    assert_eq!(scores.get("confidence"), Some(0.4185352325439453));
    assert_eq!(scores.get("iptm_score"), Some(0.09858790785074234));
    for name in domain::Scores::FOURTEEN {
        assert!(scores.get(name).is_some(), "{name}");
    }
    assert!(!simulated);
    let card = Boltz2.card();
    for name in scores.0.keys() {
        assert!(card.scores.iter().any(|score| score.name == name), "{name} is not on the card");
    }
    let kinds: Vec<_> = files.iter().map(|(kind, path)| (*kind, path.exists())).collect();
    assert_eq!(kinds, [("cif", true), ("confidence", true), ("affinity", true), ("plddt", true)]);
}

#[test]
fn a_stand_in_is_recognised_by_its_mark() {
    let bench = Bench::new(Value::Null);
    bench.both(1);
    let path = bench.predictions(1).join("affinity_i0000001.json");
    let text = fs::read_to_string(&path).unwrap().replace('}', ", \"simulated\": true}");
    fs::write(path, text).unwrap();
    assert!(matches!(bench.read("", None)[0], Reading::Done { simulated: true, .. }));
}

#[test]
fn a_refused_ligand_fails_with_boltzs_own_reason_whatever_the_exit_code() {
    let bench = Bench::new(Value::Null);
    bench.both(1);
    bench.both(3);
    for ended in [None, Some(true), Some(false)] {
        let readings = bench.read(REFUSED, ended);
        assert_eq!(codes(&readings), ["done", "model_refused", "done"]);
        let Reading::Failed { error, .. } = &readings[1] else { panic!() };
        assert!(error.message.contains("the SMILES cannot be read"), "{}", error.message);
    }
}

#[test]
fn when_every_input_is_bad_the_exit_code_is_good_and_all_fail() {
    let bench = Bench::new(Value::Null);
    let line = |n| format!("Failed to process complexes/i000000{n}.yaml. Skipping. Error: Molecule is excluded.\n");
    let log: String = (1..=3).map(line).collect();
    assert_eq!(codes(&bench.read(&log, Some(true))), ["model_refused"; 3]);
    let half = log.trim_end_matches("ecule is excluded.\n");
    assert_eq!(codes(&bench.read(half, None))[2], "unfinished", "a line still being printed is not read");
}

#[test]
fn two_messages_printed_at_once_are_told_apart() {
    let bench = Bench::new(Value::Null);
    let log = "Failed to process complexes/i0000001.yaml. Skipping. Error: one.Failed to process complexes/i0000002.yaml. \
               Skipping. Error: two.\n\n";
    let readings = bench.read(log, Some(true));
    let messages = readings.iter().filter_map(|reading| match reading {
        Reading::Failed { error, .. } => Some(error.message.as_str()),
        _ => None,
    });
    assert_eq!(messages.collect::<Vec<_>>(), ["Boltz-2 refused it: one", "Boltz-2 refused it: two"]);
}

#[test]
fn a_salt_is_told_in_words() {
    let mut bench = Bench::new(Value::Null);
    bench.both(1);
    let readings = bench.read(REFUSED, Some(true));
    let Reading::Failed { error, .. } = &readings[2] else { panic!("{readings:?}") };
    assert!(error.message.contains("several pieces"), "{}", error.message);
    bench.items.truncate(1);
    assert_eq!(codes(&bench.read(REFUSED, Some(true))), ["done"]);
}

#[test]
fn out_of_memory_on_one_structure_fails_it_and_the_later_ones_run_again() {
    let bench = Bench::new(Value::Null);
    bench.both(1);
    bench.structure(3);
    let readings = bench.read(NO_MEMORY, Some(false));
    assert_eq!(codes(&readings), ["done", "out_of_memory", "unfinished"]);
    let Reading::Unfinished { hint: Some(hint), .. } = &readings[2] else { panic!() };
    assert!(hint.message.starts_with("FileNotFoundError"), "{}", hint.message);
    assert_eq!(codes(&bench.read(NO_MEMORY, None)), ["done", "unfinished", "unfinished"], "while it runs");
}

#[test]
fn out_of_memory_on_one_affinity_exits_well_and_fails_it() {
    let bench = Bench::new(Value::Null);
    bench.both(1);
    bench.structure(2);
    bench.both(3);
    let log = "Number of failed examples: 0\nPredicting property: affinity\n| WARNING: ran out of memory, skipping \
               batch\nNumber of failed examples: 1\n";
    assert_eq!(codes(&bench.read(log, Some(true))), ["done", "out_of_memory", "done"]);
}

#[test]
fn a_record_that_cannot_be_prepared_fails_and_the_rest_runs_again() {
    let bench = Bench::new(Value::Null);
    bench.structure(2);
    bench.structure(3);
    let log = "Featurizer failed on i0000001 with error list index out of range. Skipping.\nRecursionError: maximum \
               recursion depth exceeded while calling a Python object\n";
    let readings = bench.read(log, Some(false));
    assert_eq!(codes(&readings), ["model_refused", "unfinished", "unfinished"]);
    let Reading::Failed { error, .. } = &readings[0] else { panic!() };
    assert_eq!(error.message, "Boltz-2 refused it: list index out of range");
}

#[test]
fn a_runtime_error_blames_nobody_yet() {
    let bench = Bench::new(Value::Null);
    bench.structure(1);
    let readings = bench.read("RuntimeError: CUDA error: device-side assert triggered\n", Some(false));
    assert_eq!(codes(&readings), ["unfinished"; 3]);
    let Reading::Unfinished { hint: Some(hint), .. } = &readings[1] else { panic!() };
    assert_eq!(hint.code, "model_failed");
}

#[test]
fn half_an_affinity_and_half_a_structure_are_not_done() {
    let bench = Bench::new(Value::Null);
    bench.both(1);
    bench.both(2);
    let affinity = bench.predictions(1).join("affinity_i0000001.json");
    let text = fs::read_to_string(&affinity).unwrap();
    fs::write(affinity, &text[..text.len() / 2]).unwrap();
    fs::remove_file(bench.predictions(2).join("confidence_i0000002_model_0.json")).unwrap();
    assert_eq!(codes(&bench.read("", Some(false))), ["unfinished"; 3]);
    assert_eq!(codes(&bench.read("", Some(true))), ["unfinished"; 3], "without a word: run again");
}

#[test]
fn without_affinity_a_structure_is_done_once_all_its_files_are_there() {
    let bench = Bench::new(json!({"affinity": false}));
    bench.put(1, "model_0.cif");
    bench.put(1, "confidence_model_0.json");
    assert_eq!(codes(&bench.read("", None))[0], "unfinished", "the next file is still being written");
    bench.put(1, "plddt_model_0.npz");
    let Reading::Done { scores, .. } = &bench.read("", None)[0] else { panic!() };
    assert_eq!(scores.get("affinity_prob"), None, "missing stays missing");
}

#[test]
fn numbers_that_are_none_are_left_out() {
    let bench = Bench::new(Value::Null);
    bench.both(1);
    fs::write(
        bench.predictions(1).join("affinity_i0000001.json"),
        "{\"affinity_pred_value\": NaN, \"affinity_probability_binary\": 0.5}",
    )
    .unwrap();
    let Reading::Done { scores, .. } = &bench.read("", Some(true))[0] else { panic!() };
    assert_eq!((scores.get("affinity"), scores.get("affinity_prob")), (None, Some(0.5)));
}

#[test]
fn a_ligand_costs_thirty_seconds_at_three_hundred_residues_and_more_at_a_thousand() {
    let seconds = |residues, parameters| Boltz2.profile(residues, 30, &parameters).item_seconds;
    assert_eq!(seconds(300, Value::Null), 30.0);
    assert!(seconds(300, json!({"diffusion_samples": 25})) > 200.0, "what is asked for is paid for");
    assert!(seconds(1000, Value::Null) > 200.0);
}

#[test]
fn the_model_is_loaded_when_the_bar_of_the_first_phase_shows() {
    let before = "Processing 3 inputs with 2 threads.\nRunning structure prediction for 3 inputs.\n\rPredicting: |          | \
                  0/? [00:00<?, ?it/s]";
    assert!(!Boltz2.loaded(before));
    assert!(Boltz2.loaded(&format!("{before}\rPredicting DataLoader 0:   0%|          | 0/3 [00:00<?, ?it/s]")));
}
