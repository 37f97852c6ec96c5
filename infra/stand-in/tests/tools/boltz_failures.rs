//! How `boltz predict` fails, by itself and on request, and what each failure leaves behind.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::boltz::{ASPIRIN, bench, done, ids, predict, three, yaml};

#[test]
fn bad_inputs_are_skipped_with_their_reason_and_exit_code_0() {
    let bench = bench(&[("good", ASPIRIN), ("open", "CC(=O"), ("salt", "CC(=O)O.Cl"), ("iron", "[Fe]")]);
    bench.write("in/nomsa.yaml", &yaml("", "CCO", true));
    bench.write("in/lost.yaml", &yaml("      msa: missing.a3m\n", "CCO", true));
    bench.write("in/big.yaml", &yaml("      msa: empty\n", &"C".repeat(129), true));
    let ended = predict(&bench, "");
    assert_eq!(ended.code(), Some(0));
    assert_eq!(done(&bench), (ids("good"), ids("good")));
    let printed = ended.printed();
    for reason in [
        "Failed to process in/nomsa.yaml. Skipping. Error: Missing MSA's in input and --use_msa_server flag not set..",
        "Failed to process in/lost.yaml. Skipping. Error: MSA file missing.a3m not found..",
        "Failed to process in/open.yaml. Skipping. Error: 'NoneType' object has no attribute 'GetAtoms'.",
        "Failed to process in/salt.yaml. Skipping. Error: Pre-condition Violation",
        "Failed to process in/iron.yaml. Skipping. Error: Molecule is excluded.",
        "Failed to process in/big.yaml. Skipping. Error: The ligand for affinity is too large",
        "Number of failed examples: 0",
    ] {
        assert!(printed.contains(reason), "{reason}\n{printed}");
    }
}

#[test]
fn only_bad_inputs_still_exit_0() {
    let bench = bench(&[("open", "CC(=O")]);
    assert_eq!(predict(&bench, "").code(), Some(0));
    assert_eq!(done(&bench), (ids(""), ids("")));
}

#[test]
fn a_stray_file_ends_the_run() {
    let bench = three();
    bench.write("in/notes.txt", "");
    let ended = predict(&bench, "");
    assert_eq!(ended.code(), Some(1));
    assert!(ended.printed().contains("Unable to parse filetype .txt"));
    assert_eq!(done(&bench), (ids(""), ids("")));
}

#[test]
fn mixing_affinity_with_structure_only_exits_1() {
    let bench = three();
    bench.write("in/b.yaml", &yaml("      msa: empty\n", "CCO", false));
    assert_eq!(predict(&bench, "").code(), Some(1));
    assert_eq!(done(&bench), (ids("a b c"), ids("a")));
}

#[test]
fn running_out_of_memory_on_a_structure_costs_all_later_affinities_until_it_is_run_again() {
    let bench = three();
    let ended = predict(&bench, "oom-structure=b");
    assert_eq!(ended.code(), Some(1));
    assert!(ended.printed().contains("| WARNING: ran out of memory, skipping batch"));
    assert!(ended.printed().contains("Number of failed examples: 1"));
    assert_eq!(done(&bench), (ids("a c"), ids("a")));
    let ended = predict(&bench, "");
    assert_eq!(ended.code(), Some(0));
    assert!(ended.printed().contains("Found some existing predictions (2)"));
    assert_eq!(done(&bench), (ids("a b c"), ids("a b c")));
}

#[test]
fn an_empty_prediction_folder_counts_as_predicted_and_exits_1() {
    let bench = three();
    predict(&bench, "oom-structure=b");
    std::fs::create_dir(bench.path("out/boltz_results_in/predictions/b")).unwrap();
    assert_eq!(predict(&bench, "").code(), Some(1));
    assert_eq!(done(&bench), (ids("a c"), ids("a")));
}

#[test]
fn an_edited_input_under_the_same_name_predicts_the_old_molecule() {
    let bench = three();
    predict(&bench, "oom-affinity=b");
    bench.write("in/b.yaml", &yaml("      msa: empty\n", "CCCCCCCC", true));
    predict(&bench, "");
    let fresh = three();
    predict(&fresh, "");
    let path = "out/boltz_results_in/predictions/b";
    assert_eq!(bench.tree(path), fresh.tree(path));
}

#[test]
fn running_out_of_memory_on_an_affinity_costs_only_that_one() {
    let bench = three();
    assert_eq!(predict(&bench, "oom-affinity=b").code(), Some(0));
    assert_eq!(done(&bench), (ids("a b c"), ids("a c")));
}

#[test]
fn a_featurizer_failure_runs_the_first_record_again() {
    let bench = three();
    assert_eq!(predict(&bench, "featurizer-affinity=b").code(), Some(0));
    assert_eq!(done(&bench), (ids("a b c"), ids("a c")));
    let bench = three();
    assert_eq!(predict(&bench, "featurizer=b").code(), Some(1));
    assert_eq!(done(&bench), (ids("a c"), ids("a")));
}

#[test]
fn a_featurizer_failure_on_the_first_record_never_ends() {
    let bench = three();
    let ended = predict(&bench, "featurizer=a");
    assert_eq!(ended.code(), Some(1));
    assert!(ended.printed().contains("RecursionError"));
    assert_eq!(done(&bench), (ids(""), ids("")));
}

#[test]
fn another_runtime_error_leaves_nobody_with_an_affinity() {
    let bench = three();
    assert_eq!(predict(&bench, "runtime-error=b").code(), Some(1));
    assert_eq!(done(&bench), (ids("a"), ids("")));
}

#[test]
fn an_empty_sequence_ends_the_run() {
    let bench = three();
    bench.write("in/b.yaml", &yaml("", "CCO", true).replace("GSHMEAVKLLQEAGYTWRDN", "''\n      msa: empty"));
    assert_eq!(predict(&bench, "").code(), Some(1));
    assert_eq!(done(&bench), (ids("a"), ids("")));
}

#[test]
fn a_crash_leaves_half_a_structure_and_no_exit_code() {
    let bench = three();
    assert_eq!(predict(&bench, "crash=b").code(), None);
    assert_eq!(bench.files("out/boltz_results_in/predictions/b"), ["b_model_0.cif"]);
}

#[test]
fn a_truncated_affinity_is_not_json() {
    let bench = three();
    assert_eq!(predict(&bench, "truncated=b").code(), Some(1));
    let text = std::fs::read(bench.path("out/boltz_results_in/predictions/b/affinity_b.json"));
    assert!(serde_json::from_slice::<Value>(&text.unwrap()).is_err());
    assert_eq!(done(&bench).1, ids("a b"));
}

#[test]
fn a_skipped_record_is_reported_like_a_bad_input() {
    let bench = three();
    let ended = predict(&bench, "skip=b");
    assert_eq!(ended.code(), Some(0));
    assert!(ended.printed().contains("Failed to process in/b.yaml. Skipping. Error: "));
    assert_eq!(done(&bench), (ids("a c"), ids("a c")));
}

#[test]
fn a_hanging_record_never_returns() {
    let bench = three();
    let mut child =
        bench.command("boltz predict in --out_dir out", "hang=b").stdout(std::process::Stdio::null()).spawn().unwrap();
    let give_up = Instant::now() + Duration::from_secs(20);
    while done(&bench).0.is_empty() && Instant::now() < give_up {
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_millis(200));
    assert!(child.try_wait().unwrap().is_none());
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(done(&bench), (ids("a"), ids("")));
}
