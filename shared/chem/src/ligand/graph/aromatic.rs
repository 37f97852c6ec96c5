//! Lower-case atoms: each must lie in a ring of them, and the double bonds that they imply must be possible. This is
//! Kekulé's question only; which rings are aromatic in the end is the chemistry library's.

use super::{Graph, MOST_ATOMS, Order, valence};

/// Choices tried before the question is left to the chemistry library.
const MOST_CHOICES: u32 = 200;
/// Rings of one connected system beyond which it is left to the chemistry library, which tries a limited number of
/// arrangements itself: what it finds is the rule here.
const MOST_FUSED_RINGS: usize = 6;

/// A set of atoms, a bit each.
type Atoms = u128;

/// Deals out the double bonds; `None` where that is not possible, or not sure.
pub(super) fn settle(graph: &mut Graph) -> Option<()> {
    let rings = ring_bonds(graph);
    let mut needy: Atoms = 0;
    for (index, atom) in graph.atoms.iter().enumerate().filter(|(_, atom)| atom.aromatic) {
        let in_ring = rings[index].count_ones() >= 2;
        let plain = atom.neighbours().iter().all(|(other, order)| {
            *order == Order::Aromatic || *order == Order::Single || !graph.atoms[usize::from(*other)].aromatic
        });
        if !in_ring || !plain {
            return None;
        }
        if valence::takes_double_bond(atom)? {
            needy |= 1 << index;
        }
    }
    let mut left = MOST_CHOICES;
    let possible = few_rings(graph, &rings) && pairs(needy, &rings, &mut left);
    for (index, atom) in graph.atoms.iter_mut().enumerate() {
        atom.double_in_ring = needy >> index & 1 == 1;
    }
    possible.then_some(())
}

/// For each atom, those it shares an aromatic bond with that lies in a ring of aromatic bonds: no bridge. Depth first,
/// Tarjan's low links, without recursion.
fn ring_bonds(graph: &Graph) -> [Atoms; MOST_ATOMS] {
    let mut bonds = [0; MOST_ATOMS];
    for (index, atom) in graph.atoms.iter().enumerate() {
        for (other, _) in atom.neighbours().iter().filter(|(_, order)| *order == Order::Aromatic) {
            bonds[index] |= 1 << other;
        }
    }
    let mut order = [u8::MAX; MOST_ATOMS];
    let mut low = [0u8; MOST_ATOMS];
    let mut count = 0;
    let mut path: Vec<(usize, Atoms)> = Vec::with_capacity(graph.atoms.len());
    for start in 0..graph.atoms.len() {
        if bonds[start] == 0 || order[start] != u8::MAX {
            continue;
        }
        path.push((start, bonds[start]));
        (order[start], low[start], count) = (count, count, count + 1);
        while let Some((here, left)) = path.last_mut() {
            let here = *here;
            if *left == 0 {
                path.pop();
                if let Some((parent, _)) = path.last() {
                    low[*parent] = low[*parent].min(low[here]);
                    if low[here] > order[*parent] {
                        bonds[here] &= !(1 << *parent);
                        bonds[*parent] &= !(1 << here);
                    }
                }
                continue;
            }
            let next = left.trailing_zeros() as usize;
            *left &= *left - 1;
            if order[next] == u8::MAX {
                (order[next], low[next], count) = (count, count, count + 1);
                path.push((next, bonds[next] & !(1 << here)));
            } else {
                low[here] = low[here].min(order[next]);
            }
        }
    }
    bonds
}

/// Whether no connected system has too many rings: bonds less atoms and one.
fn few_rings(graph: &Graph, rings: &[Atoms; MOST_ATOMS]) -> bool {
    let mut unseen: Atoms = (0..graph.atoms.len()).filter(|at| rings[*at] != 0).fold(0, |all, at| all | 1 << at);
    while unseen != 0 {
        let (mut system, mut edge, mut ends) = (0, unseen & unseen.wrapping_neg(), 0);
        while edge != 0 {
            let at = edge.trailing_zeros() as usize;
            system |= 1 << at;
            ends += rings[at].count_ones() as usize;
            edge = (edge | rings[at]) & !system;
        }
        if ends / 2 + 1 - (system.count_ones() as usize) > MOST_FUSED_RINGS {
            return false;
        }
        unseen &= !system;
    }
    true
}

/// Whether all atoms of `free` can be paired along ring bonds. Atoms with one possible partner go first.
fn pairs(free: Atoms, rings: &[Atoms; MOST_ATOMS], choices: &mut u32) -> bool {
    let mut free = free;
    while free != 0 {
        let (mut scarce, mut partners) = (0, Atoms::MAX);
        let mut rest = free;
        while rest != 0 {
            let at = rest.trailing_zeros() as usize;
            rest &= rest - 1;
            let possible = rings[at] & free;
            if possible.count_ones() < partners.count_ones() {
                (scarce, partners) = (at, possible);
                if possible.count_ones() <= 1 {
                    break;
                }
            }
        }
        free &= !(1 << scarce);
        match partners.count_ones() {
            0 => return false,
            1 => free &= !partners,
            _ => {
                let mut left = partners;
                while left != 0 && *choices > 0 {
                    *choices -= 1;
                    let partner = left & left.wrapping_neg();
                    left &= left - 1;
                    if pairs(free & !partner, rings, choices) {
                        return true;
                    }
                }
                return false;
            }
        }
    }
    true
}
