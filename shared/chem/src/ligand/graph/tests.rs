use proptest::prelude::*;

use super::*;
use crate::ligand::toolkit;
use crate::rdkit::{Row, table};

/// What the chemistry library says of a fragment: its heavy atoms and key.
fn judged(smiles: &str) -> Option<Plain> {
    let molecule = toolkit::read(smiles).ok()?;
    let heavy_atoms = molecule.atoms().iter().filter(|atom| atom.atomic_number() > 1).count();
    let closed = molecule.atoms().iter().all(|atom| atom.radical_electrons() == 0);
    let key = toolkit::graph_key(&molecule).ok()?;
    closed.then_some(Plain { heavy_atoms: heavy_atoms as u32, key })
}

#[test]
fn what_is_accepted_here_is_accepted_by_rdkit_and_most_real_molecules_are() {
    let (mut accepted, mut fragments) = (0, 0);
    for Row { smiles, valid, .. } in table().into_iter().filter(|row| !row.smiles.contains('.')) {
        let plain = plain(&smiles);
        assert!(valid || plain.is_none(), "{smiles}");
        fragments += usize::from(valid);
        accepted += usize::from(plain.is_some());
    }
    assert!(accepted * 100 > fragments * 90, "{accepted} of {fragments}");
}

#[test]
fn size_and_key_are_those_of_the_chemistry_library() {
    let of_every_kind = table().into_iter().filter(|row| !row.smiles.contains('.')).step_by(4);
    for Row { smiles, .. } in of_every_kind {
        if let Some(plain) = plain(&smiles) {
            assert_eq!(Some(plain), judged(&smiles), "{smiles}");
        }
    }
}

#[test]
fn spellings_share_a_key_and_isomers_do_not() {
    let key = |smiles: &str| plain(smiles).unwrap_or_else(|| panic!("{smiles}")).key;
    let same = [
        ["c1ccccc1O", "OC1=CC=CC=C1"],
        ["C[C@H](N)C(=O)O", "OC(=O)[C@@H](N)C"],
        ["c1ccc2[nH]ccc2c1", "C12=CC=CC=C1C=CN2"],
        ["O=c1cc[nH]cc1", "O=C1C=CNC=C1"],
    ];
    for [a, b] in same {
        assert_eq!(key(a), key(b), "{a} {b}");
    }
    let isomers = ["CCCCO", "CCC(C)O", "CC(C)CO", "CC(C)(C)O", "CCOCC", "COCCC", "COC(C)C", "[13CH3]CCCO"];
    for (at, a) in isomers.iter().enumerate() {
        for b in &isomers[at + 1..] {
            assert_ne!(key(a), key(b), "{a} {b}");
        }
    }
}

#[test]
fn what_is_not_known_here_is_left_to_the_chemistry_library() {
    let unknown = [
        "",
        "C(",
        "C)",
        "C1CC",
        "C=",
        "=C",
        "C==C",
        "C()C",
        "(C)C",
        "C((C))C",
        "C11",
        "C12CC12",
        "C=1CC#1",
        "CC.",
        "C.C",
        "C*",
        "C$C",
        "C:C",
        "[Co]",
        "[CH3]",
        "[C]",
        "[CH4+]",
        "[C:1]",
        "C[N+](C)C",
        "CN(C)(C)C",
        "C(C)(C)(C)(C)C",
        "[2H]C",
        "c1cccc1",
        "cc",
        "c1ccccc1c",
        "c1ccnc1",
        "c1cc[nH]cc1",
        "c1ccccc1=O",
        "C1=CC=CC=c1",
        "FCl(F)C",
        "O",
        "N#N",
        "CN(=O)=O",
        "[13CH2]",
        "[0CH4]",
        "C%1",
        "C-",
        "Cé",
        "C C",
    ];
    for smiles in unknown {
        assert_eq!(plain(smiles), None, "{smiles}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_accepted_that_the_chemistry_library_refuses(
        parts in proptest::collection::vec(
            "(C|N|O|S|P|F|Cl|c|n|o|s|\\[nH\\]|\\[N\\+\\]|\\[O-\\]|\\[n\\+\\]|=|#|-|\\(|\\)|1|2|3|c1ccccc1|c1cc|C\\(=O\\)|\\[C@H\\])", 1..14)
    ) {
        let smiles = parts.concat();
        if let Some(plain) = plain(&smiles) {
            prop_assert_eq!(Some(plain), judged(&smiles), "{}", smiles);
        }
    }
}
