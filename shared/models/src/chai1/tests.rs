//! Chai-1 against scores that its own code wrote, and structures with and without the ligand.

use super::*;
use crate::testing::{items, run, stage, tools};
use std::{fs, path::Path};

fn accept(inputs: Value) -> Result<Accepted, Vec<FieldError>> {
    Chai1.accept(&Request { protein_sequence: None, inputs: &inputs, parameters: &Value::Null })
}

fn cif(chains: &[&str]) -> String {
    let columns = ["group_PDB", "id", "type_symbol", "label_atom_id", "label_comp_id", "label_asym_id"];
    let more = ["label_seq_id", "auth_asym_id", "auth_seq_id", "Cartn_x", "Cartn_y", "Cartn_z"];
    let header: String = columns.iter().chain(&more).map(|column| format!("_atom_site.{column}\n")).collect();
    let atom = |(i, chain): (usize, &&str)| format!("ATOM {i} C CA ALA {chain} 1 {chain} 1 1.0 2.0 3.0\n");
    let atoms: String = chains.iter().enumerate().map(atom).collect();
    format!("data_x\n#\nloop_\n{header}{atoms}#\n")
}

/// Reads a folder with one sample whose structure has these chains.
fn read(chains: Option<&[&str]>, log: &str, ended: Option<bool>) -> Reading {
    let folder = tempfile::tempdir().unwrap();
    let request = json!({"num_diffn_samples": 1});
    let accepted = Chai1
        .accept(&Request { protein_sequence: Some("GSHMEAVKLL"), inputs: &Value::Null, parameters: &request })
        .unwrap();
    let run = run("chai1", accepted.input, accepted.parameters);
    let (items, tools) = (items(&["CCO"]), tools());
    if let Some(chains) = chains {
        let out = folder.path().join("i0000001_out");
        fs::create_dir(&out).unwrap();
        fs::write(out.join("pred.model_idx_0.cif"), cif(chains)).unwrap();
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/chai1/scores.npz");
        fs::copy(fixture, out.join("scores.model_idx_0.npz")).unwrap();
    }
    Chai1.read(&stage(folder.path(), &run, &items, &tools), log, ended).remove(0)
}

#[test]
fn chais_own_scores_are_read() {
    let Reading::Done { scores, files, simulated, .. } = read(Some(&["A", "B"]), "", Some(true)) else {
        panic!("it is done")
    };
    let (ptm, iptm) = (scores.get("ptm_score").unwrap(), scores.get("iptm_score").unwrap());
    let clash = scores.get("has_inter_chain_clashes").unwrap();
    let aggregate = 0.2 * ptm + 0.8 * iptm - 100.0 * clash;
    assert!((scores.get("aggregate_score").unwrap() - aggregate).abs() < 1e-4);
    assert!(scores.get("chain_ptm_1").is_some() && scores.get("affinity_prob").is_none());
    assert_eq!(files.iter().map(|file| file.0).collect::<Vec<_>>(), ["cif", "scores"]);
    assert!(!simulated);
}

#[test]
fn a_ligand_that_chai_left_out_is_a_failure_and_not_a_result() {
    let Reading::Failed { error, .. } = read(Some(&["A"]), "", Some(true)) else { panic!("it failed") };
    assert_eq!(error.code, "ligand_dropped");
}

#[test]
fn what_chai_says_decides_where_it_left_nothing() {
    let code = |log: &str| match read(None, log, Some(false)) {
        Reading::Failed { error, .. } => error.code,
        Reading::Unfinished { hint, .. } => format!("again: {}", hint.unwrap().message),
        Reading::Done { .. } => panic!("there is nothing"),
    };
    assert_eq!(code("torch.OutOfMemoryError: CUDA out of memory.\n"), "out_of_memory");
    assert_eq!(code("UnsupportedInputError: Too many tokens in input: 2050 > 2048.\n"), "model_refused");
    assert_eq!(code("RuntimeError: device-side assert\n"), "again: RuntimeError: device-side assert");
    assert!(matches!(read(Some(&["A", "B"]), "", None), Reading::Unfinished { hint: None, .. }));
}

#[test]
fn several_chains_are_folded_with_the_ligand() {
    let accepted =
        accept(json!({"chains": [{"sequence": "gshmeavkll"}, {"type": "dna", "sequence": "acgt"}]})).unwrap();
    assert_eq!(accepted.target_residues, 14);
    let run = run("chai1", accepted.input, accepted.parameters);
    let folder = tempfile::tempdir().unwrap();
    let (items, tools) = (items(&["CCO"]), tools());
    let steps = Chai1.stage(&stage(folder.path(), &run, &items, &tools)).unwrap();
    let fasta = fs::read_to_string(folder.path().join("i0000001.fasta")).unwrap();
    assert_eq!(fasta, ">protein|name=chain0\nGSHMEAVKLL\n>dna|name=chain1\nACGT\n>ligand|name=ligand\nCCO\n");
    assert!(steps[0].program.contains(&"--low-memory".to_owned()));
    assert_eq!(steps.len(), 1);
}

#[test]
fn a_chain_that_cannot_be_folded_is_refused_by_its_place() {
    let chains = json!({"chains": [{"sequence": "GSHMEAVKLL"}, {"type": "rna", "sequence": "ACGT"}, {"type": "sugar",
        "sequence": "X"}, {"kind": "protein"}]});
    let pointers: Vec<_> = accept(chains).unwrap_err().into_iter().map(|error| error.pointer).collect();
    let expected = ["/inputs/chains/1/sequence", "/inputs/chains/2/type", "/inputs/chains/3/kind"];
    assert_eq!(pointers[..3], expected);
    assert_eq!(accept(json!({"chains": []})).unwrap_err()[0].pointer, "/inputs/chains");
    let long = json!({"chains": [{"sequence": "A".repeat(1000)}, {"sequence": "A".repeat(1000)}]});
    assert_eq!(accept(long).unwrap_err()[0].pointer, "/inputs/chains");
}
