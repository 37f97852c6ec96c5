use super::*;
use crate::ligand::Ligand;

const STEREO: &str = include_str!("../../../tests/fixtures/stereo.sdf");
const PHENOL: &str = "\n  any  2D\n\n  7  7  0  0  0  0            999 V2000
    1.0000    0.0000    0.0000 C   0  0
    0.5000    0.8660    0.0000 C   0  0
   -0.5000    0.8660    0.0000 C   0  0
   -1.0000    0.0000    0.0000 C   0  0
   -0.5000   -0.8660    0.0000 C   0  0
    0.5000   -0.8660    0.0000 C   0  0
    2.0000    0.0000    0.0000 O   0  0
  1  2  2  0
  2  3  1  0
  3  4  2  0
  4  5  1  0
  5  6  2  0
  6  1  1  0
  1  7  1  0
M  END
";
/// Methanol with a line that goes on in the next, twice.
const CONTINUED: &str = "methanol\n  any  2D\n\n  0  0  0     0  0            999 V3000
M  V30 BEGIN CTAB
M  V30 COUNTS 2 1 0 0 0
M  V30 BEGIN ATOM
M  V30 1 C 0.0 -
M  V30 0.0 0.0 -
M  V30 0
M  V30 2 O 1.2 0.0 0.0 0
M  V30 END ATOM
M  V30 BEGIN BOND
M  V30 1 1 1 2
M  V30 END BOND
M  V30 END CTAB
M  END
";

/// Row, name and canonical SMILES (or the code of the refusal) of every record.
fn molecules(text: impl AsRef<[u8]>) -> Vec<(u64, String, String)> {
    let canonical = |structure| match structure {
        Structure::MolBlock(block) => Ligand::from_mol_block(&block),
        Structure::Smiles(smiles) => Ligand::parse(&smiles),
    };
    let of = |record: Record| {
        let ligand = canonical(record.structure);
        let outcome = ligand.map_or_else(|error| error.code().to_owned(), |ligand| ligand.canonical().into_owned());
        (record.row, record.name.unwrap_or_default(), outcome)
    };
    open(text).unwrap().map(|item| of(item.unwrap())).collect()
}

/// What RDKit reads the records as, the kept fragment of each.
fn expected() -> Vec<String> {
    let mut lines = STEREO.lines();
    let mut found = vec![];
    while lines.any(|line| line.contains("<expected>")) {
        let smiles = lines.next().unwrap();
        found.push(Ligand::parse(smiles).unwrap().canonical().into_owned());
    }
    found
}

#[test]
fn wedges_coordinates_and_double_bonds_are_read_as_rdkit_reads_them() {
    let found = molecules(STEREO);
    let wanted = expected();
    assert!(wanted.len() > 60, "only {} records", wanted.len());
    assert_eq!(found.len(), wanted.len());
    for ((row, name, smiles), wanted) in found.iter().zip(&wanted) {
        assert_eq!(smiles, wanted, "record {row}, {name}");
    }
    assert!(found.iter().any(|(_, _, smiles)| smiles.contains("@@")) && found.iter().any(|f| f.2.contains('\\')));
}

#[test]
fn line_ends_of_windows_and_gzip_change_nothing() {
    let plain = molecules(STEREO);
    assert_eq!(molecules(STEREO.replace('\n', "\r\n")), plain);
    assert_eq!(molecules(gzip(STEREO.as_bytes())), plain);
}

#[test]
fn a_line_that_goes_on_is_one_line() {
    assert_eq!(molecules(CONTINUED), [(1, "methanol".into(), "CO".into())]);
}

#[test]
fn the_last_record_may_lack_its_end_and_blank_lines_may_follow() {
    let two = format!("{PHENOL}$$$$\n{CONTINUED}");
    assert_eq!(molecules(&two).len(), 2);
    assert_eq!(molecules(format!("{two}$$$$\n\n \n")).len(), 2);
    assert_eq!(molecules(PHENOL), [(1, String::new(), "Oc1ccccc1".into())]);
}

#[test]
fn a_record_without_title_is_named_by_its_best_data_field() {
    let fields = "> <MW>\n94\n\n>  <Catalog ID>  (1)\nZ-2\n\n> 25 <idnumber>\n  Z-1 \nsecond line\n\n";
    assert_eq!(molecules(format!("{PHENOL}{fields}$$$$\n"))[0].1, "Z-1");
    let titled = PHENOL.replacen('\n', "carbolic acid\n", 1);
    assert_eq!(molecules(format!("{titled}{fields}$$$$\n"))[0].1, "carbolic acid");
    let empty = "> <ID>\n\n> <CHEMBL_ID>\nCHEMBL14060\n\n";
    assert_eq!(molecules(format!("{PHENOL}{empty}$$$$\n"))[0].1, "CHEMBL14060");
}

#[test]
fn without_coordinates_the_smiles_field_speaks_for_the_molecule() {
    let exported = crate::sdf_record("C[C@H](N)C(=O)O", "alanine", &[]).unwrap();
    assert_eq!(molecules(exported), [(1, "alanine".into(), "C[C@H](N)C(=O)O".into())]);
    let drawn = format!("{PHENOL}> <SMILES>\nCCO\n\n$$$$\n");
    assert_eq!(molecules(drawn)[0].2, "Oc1ccccc1");
}

#[test]
fn a_broken_record_is_refused_and_the_next_one_read() {
    let cut = PHENOL.replacen("  1  2  2  0\n", "", 1);
    let no_end = PHENOL.replace("M  END\n", "");
    let valence = PHENOL.replace("  1  7  1  0", "  1  7  3  0");
    let placeholder = PHENOL.replace(" O   0  0", " *   0  0");
    let letters = PHENOL.replace("  7  7  0", "  x  7  0");
    let records = [&cut, &no_end, &valence, &placeholder, &letters, PHENOL, "words\n", PHENOL];
    let found = molecules(records.map(|record| format!("{record}$$$$\n")).concat());
    let codes: Vec<&str> = found.iter().map(|(_, _, outcome)| outcome.as_str()).collect();
    assert_eq!(codes.len(), 8);
    assert_eq!((codes[5], codes[7]), ("Oc1ccccc1", "Oc1ccccc1"));
    for at in [0, 1, 3, 4, 6] {
        assert_eq!(codes[at], "unreadable_record", "record {}", at + 1);
    }
    assert_eq!(codes[2], "bad_valence");
}

#[test]
fn a_record_too_long_for_any_ligand_is_refused_by_its_length() {
    let atom = "    1.0000    0.0000    0.0000 C   0  0\n";
    let many = format!("huge\n\n\n999  0  0  0  0  0            999 V2000\n{}M  END\n", atom.repeat(999));
    assert_eq!(molecules(&many)[0].2, "too_many_heavy_atoms");
    let endless = format!("endless\n\n\n999  0  0  0  0  0            999 V2000\n{}", atom.repeat(10_000));
    let file = format!("{endless}$$$$\n{PHENOL}$$$$\n");
    let rows: Vec<_> = open(file).unwrap().collect();
    let Err(ReadError::Row(error)) = &rows[0] else { panic!("{:?}", rows[0]) };
    assert_eq!((error.row, error.text.as_str(), error.problem.code()), (1, "endless", "record_too_long"));
    assert!(rows[1].is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_records_never_panic(at in 0..STEREO.len(), length in 0..40usize, with in "[ -~\n]{0,12}") {
        let start = STEREO[..at].rfind("$$$$\n").map_or(0, |end| end + 5);
        let end = STEREO[at..].find("$$$$\n").map_or(STEREO.len(), |end| at + end);
        let record = [&STEREO[start..at], &with, &STEREO[(at + length).min(end)..end]].concat();
        if let Ok(reader) = open(record) {
            for record in reader.flatten() {
                if let Structure::MolBlock(block) = record.structure {
                    let _ = Ligand::from_mol_block(&block);
                }
            }
        }
    }
}
