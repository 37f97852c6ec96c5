//! A ligand from any text: read or refused, and what was read is read the same when it comes back.
#![no_main]

use chem::{Ligand, sdf_record};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: {
    // A panic that the chemistry library's wrapper catches is no crash.
    std::panic::set_hook(Box::new(|_| {}));
}, |text: &str| {
    let Ok(ligand) = Ligand::parse(text) else { return };
    assert!((1..=chem::ligand::MAX_HEAVY_ATOMS).contains(&ligand.heavy_atoms()));
    let again = Ligand::parse(ligand.smiles()).expect("what is run can be read");
    assert_eq!(again.heavy_atoms(), ligand.heavy_atoms());
    sdf_record(ligand.smiles(), "name", &[]).expect("what is run can be drawn");
});
