//! RFantibody's three steps as the worker meets them, one feeding the next.

use crate::support::Bench;

fn atom(number: usize, residue: &str, chain: char, position: usize) -> String {
    format!("ATOM  {number:5}  CA  {residue} {chain}{position:4}    {:8.3}{:8.3}{:8.3}  1.00  0.00\n", 1.0, 2.0, 3.0)
}

fn bench() -> Bench {
    let bench = Bench::new();
    let framework: String = (1..=4).map(|i| atom(i, "VAL", if i < 3 { 'H' } else { 'L' }, i)).collect();
    bench.write("frame.pdb", &format!("{framework}REMARK PDBinfo-LABEL:    2 H1\n"));
    bench.write("target.pdb", &(atom(1, "TRP", 'B', 146) + &atom(2, "LYS", 'B', 170)));
    bench
}

fn steps(bench: &Bench, faults: &str) -> [Option<i32>; 3] {
    [
        "rfdiffusion -t target.pdb -f frame.pdb -q 1.qv -n 2 -l H1:7 -h B146,B170 --no-trajectory",
        "proteinmpnn -q 1.qv --output-quiver 2.qv -n 2 -t 0.2",
        "rf2 -q 2.qv --output-quiver 3.qv -r 10",
    ]
    .map(|command| bench.run(command, faults).code())
}

fn lines(bench: &Bench, file: &str, start: &str) -> Vec<String> {
    let text = std::fs::read_to_string(bench.path(file)).unwrap_or_default();
    let lines = text.lines().filter_map(|line| line.strip_prefix(start));
    lines.map(str::to_owned).collect()
}

#[test]
fn names_grow_from_step_to_step() {
    let bench = bench();
    assert_eq!(steps(&bench, ""), [Some(0); 3]);
    assert_eq!(lines(&bench, "1.qv", "QV_TAG "), ["samples_design_0", "samples_design_1"]);
    let designs = ["0_dldesign_0", "0_dldesign_1", "1_dldesign_0", "1_dldesign_1"];
    let tags = designs.map(|design| format!("samples_design_{design}_best"));
    assert_eq!(lines(&bench, "3.qv", "QV_TAG "), tags);
}

#[test]
fn the_last_step_writes_every_score_and_the_mark() {
    let bench = bench();
    steps(&bench, "");
    let scores = lines(&bench, "3.qv", "QV_SCORE samples_design_0_dldesign_0_best ");
    let keys = scores[0].split('|').map(|pair| pair.split_once('=').unwrap().0);
    let expected = "interaction_pae pae pred_lddt target_aligned_antibody_rmsd target_aligned_cdr_rmsd \
        framework_aligned_antibody_rmsd framework_aligned_cdr_rmsd framework_aligned_H1_rmsd \
        framework_aligned_H2_rmsd framework_aligned_H3_rmsd framework_aligned_L1_rmsd \
        framework_aligned_L2_rmsd framework_aligned_L3_rmsd simulated";
    assert_eq!(keys.collect::<Vec<_>>(), expected.split_whitespace().collect::<Vec<_>>());
    for file in ["1.qv", "2.qv", "3.qv"] {
        assert!(lines(&bench, file, "QV_SCORE ").iter().all(|line| line.ends_with("simulated=1")));
    }
}

#[test]
fn designs_hold_the_framework_and_the_target_as_chain_t() {
    let bench = bench();
    steps(&bench, "");
    let atoms = lines(&bench, "1.qv", "ATOM  ");
    let chains: String = atoms.iter().take(6).map(|line| &line[15..16]).collect();
    assert_eq!(chains, "HHLLTT");
    let residues: Vec<&str> = atoms.iter().take(6).map(|line| &line[11..14]).collect();
    assert_eq!(residues, ["VAL", "GLY", "VAL", "VAL", "TRP", "LYS"]);
    assert_eq!(lines(&bench, "1.qv", "REMARK PDBinfo-LABEL").len(), 2);
}

#[test]
fn a_failed_sequence_design_is_left_out_with_exit_code_0() {
    let bench = bench();
    assert_eq!(steps(&bench, "skip=samples_design_0"), [Some(0); 3]);
    let tags = lines(&bench, "3.qv", "QV_TAG ");
    assert_eq!(tags.len(), 2);
    assert!(tags.iter().all(|tag| tag.starts_with("samples_design_1_")));
}

#[test]
fn scoring_into_an_existing_quiver_fails() {
    let bench = bench();
    steps(&bench, "");
    let ended = bench.run("rf2 -q 2.qv --output-quiver 3.qv", "");
    assert_eq!(ended.code(), Some(1));
    assert!(ended.printed().contains("already exists"));
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let (one, two) = (bench(), bench());
    steps(&one, "");
    steps(&two, "");
    assert_eq!(one.tree(""), two.tree(""));
}

#[test]
fn the_tool_can_be_chosen_by_the_name_of_a_link() {
    let bench = bench();
    let link = bench.path("rfdiffusion");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_model-stand-in"), &link).unwrap();
    let mut command = std::process::Command::new(link);
    command.current_dir(bench.path("")).args(["-t", "target.pdb", "-f", "frame.pdb", "-q", "1.qv", "-n", "1"]);
    assert!(command.output().unwrap().status.success());
    assert_eq!(lines(&bench, "1.qv", "QV_TAG "), ["samples_design_0"]);
}
