use super::*;
use proptest::prelude::*;

fn parse(smiles: &str) -> Ligand {
    Ligand::parse(smiles).unwrap_or_else(|error| panic!("{smiles}: {error}"))
}

fn refusal(smiles: &str) -> &'static str {
    Ligand::parse(smiles).expect_err(smiles).code()
}

#[test]
fn a_good_smiles_runs_exactly_as_written() {
    let ligand = parse("  OC(=O)[C@@H](N)C\t");
    assert_eq!(ligand.smiles(), "OC(=O)[C@@H](N)C");
    assert_eq!(ligand.original(), "  OC(=O)[C@@H](N)C\t");
    assert_eq!(ligand.heavy_atoms(), 6);
    assert!(ligand.notes().is_empty());
}

#[test]
fn what_cannot_be_run_is_refused_with_its_reason() {
    let table = [
        ("", "empty"),
        ("   ", "empty"),
        ("foo", "unreadable"),
        ("C1CC", "unreadable"),
        ("C(", "unreadable"),
        ("CCO ethanol", "unreadable"),
        ("CCÖ", "unreadable"),
        ("CC>>CO", "unreadable"),
        ("CC(C)(C)(C)C", "bad_valence"),
        ("c1cccc1", "bad_aromaticity"),
        ("cc", "bad_aromaticity"),
        ("C*", "placeholder"),
        ("[*:1]CC", "placeholder"),
        ("C~C", "undefined_bond"),
        ("[Fe]", "metal"),
        ("CC[Hg]CC", "metal"),
        ("N[Pt](N)(Cl)Cl", "metal"),
        ("C[Sn](C)(C)C", "metal"),
        ("[Fe+2].[cH-]1cccc1.[cH-]1cccc1", "metal"),
        ("[Na]CC", "metal"),
        ("O", "water"),
        ("[H]O[H]", "water"),
        ("OS(=O)(=O)O", "no_carbon"),
        ("[Na+].[Cl-]", "no_carbon"),
        ("C[CH2]", "radical"),
        ("CC(C)(C)N([O])C", "radical"),
    ];
    for (smiles, code) in table {
        assert_eq!(refusal(smiles), code, "{smiles}");
    }
    assert_eq!(refusal(&"C".repeat(5_000)), "too_long");
    assert_eq!(refusal(&"C".repeat(129)), "too_many_heavy_atoms");
    assert_eq!(refusal(&"C".repeat(3_000)), "too_many_heavy_atoms");
    assert_eq!(parse(&"C".repeat(128)).heavy_atoms(), 128);
}

#[test]
fn refusals_name_the_element_in_words() {
    let message = |smiles| Ligand::parse(smiles).unwrap_err().to_string();
    assert!(message("CC[Fe]").starts_with("contains iron (Fe), a metal"));
    assert_eq!(message("CC(C)(C)(C)C"), "carbon (C) has 5 bonds, more than its charge allows");
    assert_eq!(message("C1CC"), "this is not a valid SMILES: ring bond 1 is never closed");
}

#[test]
fn metalloids_isotopes_and_charges_are_ordinary_ligands() {
    for smiles in ["OB(O)c1ccccc1", "C[Si](C)(C)C", "C[Se]C", "[2H]C([2H])O", "C[N+](C)(C)CC(=O)[O-]"] {
        assert!(parse(smiles).notes().is_empty(), "{smiles}");
    }
    assert_eq!(parse("[2H]C([2H])([2H])O").heavy_atoms(), 2);
}

#[test]
fn a_salt_whose_dot_stands_inside_a_branch_is_run_as_the_molecule_and_not_as_a_piece_of_text() {
    let ligand = parse("CC(=CC(=O)[O-].[Na+]O)[O-].[Na+]");
    assert_eq!(ligand.smiles(), "CC([O-])=CC(=O)[O-]");
    assert_eq!(parse(ligand.smiles()).heavy_atoms(), ligand.heavy_atoms());
}

#[test]
fn a_ring_whose_aromatic_part_has_no_alternating_bonds_is_refused_because_no_tool_could_draw_it() {
    assert_eq!(Ligand::parse("CC=c1cc(O)ccC=1P").unwrap_err(), LigandError::BadAromaticity);
}

#[test]
fn salts_and_solvates_lose_everything_but_the_drug() {
    let pyrrolidine = "CN1CCCC1c1cccnc1";
    let table = [
        "Cl",
        "[Na+].[Cl-]",
        "CS(=O)(=O)O",
        "CS(=O)(=O)[O-]",
        "Cc1ccc(cc1)S(=O)(=O)O",
        "OC(=O)/C=C\\C(=O)O",
        "OC(=O)/C=C/C(=O)[O-]",
        "OC(=O)CC(O)(C(=O)O)CC(=O)O",
        "O[C@H]([C@@H](O)C(=O)O)C(=O)O",
        "OP(=O)(O)O",
        "O.O.CO",
        "OC(=O)C(F)(F)F",
        "O[N+](=O)[O-]",
        "[K+].[Zn+2].[Ca+2]",
        "OC(=O)c1cc2ccccc2c(Cc2c(O)c(C([O-])=O)cc3ccccc23)c1O",
    ];
    for ion in table {
        let ligand = parse(&format!("{ion}.{pyrrolidine}"));
        assert_eq!(ligand.smiles(), parse(pyrrolidine).canonical(), "{ion}");
        assert_eq!(ligand.heavy_atoms(), 12);
        assert_eq!(ligand.notes()[0].code(), "salt_removed", "{ion}");
    }
}

#[test]
fn the_note_lists_what_was_left_out() {
    let ligand = parse("CCN.Cl.Cl.O");
    assert_eq!(ligand.notes(), [Note::SaltRemoved { removed: vec!["Cl".into(), "Cl".into(), "O".into()] }]);
    assert_eq!(ligand.notes()[0].to_string(), "kept the main molecule and left out Cl, Cl, O");
}

#[test]
fn a_salt_of_two_counter_ions_keeps_the_larger() {
    assert_eq!(parse("[Na+].[O-]C(=O)c1ccccc1").smiles(), "[O-]C(=O)c1ccccc1");
    assert_eq!(parse("NCCO.OC(=O)c1ccccc1O").heavy_atoms(), 10);
}

#[test]
fn two_drugs_in_one_row_are_a_mixture() {
    let aspirin = "CC(=O)Oc1ccccc1C(=O)O";
    let caffeine = "Cn1c(=O)c2c(ncn2C)n(C)c1=O";
    let error = Ligand::parse(&format!("{aspirin}.{caffeine}")).unwrap_err();
    assert_eq!(error, LigandError::Mixture { largest: 14, second: 13 });
}

#[test]
fn repeated_copies_become_one() {
    let ligand = parse("CCN.CCN.Cl");
    assert_eq!(ligand.smiles(), "CCN");
    assert_eq!(ligand.notes()[0], Note::CopiesRemoved { copies: 2 });
    assert_eq!(ligand.notes()[1].code(), "salt_removed");
    assert_eq!(parse("C1.C1").notes(), [], "a ring bond may join what a dot parts");
}

#[test]
fn cxsmiles_and_size_are_noted() {
    let ligand = parse("C[C@H](N)C(=O)O |o1:1,r|");
    assert_eq!(ligand.smiles(), "C[C@H](N)C(=O)O");
    assert_eq!(ligand.notes(), [Note::ExtensionRemoved]);
    assert!(parse(&"C".repeat(56)).notes().is_empty());
    assert_eq!(parse(&"C".repeat(57)).notes(), [Note::LargeMolecule { heavy_atoms: 57 }]);
}

#[test]
fn stereo_is_kept_and_tells_molecules_apart() {
    let canonical = |smiles| parse(smiles).canonical().into_owned();
    assert_ne!(canonical("C[C@H](N)C(=O)O"), canonical("C[C@@H](N)C(=O)O"));
    assert_ne!(canonical("F/C=C/F"), canonical("F/C=C\\F"));
    assert_eq!(canonical("C[C@H](N)C(=O)O"), canonical("N[C@@H](C)C(=O)O"));
    assert_eq!(canonical("Cl.C[C@H](N)C(=O)O"), canonical("C[C@H](N)C(=O)O"));
}

#[test]
fn every_code_is_the_serialised_tag() {
    for smiles in ["", "foo", "C[CH2]", "[Fe]", "O", "N", "C*", "C~C", "CC(C)(C)(C)C", "c1cccc1"] {
        let error = Ligand::parse(smiles).unwrap_err();
        assert_eq!(serde_json::to_value(&error).unwrap()["code"], error.code());
    }
    for smiles in ["CCN.CCN.Cl", "CC |r|"] {
        for note in parse(smiles).notes() {
            assert_eq!(serde_json::to_value(note).unwrap()["code"], note.code());
        }
    }
}

#[test]
fn drugs_agree_with_rdkit_in_size_and_identity() {
    let table = include_str!("../../tests/fixtures/drugs.tsv");
    let mut checked = 0;
    for line in table.lines().skip(1) {
        let cells: Vec<&str> = line.split('\t').collect();
        let [name, written, shuffled, canonical, heavy] = cells[..] else { panic!("{line}") };
        let ligand = parse(written);
        assert_eq!(ligand.heavy_atoms().to_string(), heavy, "{name}");
        assert_eq!(ligand.canonical(), canonical, "{name}");
        assert_eq!(parse(shuffled).canonical(), canonical, "{name}");
        checked += 1;
    }
    assert!(checked >= 60, "only {checked} drugs in the table");
}

#[test]
fn an_sdf_record_holds_the_molecule_and_safe_properties() {
    let properties = [
        ("score".to_owned(), "-7.2".to_owned()),
        ("no<te>\n".to_owned(), "a\n\n$$$$\n>  <fake>\nb".to_owned()),
        (String::new(), ">".to_owned()),
    ];
    let record = sdf_record("C[C@H](N)c1ccccc1", "my\nligand", &properties).unwrap();
    let lines: Vec<&str> = record.lines().collect();
    assert_eq!(lines[0], "my ligand");
    assert!(lines[3].starts_with("  9  9") && lines[3].ends_with("V2000"));
    assert_eq!(lines.iter().filter(|line| line.starts_with("$$$$")).count(), 1);
    assert_eq!(lines.last(), Some(&"$$$$"));
    let headers: Vec<&&str> = lines.iter().filter(|line| line.starts_with('>')).collect();
    assert_eq!(headers, [&">  <SMILES>", &">  <score>", &">  <no_te_>", &">  <property>"]);
    assert_eq!(sdf_record("C(", "x", &[]).unwrap_err().code(), "unreadable");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_text_never_panics(text in "\\PC{0,60}") {
        let _ = Ligand::parse(&text);
    }

    #[test]
    fn arbitrary_smiles_letters_never_panic(text in "[CNOSPFHIBrlcnos0-9%()\\[\\]=#@+\\-./\\\\*:~$>|{} ]{0,60}") {
        let _ = Ligand::parse(&text);
        let _ = sdf_record(&text, &text, &[(text.clone(), text.clone())]);
    }

    #[test]
    fn what_is_run_reads_back_as_the_same_molecule(parts in proptest::collection::vec("(C|N|O|c1ccccc1|C\\(=O\\)|\\[C@H\\]\\(F\\)|\\.|Cl)", 1..12)) {
        if let Ok(ligand) = Ligand::parse(&parts.concat()) {
            let again = Ligand::parse(ligand.smiles()).unwrap();
            prop_assert_eq!(again.canonical(), ligand.canonical());
        }
    }
}

#[test]
fn a_two_digit_ring_number_that_begins_with_0_is_refused_because_no_tool_reads_it() {
    let refused = Ligand::parse("C%09CC%109CC%10").unwrap_err();
    assert_eq!(refused.code(), "unreadable");
    assert_eq!(parse("C%10CC%119CC%11C9C%10").heavy_atoms(), 7);
}
