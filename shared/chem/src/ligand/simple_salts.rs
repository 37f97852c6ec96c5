//! The salts and hydrates that most salts are, judged by their text: one plain molecule, and ions so common that they are
//! known as they are written. All else is for [`super::fragments`].

use super::fragments::Kept;
use super::{Note, graph};

/// Inorganic counter-ions and water, each as written and in canonical form.
const IONS: [(&str, &str); 22] = [
    ("Cl", "Cl"),
    ("[Cl-]", "[Cl-]"),
    ("Br", "Br"),
    ("[Br-]", "[Br-]"),
    ("I", "I"),
    ("[I-]", "[I-]"),
    ("[Na+]", "[Na+]"),
    ("[K+]", "[K+]"),
    ("[Li+]", "[Li+]"),
    ("[Ca+2]", "[Ca+2]"),
    ("[Ca++]", "[Ca+2]"),
    ("[Mg+2]", "[Mg+2]"),
    ("[Mg++]", "[Mg+2]"),
    ("[Zn+2]", "[Zn+2]"),
    ("O", "O"),
    ("[OH2]", "O"),
    ("[OH-]", "[OH-]"),
    ("[NH4+]", "[NH4+]"),
    ("OS(O)(=O)=O", "O=S(=O)(O)O"),
    ("O=S(=O)(O)O", "O=S(=O)(O)O"),
    ("OP(O)(O)=O", "O=P(O)(O)O"),
    ("O=P(O)(O)O", "O=P(O)(O)O"),
];

/// The molecule and its ions; `None` for anything but one plain molecule among known ions.
pub(super) fn keep(smiles: &str) -> Option<Kept> {
    let mut main = None;
    // Equal ones stand together, in the order in which they first come.
    let mut removed: Vec<&str> = Vec::new();
    for part in smiles.split('.') {
        match IONS.iter().find(|(written, _)| *written == part) {
            Some((_, canonical)) => match removed.iter().rposition(|other| other == canonical) {
                Some(last) => removed.insert(last + 1, canonical),
                None => removed.push(canonical),
            },
            None if main.is_none() => main = Some(part),
            None => return None,
        }
    }
    let main = main?;
    let graph::Plain { heavy_atoms, key } = graph::plain(main)?;
    let removed = removed.into_iter().map(str::to_owned).collect();
    let notes = vec![Note::SaltRemoved { removed }];
    Some(Kept { smiles: Some(main.to_owned()), canonical: None, key, heavy_atoms, notes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ligand::toolkit;

    #[test]
    fn every_ion_is_written_in_its_canonical_form() {
        for (written, canonical) in IONS {
            let molecule = toolkit::read(written).unwrap();
            assert_eq!(toolkit::canonical(&molecule, true).unwrap(), canonical, "{written}");
        }
    }
}
