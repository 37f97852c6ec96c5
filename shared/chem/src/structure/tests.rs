use proptest::prelude::*;

use super::*;

const BOLTZ: &str = include_str!("../../tests/fixtures/boltz_model_0.cif");

/// A table in the columns Boltz writes, one line per `(chain, residue, name, x, b)`.
fn cif(atoms: &[(&str, &str, &str, &str, &str)]) -> String {
    let mut text = String::from("data_x\nloop_\n");
    for column in [
        "group_PDB",
        "type_symbol",
        "label_atom_id",
        "label_comp_id",
        "auth_seq_id",
        "auth_asym_id",
        "Cartn_x",
        "Cartn_y",
        "Cartn_z",
        "B_iso_or_equiv",
    ] {
        text.push_str(&format!("_atom_site.{column}\n"));
    }
    for (chain, residue, name, x, b) in atoms {
        text.push_str(&format!("ATOM C {name} {residue} 1 {chain} {x} 2.0 3.0 {b}\n"));
    }
    text + "#\n"
}

#[test]
fn a_boltz_complex_becomes_pdb_with_plddt_in_the_b_column() {
    let pdb = cif_to_pdb(BOLTZ).unwrap();
    let lines: Vec<&str> = pdb.lines().collect();
    let atoms = lines.iter().filter(|line| line.starts_with("ATOM  ")).count();
    let hetero: Vec<&&str> = lines.iter().filter(|line| line.starts_with("HETATM")).collect();
    assert_eq!((atoms, hetero.len()), (161, 9));
    assert_eq!(lines.iter().filter(|line| line.starts_with("TER")).count(), 2);
    assert_eq!(lines.last(), Some(&"END"));
    let boron = hetero[1];
    assert_eq!(boron.len(), 80);
    assert_eq!((&boron[12..16], &boron[17..20], &boron[21..22]), (" B10", "LIG", "B"));
    assert_eq!((&boron[60..66], &boron[76..78]), (" 49.40", " B"));
}

#[test]
fn atoms_land_in_their_columns() {
    let pdb = cif_to_pdb(&cif(&[("A", "GLY", "CA", "-12.3456", "91.239")])).unwrap();
    let expected = "\
ATOM      1  CA  GLY A   1     -12.346   2.000   3.000  1.00 91.24           C  
TER       2      GLY A   1
END
";
    assert_eq!(pdb, expected);
}

#[test]
fn chains_are_counted() {
    assert_eq!(chain_count(BOLTZ), Ok(2));
    assert_eq!(chain_count("data_x\n"), Err(StructureError::NoAtoms));
    assert_eq!(chain_count(""), Err(StructureError::NoAtoms));
}

#[test]
fn long_chain_names_get_a_free_letter_and_a_remark() {
    let atom = |chain| (chain, "GLY", "CA", "1", "50");
    let pdb = cif_to_pdb(&cif(&[atom("A"), atom("LIGB"), atom("B")])).unwrap();
    assert!(pdb.starts_with("REMARK 999 CHAIN C IS CHAIN LIGB OF THE MMCIF FILE\nATOM"), "{pdb}");
    let chains: Vec<&str> = pdb.lines().filter(|l| l.starts_with("ATOM")).map(|l| &l[21..22]).collect();
    assert_eq!(chains, ["A", "C", "B"]);
}

#[test]
fn quoted_atom_names_and_text_blocks_are_read_as_values() {
    let text = cif(&[("A", "RNA", "\"C5'\"", "1", "50")])
        .replace("data_x\n", "data_x\n_a.b\n;loop_\n_atom_site.id\nX\n;\n_c.d 'it''s # no comment'\n# loop_\n");
    assert!(cif_to_pdb(&text).unwrap().contains(" C5' RNA A"));
}

#[test]
fn what_pdb_cannot_hold_is_an_error_and_never_cut() {
    let one = |name, x, b| cif_to_pdb(&cif(&[("A", "GLY", name, x, b)])).unwrap_err().to_string();
    assert_eq!(one("CA", "1234567.5", "50"), "atom 1: x 1234567.5 does not fit its PDB field");
    assert_eq!(one("CA123", "1.0", "50"), "atom 1: atom name CA123 does not fit its PDB field");
    assert_eq!(one("CA", "abc", "50"), "atom 1: Cartn_x is not a number: abc");
    assert_eq!(one("CA", "1.0", "nan"), "atom 1: B_iso_or_equiv is not a number: nan");
    let many = vec![("A", "GLY", "CA", "1", "50"); 99_999];
    assert_eq!(cif_to_pdb(&cif(&many)), Err(StructureError::TooManyAtoms { records: 100_000 }));
    assert!(cif_to_pdb(&cif(&many[1..])).is_ok());
    let names: Vec<String> = (0..63).map(|n| format!("c{n}")).collect();
    let chains: Vec<_> = names.iter().map(|n| (n.as_str(), "GLY", "CA", "1", "50")).collect();
    assert_eq!(cif_to_pdb(&cif(&chains)), Err(StructureError::TooManyChains { chains: 63 }));
}

#[test]
fn a_large_coordinate_gives_up_decimals_before_it_fails() {
    let pdb = cif_to_pdb(&cif(&[("A", "GLY", "CA", "-1203.6497", "50")])).unwrap();
    assert_eq!(&pdb[30..38], "-1203.65");
}

#[test]
fn only_the_first_model_is_written() {
    let text = cif(&[("A", "GLY", "CA", "1", "50"), ("A", "GLY", "CA", "2", "50")])
        .replace("_atom_site.B_iso_or_equiv\n", "_atom_site.pdbx_PDB_model_num\n")
        .replace("2 2.0 3.0 50", "2 2.0 3.0 51");
    assert_eq!(cif_to_pdb(&text).unwrap().matches("ATOM").count(), 1);
}

#[test]
fn a_table_that_breaks_off_is_an_error() {
    let whole = cif(&[("A", "GLY", "CA", "1", "50"), ("A", "GLY", "C", "2", "50")]);
    let cut = whole.trim_end_matches(" 50\n#\n");
    assert_eq!(cif_to_pdb(cut), Err(StructureError::BrokenRow { atom: 2 }));
    let missing = whole.replace("_atom_site.Cartn_x", "_atom_site.other");
    assert_eq!(cif_to_pdb(&missing), Err(StructureError::MissingColumn { column: "Cartn_x" }));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_text_never_panics(text in "(loop_\n|_atom_site\\.[a-z]{1,3}\n|[;'\"#é \n]|[a-z]{1,4}){0,40}") {
        let _ = cif_to_pdb(&text);
        let _ = chain_count(&text);
    }
}
