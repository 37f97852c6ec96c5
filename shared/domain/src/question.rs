//! What a result answers: the hash of everything a model sees but the ligand, and the hash of the ligand. Two predictions
//! of one user with the same of both need not be made twice.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// A ligand as it is written, in 128 bits of SHA-256: among a billion ligands of one user, two of the same hash are less
/// likely than one in 10^20.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LigandHash(pub [u8; LigandHash::BYTES]);

impl LigandHash {
    pub const BYTES: usize = 16;

    pub fn of(smiles: &str) -> Self {
        let digest = Sha256::digest(smiles.as_bytes());
        LigandHash(digest.first_chunk().copied().unwrap_or_default())
    }
}

/// Which molecule a ligand is, however it is written. As a text: 48 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Molecule {
    /// Equal for equal molecules and for few others, such as their stereoisomers; quickly found.
    pub key: u64,
    /// Of the canonical SMILES: equal for equal molecules only.
    pub canonical: LigandHash,
}

impl From<Molecule> for String {
    fn from(molecule: Molecule) -> String {
        format!("{:016x}{}", molecule.key, hex::encode(molecule.canonical.0))
    }
}

impl TryFrom<String> for Molecule {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let wrong = "a molecule is 48 hexadecimal digits";
        let mut bytes = [0; 8 + LigandHash::BYTES];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| wrong)?;
        let (key, canonical) = bytes.split_first_chunk::<8>().ok_or(wrong)?;
        let canonical = LigandHash(canonical.first_chunk().copied().ok_or(wrong)?);
        Ok(Molecule { key: u64::from_be_bytes(*key), canonical })
    }
}

/// The hash, in hexadecimal, of what is asked of a model about any ligand: the model and its version, the canonical
/// inputs, the content of the files among them by name, and the canonical parameters, seeds among them. Every part
/// counts, whatever the order of the members of objects.
pub fn question(model: &str, version: &str, input: &Value, files: &[(String, String)], parameters: &Value) -> String {
    let mut files: Vec<_> = files.iter().collect();
    files.sort();
    let mut text = String::new();
    canonical(input, &mut text);
    let input = std::mem::take(&mut text);
    canonical(parameters, &mut text);
    let parts = [model, version, &input, &text].into_iter();
    let mut hash = Sha256::new();
    for part in parts.chain(files.into_iter().flat_map(|(name, content)| [name.as_str(), content.as_str()])) {
        // With its length before it, no part runs into the next.
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    hex::encode(hash.finalize())
}

/// The value as JSON with the members of objects sorted by name.
fn canonical(value: &Value, text: &mut String) {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(name, _)| *name);
            text.push('{');
            for (name, value) in members {
                text.push_str(&Value::from(name.as_str()).to_string());
                text.push(':');
                canonical(value, text);
                text.push(',');
            }
            text.push('}');
        }
        Value::Array(values) => {
            text.push('[');
            for value in values {
                canonical(value, text);
                text.push(',');
            }
            text.push(']');
        }
        other => text.push_str(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn whatever_the_model_sees_makes_another_question() {
        let file = |name: &str, content: &str| vec![(name.to_owned(), content.to_owned())];
        let asked = |model, version, input, files: &[(String, String)], parameters| {
            question(model, version, &input, files, &parameters)
        };
        let input = || json!({"protein_sequence": "MKT", "msa": "msa.a3m"});
        let first = asked("boltz2", "2.2.1", input(), &file("msa.a3m", ">a\nMKT"), json!({"seed": 1}));
        let others = [
            asked("chai1", "2.2.1", input(), &file("msa.a3m", ">a\nMKT"), json!({"seed": 1})),
            asked("boltz2", "2.2.2", input(), &file("msa.a3m", ">a\nMKT"), json!({"seed": 1})),
            asked(
                "boltz2",
                "2.2.1",
                json!({"protein_sequence": "MKT"}),
                &file("msa.a3m", ">a\nMKT"),
                json!({"seed": 1}),
            ),
            asked("boltz2", "2.2.1", input(), &file("msa.a3m", ">a\nMK-"), json!({"seed": 1})),
            asked("boltz2", "2.2.1", input(), &file("msa.a3", "m>a\nMKT"), json!({"seed": 1})),
            asked("boltz2", "2.2.1", input(), &[], json!({"seed": 1})),
            asked("boltz2", "2.2.1", input(), &file("msa.a3m", ">a\nMKT"), json!({"seed": 2})),
            asked("boltz2", "2.2.1", input(), &file("msa.a3m", ">a\nMKT"), json!({"seed": "1"})),
        ];
        for (at, other) in others.iter().enumerate() {
            assert_ne!(&first, other, "{at}");
        }
    }

    #[test]
    fn the_order_of_members_and_files_makes_no_other_question() {
        let of = |input: &str, files: &[(&str, &str)]| {
            let files: Vec<_> = files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
            question("m", "1", &serde_json::from_str(input).unwrap(), &files, &Value::Null)
        };
        let one = of(r#"{"a": 1, "b": {"c": [1, 2], "d": null}}"#, &[("x", "1"), ("y", "2")]);
        assert_eq!(one, of(r#"{"b": {"d": null, "c": [1, 2]}, "a": 1}"#, &[("y", "2"), ("x", "1")]));
        assert_ne!(one, of(r#"{"b": {"d": null, "c": [2, 1]}, "a": 1}"#, &[("y", "2"), ("x", "1")]));
    }

    #[test]
    fn a_molecule_reads_back_from_its_text_and_nothing_else_does() {
        let molecule = Molecule { key: 0xff, canonical: LigandHash::of("CCO") };
        let text = String::from(molecule);
        assert_eq!((text.len(), &text[..16]), (48, "00000000000000ff"));
        assert_eq!(Molecule::try_from(text.clone()), Ok(molecule));
        for wrong in ["", "ff", &text[1..], &text.replace('f', "g")] {
            assert!(Molecule::try_from(wrong.to_owned()).is_err(), "{wrong}");
        }
        assert_ne!(LigandHash::of("CCO"), LigandHash::of("OCC"), "a text is not its molecule");
    }
}
