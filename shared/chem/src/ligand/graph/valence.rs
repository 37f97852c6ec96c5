//! Hydrogens and valences by the rules of RDKit's periodic table, for the states in which these elements occur in drugs.
//! A state that is not listed is not judged.

use super::{
    Atom, BORON, BROMINE, CARBON, CHLORINE, FLUORINE, Graph, IODINE, NITROGEN, OXYGEN, Order, PHOSPHORUS, SILICON,
    SULFUR,
};

/// Works out every atom's hydrogens; `None` where an atom is not in a listed state.
pub(super) fn settle(graph: &mut Graph) -> Option<()> {
    for atom in &mut graph.atoms {
        let bonds = bonds(atom);
        let allowed = valences(atom.element, atom.charge)?;
        atom.hydrogens = match atom.written_hydrogens {
            Some(hydrogens) => {
                // More or fewer would be a radical, or no atom at all.
                allowed.contains(&(bonds + hydrogens)).then_some(hydrogens)?
            }
            None => allowed.iter().find(|valence| **valence >= bonds)? - bonds,
        };
    }
    Some(())
}

/// Bonds to other atoms of the graph, a double one counting twice.
fn bonds(atom: &Atom) -> u8 {
    let orders: u8 = atom.neighbours().iter().map(|(_, order)| (*order as u8).max(1)).sum();
    orders + u8::from(atom.double_in_ring)
}

/// The valences an element may have with a charge, in the order in which hydrogens fill them.
fn valences(element: u8, charge: i8) -> Option<&'static [u8]> {
    Some(match (element, charge) {
        (CARBON | SILICON, 0) | (NITROGEN | PHOSPHORUS, 1) | (BORON, -1) => &[4],
        (NITROGEN | BORON, 0) | (OXYGEN | SULFUR, 1) => &[3],
        (OXYGEN, 0) | (NITROGEN, -1) => &[2],
        (FLUORINE | CHLORINE | BROMINE | IODINE, 0) | (OXYGEN | SULFUR, -1) => &[1],
        (PHOSPHORUS, 0) => &[3, 5],
        (SULFUR, 0) => &[2, 4, 6],
        _ => return None,
    })
}

/// Whether a lower-case atom takes a double bond within its ring: its other bonds and hydrogens leave one free.
/// Lower-case carbon without brackets and with two neighbours has a hydrogen. `None` for states that are not listed.
pub(super) fn takes_double_bond(atom: &Atom) -> Option<bool> {
    let outside = atom.neighbours().iter().filter(|(_, order)| *order == Order::Double).count();
    if atom.neighbours().iter().any(|(_, order)| *order == Order::Triple) {
        return None;
    }
    let implicit = u8::from(atom.element == CARBON && atom.degree == 2);
    let hydrogens = atom.written_hydrogens.unwrap_or(implicit);
    match (atom.element, atom.charge, atom.degree + hydrogens, outside) {
        (CARBON, 0, 3, 0) | (NITROGEN, 0, 2, 0) | (NITROGEN, 1, 3, 0) | (OXYGEN | SULFUR, 1, 2, 0) => Some(true),
        (CARBON, 0, 3, 1) if atom.degree == 3 => Some(false),
        (NITROGEN, 0, 3, 0) | (NITROGEN, -1, 2, 0) | (OXYGEN | SULFUR, 0, 2, 0) => Some(false),
        _ => None,
    }
}
