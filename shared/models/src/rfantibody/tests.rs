//! RFantibody's inputs, its pipeline, and Quiver files as its three tools write them.

use super::*;
use crate::testing::{designs, run, stage, tools};
use domain::{Item, Run};
use std::fs;

const TARGET_PDB: &str = "ATOM      1  CA  ALA B 146       1.000   2.000   3.000\n\
                          ATOM      2  CA  GLY B 170       1.000   2.000   3.000\n";
const FRAMEWORK_PDB: &str = "ATOM      1  CA  ALA H   1       1.000   2.000   3.000\n\
                             REMARK PDBinfo-LABEL:    1 H1\nREMARK PDBinfo-LABEL:    1 H3\n";

fn request() -> Value {
    json!({"target_pdb": TARGET_PDB, "framework_pdb": FRAMEWORK_PDB, "hotspots": ["B146", "B170"],
        "loops": {"H1": 7, "H3": "5-13"}, "designs": 2})
}

fn accept(inputs: Value) -> Result<Accepted, Vec<FieldError>> {
    RfAntibody.accept(&Request { protein_sequence: None, inputs: &inputs, parameters: &Value::Null })
}

struct Bench {
    folder: tempfile::TempDir,
    run: Run,
    items: Vec<Item>,
    tools: crate::Tools,
}

impl Bench {
    fn new() -> Self {
        let mut accepted = accept(request()).unwrap();
        accepted.parameters["sequences_per_backbone"] = 2.into();
        let run = run("rfantibody", accepted.input, accepted.parameters);
        Bench { folder: tempfile::tempdir().unwrap(), run, items: designs(2), tools: tools() }
    }

    fn put(&self, name: &str, entries: &[(&str, &str)]) {
        let entry = |(tag, scores): &(&str, &str)| format!("QV_TAG {tag}\nQV_SCORE {tag} {scores}\nATOM of {tag}\n");
        fs::write(self.folder.path().join(name), entries.iter().map(entry).collect::<String>()).unwrap();
    }

    fn read(&self, log: &str, ended: Option<bool>) -> Vec<Reading> {
        RfAntibody.read(&stage(self.folder.path(), &self.run, &self.items, &self.tools), log, ended)
    }

    fn pipeline(&self) {
        self.put("1.qv", &[("d_1", "mindist=3"), ("d_10", "mindist=4")]);
        self.put("2.qv", &[("d_1_dldesign_0", ""), ("d_1_dldesign_1", ""), ("d_10_dldesign_0", "")]);
        self.put(
            "3.qv",
            &[
                ("d_1_dldesign_0_best", "interaction_pae=12.5|pred_lddt=0.8"),
                ("d_1_dldesign_1_best", "interaction_pae=7.25|pred_lddt=0.9|simulated=1"),
                ("d_10_dldesign_0_best", "interaction_pae=9|pred_lddt=0.7"),
            ],
        );
    }
}

#[test]
fn a_request_becomes_three_processes_that_hand_quivers_on() {
    let accepted = accept(request()).unwrap();
    assert_eq!(accepted.designs, Some(2));
    assert_eq!(accepted.files.iter().map(|file| file.0.as_str()).collect::<Vec<_>>(), ["target.pdb", "framework.pdb"]);
    let bench = Bench::new();
    let steps = RfAntibody.stage(&stage(bench.folder.path(), &bench.run, &bench.items, &bench.tools)).unwrap();
    let programs: Vec<_> = steps.iter().map(|step| step.program[0].as_str()).collect();
    assert_eq!(programs, ["rfdiffusion", "proteinmpnn", "rf2"]);
    let line = steps[0].program.join(" ");
    assert!(line.contains("-t /files/target.pdb") && line.contains("-n 2 -l H1:7,H3:5-13 -h B146,B170"), "{line}");
}

#[test]
fn every_fault_of_the_inputs_is_told_by_its_place() {
    let mut wrong = request();
    wrong["hotspots"] = json!(["B146", "B999", 5]);
    wrong["loops"] = json!({"H1": 0, "H2": 6, "X": 3});
    wrong["designs"] = 0.into();
    let pointers: Vec<_> = accept(wrong).unwrap_err().into_iter().map(|error| error.pointer).collect();
    let expected = [
        "/inputs/hotspots/1",
        "/inputs/hotspots/2",
        "/inputs/loops/H1",
        "/inputs/loops/H2",
        "/inputs/loops/X",
        "/inputs/designs",
    ];
    assert_eq!(pointers, expected);
    let missing: Vec<_> = accept(Value::Null).unwrap_err().into_iter().map(|error| error.pointer).collect();
    assert_eq!(missing[..2], ["/inputs/target_pdb", "/inputs/framework_pdb"]);
    let mut wrong = request();
    wrong["framework_pdb"] = TARGET_PDB.into();
    assert_eq!(accept(wrong).unwrap_err()[0].pointer, "/inputs/framework_pdb");
}

#[test]
fn the_best_sequence_of_each_backbone_is_kept_with_its_structure() {
    let bench = Bench::new();
    bench.pipeline();
    let readings = bench.read("", Some(true));
    let Reading::Done { scores, files, simulated, .. } = &readings[0] else { panic!("{readings:?}") };
    assert_eq!(scores.get("interaction_pae"), Some(7.25));
    assert_eq!(scores.get("confidence"), Some(0.9));
    assert!(scores.get("simulated").is_none() && *simulated);
    assert_eq!(files[0].0, "pdb");
    assert_eq!(fs::read_to_string(&files[0].1).unwrap(), "ATOM of d_1_dldesign_1_best\n");
    let Reading::Done { scores, .. } = &readings[1] else { panic!("d_10 is not d_1") };
    assert_eq!(scores.get("interaction_pae"), Some(9.0));
}

#[test]
fn while_the_tools_run_only_whole_designs_count() {
    let bench = Bench::new();
    bench.pipeline();
    let readings = bench.read("", None);
    assert!(matches!(readings[0], Reading::Done { .. }));
    assert!(matches!(readings[1], Reading::Unfinished { hint: None, .. }), "its entry may be half written");
}

#[test]
fn designs_that_vanish_fail_with_the_reason() {
    let bench = Bench::new();
    bench.put("1.qv", &[("d_0", ""), ("d_1", "")]);
    bench.put("2.qv", &[("d_1_dldesign_0", "")]);
    let log = "Struct with tag d_0 failed in 0 seconds with error: <class 'ValueError'>\n";
    let message = |reading: &Reading| match reading {
        Reading::Failed { error, .. } => error.message.clone(),
        other => panic!("{other:?}"),
    };
    let readings = bench.read(log, Some(true));
    assert_eq!(message(&readings[0]), "ProteinMPNN found no sequence: <class 'ValueError'>");
    assert_eq!(message(&readings[1]), "RF2 left no result for it");
    bench.put("1.qv", &[]);
    assert!(message(&bench.read("", Some(true))[0]).contains("fewer designs"));
    let died = bench.read("RuntimeError: CUDA error\n", Some(false));
    assert!(matches!(&died[0], Reading::Unfinished { hint: Some(hint), .. } if hint.message.contains("CUDA")));
}
