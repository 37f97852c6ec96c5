//! A quick look at a SMILES: the graph of a plain organic molecule, whether its valences and aromatic rings hold, and a
//! key that all spellings of it share. It knows a part of the language and of chemistry and says so where that ends:
//! whatever it does not accept is for the chemistry library to judge, and it never refuses anything itself.

mod aromatic;
mod key;
mod read;
mod valence;

pub(super) use key::{Vertex, key};

/// Most atoms of a graph here: what fits the sets of atoms that the search for double bonds works on.
const MOST_ATOMS: usize = 128;
/// Most neighbours of an atom: as sulfur in SF6.
const MOST_NEIGHBOURS: usize = 6;

/// A plain organic molecule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Plain {
    pub heavy_atoms: u32,
    /// Equal for all spellings of a molecule, and for few others: its stereoisomers, mostly.
    pub key: u64,
}

/// Looks at one fragment. `None` means "not known here", never "wrong".
pub(super) fn plain(smiles: &str) -> Option<Plain> {
    let mut graph = read::read(smiles.as_bytes())?;
    if !graph.atoms.iter().any(|atom| atom.element == CARBON) {
        return None;
    }
    if graph.atoms.iter().any(|atom| atom.aromatic) {
        aromatic::settle(&mut graph)?;
    }
    valence::settle(&mut graph)?;
    let heavy_atoms = u32::try_from(graph.atoms.len()).ok()?;
    Some(Plain { heavy_atoms, key: graph.key() })
}

const BORON: u8 = 5;
const CARBON: u8 = 6;
const NITROGEN: u8 = 7;
const OXYGEN: u8 = 8;
const FLUORINE: u8 = 9;
const SILICON: u8 = 14;
const PHOSPHORUS: u8 = 15;
const SULFUR: u8 = 16;
const CHLORINE: u8 = 17;
const BROMINE: u8 = 35;
const IODINE: u8 = 53;

/// Bond orders as they count towards a valence once aromatic rings are settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Single = 1,
    Double = 2,
    Triple = 3,
    /// Between two lower-case atoms; settled as single for the valence, the double bonds being dealt out to atoms.
    Aromatic = 0,
}

#[derive(Debug, Clone)]
struct Atom {
    element: u8,
    aromatic: bool,
    charge: i8,
    isotope: u16,
    /// As written in brackets; `None` for atoms without, whose hydrogens follow from their bonds.
    written_hydrogens: Option<u8>,
    /// Hydrogens in all, once the valence is settled.
    hydrogens: u8,
    /// Whether one of its aromatic bonds is double, once the aromatic rings are settled.
    double_in_ring: bool,
    degree: u8,
    neighbours: [(u8, Order); MOST_NEIGHBOURS],
}

impl Atom {
    fn neighbours(&self) -> &[(u8, Order)] {
        &self.neighbours[..usize::from(self.degree)]
    }
}

#[derive(Debug, Default)]
struct Graph {
    atoms: Vec<Atom>,
    bonds: Vec<(usize, usize)>,
}

impl Graph {
    /// Joins two atoms; `None` if they are one, joined already, or have no room.
    fn bond(&mut self, a: usize, b: usize, order: Order) -> Option<()> {
        if a == b || self.atoms[a].neighbours().iter().any(|(other, _)| usize::from(*other) == b) {
            return None;
        }
        for (from, to) in [(a, b), (b, a)] {
            let atom = &mut self.atoms[from];
            *atom.neighbours.get_mut(usize::from(atom.degree))? = (u8::try_from(to).ok()?, order);
            atom.degree += 1;
        }
        self.bonds.push((a, b));
        Some(())
    }

    fn key(&self) -> u64 {
        let vertex = |atom: &Atom| Vertex { element: atom.element, isotope: atom.isotope, hydrogens: atom.hydrogens };
        let vertices: Vec<Vertex> = self.atoms.iter().map(vertex).collect();
        key(&vertices, &self.bonds)
    }
}

#[cfg(test)]
mod tests;
