//! Just enough SMILES to draw a ligand: its atoms in order, and whether the text can be one at
//! all. No valence, no aromaticity, no canonical form; the real chemistry lives elsewhere.

use std::collections::HashSet;

/// Elements that may stand outside brackets, longest first.
const ORGANIC: [&str; 17] = ["Cl", "Br", "B", "C", "N", "O", "P", "S", "F", "I", "b", "c", "n", "o", "p", "s", "*"];

/// A ligand as far as a picture of it goes.
#[derive(Debug, PartialEq)]
pub struct Ligand {
    /// Element symbols of the heavy atoms (`C`, `Cl`), in the order they are written.
    pub elements: Vec<String>,
    /// How many parts the dots make.
    pub fragments: usize,
}

/// Reads a SMILES; `None` when brackets, branches or ring bonds do not match, when a character
/// has no meaning, or when no heavy atom is left.
pub fn read(smiles: &str) -> Option<Ligand> {
    let mut elements = Vec::new();
    let mut branches = 0_usize;
    let mut open_rings = HashSet::new();
    let mut rest = smiles;
    while let Some(next) = rest.chars().next() {
        if next == '[' {
            let (inside, after) = rest.get(1..)?.split_once(']')?;
            elements.push(bracketed(inside)?);
            rest = after;
            continue;
        }
        if let Some(symbol) = ORGANIC.iter().find(|symbol| rest.starts_with(**symbol)) {
            elements.push(capitalised(symbol));
            rest = rest.get(symbol.len()..)?;
            continue;
        }
        let mut width = next.len_utf8();
        match next {
            '(' => branches += 1,
            ')' => branches = branches.checked_sub(1)?,
            '%' => {
                width = 3;
                toggle(&mut open_rings, rest.get(1..3)?.parse().ok()?);
            }
            '0'..='9' => toggle(&mut open_rings, next.to_digit(10)?),
            '-' | '=' | '#' | '$' | ':' | '/' | '\\' | '.' | '~' => {}
            _ => return None,
        }
        rest = rest.get(width..)?;
    }
    elements.retain(|element| element != "H");
    let fragments = smiles.split('.').count();
    let whole = branches == 0 && open_rings.is_empty() && !elements.is_empty();
    whole.then_some(Ligand { elements, fragments })
}

fn toggle(open: &mut HashSet<u32>, ring: u32) {
    if !open.remove(&ring) {
        open.insert(ring);
    }
}

/// The element of a bracket atom: isotope first, then the symbol, then whatever else.
fn bracketed(inside: &str) -> Option<String> {
    let symbol = inside.trim_start_matches(|c: char| c.is_ascii_digit());
    let mut letters = symbol.chars().take_while(char::is_ascii_alphabetic);
    let first = letters.next()?;
    let second = letters.next().filter(|c| c.is_ascii_lowercase());
    Some(capitalised(&first.to_string().chars().chain(second).collect::<String>()))
}

fn capitalised(symbol: &str) -> String {
    let mut letters = symbol.chars();
    let first = letters.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn formula(smiles: &str) -> Option<String> {
        read(smiles).map(|ligand| ligand.elements.concat())
    }

    #[test]
    fn heavy_atoms_come_in_the_order_written() {
        assert_eq!(formula("CC(=O)Oc1ccccc1C(=O)O").unwrap(), "CCOOCCCCCCCOO");
        assert_eq!(formula("[2H]C([2H])Cl").unwrap(), "CCl");
        assert_eq!(formula("C[C@@H](N)C(=O)[O-]").unwrap(), "CCNCOO");
        assert_eq!(formula("Br%10.I%10").unwrap(), "BrI");
        assert_eq!(formula("c1cc[nH]c1").unwrap(), "CCCNC");
    }

    #[test]
    fn broken_smiles_are_refused() {
        for broken in ["", "CC(=O", "C1CC", "C)C", "[Na", "CXC", "[2H]", "CC N"] {
            assert_eq!(read(broken), None, "{broken}");
        }
    }

    #[test]
    fn salts_show_their_fragments() {
        assert_eq!(read("CC(=O)[O-].[Na+]").unwrap().fragments, 2);
    }
}
