//! `chai-lab fold` as the worker meets it, compared with scores of the real package.

use crate::support::{Bench, Ended, arrays, fixture, is_marked};

fn fold(smiles: &str, faults: &str) -> (Bench, Ended) {
    let bench = Bench::new();
    let fasta = format!(">protein|name=tgt\nGSHMEAVKLLQEAGYTWRDN\n>ligand|name=x\n{smiles}\n");
    bench.write("x.fasta", &fasta);
    let ended = bench.run("chai-lab fold x.fasta out --seed 1 --num-trunk-recycles 3", faults);
    (bench, ended)
}

fn chains(bench: &Bench) -> Vec<String> {
    let cif = std::fs::read_to_string(bench.path("out/pred.model_idx_0.cif")).unwrap();
    let atoms = cif.lines().filter(|line| line.starts_with("ATOM ") || line.starts_with("HETATM "));
    let mut chains: Vec<String> = atoms.map(|line| line.split(' ').nth(9).unwrap().to_owned()).collect();
    chains.dedup();
    chains
}

#[test]
fn five_models_have_the_real_names_and_arrays() {
    let (bench, ended) = fold("CC(=O)Oc1ccccc1C(=O)O", "");
    assert_eq!(ended.code(), Some(0));
    let kinds = [("pred", "cif"), ("scores", "npz")];
    let names = kinds.map(|(kind, end)| (0..5).map(move |i| format!("{kind}.model_idx_{i}.{end}")));
    let names: Vec<String> = names.into_iter().flatten().collect();
    assert_eq!(bench.files("out"), names);
    let scores = bench.path("out/scores.model_idx_3.npz");
    assert_eq!(arrays(&scores), arrays(&fixture("chai_scores_example.npz")));
    assert!(is_marked(&scores));
    assert_eq!(chains(&bench), ["A", "B"]);
}

#[test]
fn an_unreadable_ligand_is_dropped_and_the_protein_folds_alone() {
    let (bench, ended) = fold("CC(=O", "");
    assert_eq!(ended.code(), Some(0));
    assert_eq!(chains(&bench), ["A"]);
}

#[test]
fn a_used_output_folder_is_refused() {
    let (bench, _) = fold("CCO", "");
    let before = bench.tree("out");
    let ended = bench.run("chai-lab fold x.fasta out", "");
    assert_eq!(ended.code(), Some(1));
    assert!(ended.printed().contains("Output directory out is not empty."));
    assert_eq!(bench.tree("out"), before);
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    assert_eq!(fold("CCO", "").0.tree("out"), fold("CCO", "").0.tree("out"));
}

#[test]
fn faults_strike_by_the_name_of_the_fasta_file() {
    assert_eq!(fold("CCO", "runtime-error=x").1.code(), Some(1));
    assert_eq!(fold("CCO", "crash=x").1.code(), None);
    assert_eq!(fold("CCO", "crash=y").1.code(), Some(0));
    assert!(fold("CCO", "oom-structure=x").1.printed().contains("CUDA out of memory"));
    assert!(fold("CCO", "clash=x").1.printed().contains("Score=-9"));
}

#[test]
fn a_name_used_twice_is_refused() {
    let bench = Bench::new();
    bench.write("x.fasta", ">protein|name=a\nGSHM\n>ligand|name=a\nCCO\n");
    assert_eq!(bench.run("chai-lab fold x.fasta out", "").code(), Some(1));
}
