//! How large a connection table is by its own text, before the chemistry library sees it. Only counting is done here.

use super::{LigandError, MOST_ATOMS_IN_ALL_FRAGMENTS};

/// Atoms of a table, hydrogens included, beyond which it is not read: hydrogens at most double a molecule, and some.
const MOST_ATOMS: u32 = 4 * MOST_ATOMS_IN_ALL_FRAGMENTS;

/// Refuses tables that would take the chemistry library seconds.
pub(super) fn check_size(block: &str) -> Result<(), LigandError> {
    let heavy_atoms = block.lines().filter(|line| symbol(line).is_some_and(is_heavy)).count();
    let atoms = block.lines().filter(|line| symbol(line).is_some()).count();
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    if count(heavy_atoms) > MOST_ATOMS_IN_ALL_FRAGMENTS || count(atoms) > MOST_ATOMS {
        return Err(LigandError::TooManyHeavyAtoms { heavy_atoms: count(heavy_atoms) });
    }
    Ok(())
}

fn is_heavy(symbol: &str) -> bool {
    !matches!(symbol, "H" | "D" | "T")
}

/// The element on an atom line: `x y z symbol` (three numbers with decimal points), or V3000's
/// `M  V30 index symbol x y z`.
fn symbol(line: &str) -> Option<&str> {
    let mut words = line.split_ascii_whitespace();
    let first = words.next()?;
    if first == "M" {
        let symbol = words.nth(2).filter(|_| line.contains(" V30 "))?;
        return words.next().is_some_and(is_number).then_some(symbol);
    }
    let numbers = is_number(first) && words.by_ref().take(2).filter(|word| is_number(word)).count() == 2;
    if numbers { words.next() } else { None }
}

fn is_number(word: &str) -> bool {
    word.contains('.') && word.parse::<f64>().is_ok()
}
