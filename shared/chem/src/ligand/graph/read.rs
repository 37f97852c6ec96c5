//! SMILES to graph, for the part of the language that nearly all ligands are written in: the organic subset, brackets of
//! common elements, single and double and triple bonds, branches, ring bonds. Stereo marks are passed over: they change
//! neither validity nor the graph.

use super::{
    Atom, BORON, BROMINE, CARBON, CHLORINE, FLUORINE, Graph, IODINE, MOST_ATOMS, MOST_NEIGHBOURS, NITROGEN, OXYGEN,
    Order, PHOSPHORUS, SILICON, SULFUR,
};

/// What a bond symbol says, if there was one.
type Written = Option<Order>;

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    graph: Graph,
    /// The atom that the next one is bonded to.
    last: Option<usize>,
    /// The bond symbol that was just read.
    bond: Written,
    /// Whether a ring bond may come: after an atom and its other ring bonds, not at the ends of a branch.
    at_atom: bool,
    branches: Vec<usize>,
    rings: [Option<(u8, Written)>; 100],
    open_rings: u32,
}

/// The graph of one fragment; `None` for anything unusual, right or wrong.
pub(super) fn read(text: &[u8]) -> Option<Graph> {
    let room = text.len().min(MOST_ATOMS);
    let graph = Graph { atoms: Vec::with_capacity(room), bonds: Vec::with_capacity(room) };
    let (branches, rings) = (Vec::new(), [None; 100]);
    let mut reader =
        Reader { text, at: 0, graph, last: None, bond: None, at_atom: false, branches, rings, open_rings: 0 };
    while let Some(&byte) = text.get(reader.at) {
        reader.at += 1;
        reader.take(byte)?;
    }
    let complete = reader.bond.is_none() && reader.branches.is_empty() && reader.open_rings == 0;
    complete.then_some(reader.graph).filter(|graph| !graph.atoms.is_empty())
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        let (element, aromatic) = match byte {
            b'C' if self.eat(b'l') => (CHLORINE, false),
            b'B' if self.eat(b'r') => (BROMINE, false),
            b'[' => {
                let atom = self.bracket()?;
                return self.atom(atom);
            }
            b'(' => return self.open_branch(),
            b')' => return self.close_branch(),
            b'-' | b'/' | b'\\' => return self.symbol(Order::Single),
            b'=' => return self.symbol(Order::Double),
            b'#' => return self.symbol(Order::Triple),
            b'0'..=b'9' => return self.ring(usize::from(byte - b'0')),
            b'%' => {
                // `%09` is nothing that RDKit reads, nor what reads a ligand here to draw it.
                let (tens, ones) = (self.digit().filter(|tens| *tens > 0)?, self.digit()?);
                return self.ring(10 * usize::from(tens) + usize::from(ones));
            }
            letter => one_letter(letter)?,
        };
        self.atom(atom(element, aromatic))
    }

    fn digit(&mut self) -> Option<u8> {
        let digit = self.peek().filter(u8::is_ascii_digit)?;
        self.at += 1;
        Some(digit - b'0')
    }

    fn symbol(&mut self, order: Order) -> Option<()> {
        let free = self.last.is_some() && self.bond.is_none();
        self.bond = Some(order);
        free.then_some(())
    }

    /// A branch begins after an atom, and with a bond or an atom.
    fn open_branch(&mut self) -> Option<()> {
        let plain = self.bond.is_none() && !matches!(self.peek()?, b'(' | b')');
        self.branches.push(self.last?);
        self.at_atom = false;
        plain.then_some(())
    }

    fn close_branch(&mut self) -> Option<()> {
        self.last = Some(self.branches.pop()?);
        self.at_atom = false;
        self.bond.is_none().then_some(())
    }

    fn atom(&mut self, atom: Atom) -> Option<()> {
        let index = self.graph.atoms.len();
        if index == MOST_ATOMS {
            return None;
        }
        self.graph.atoms.push(atom);
        if let Some(last) = self.last {
            let order = self.order(last, index, self.bond);
            self.graph.bond(last, index, order)?;
        }
        (self.last, self.bond, self.at_atom) = (Some(index), None, true);
        Some(())
    }

    fn ring(&mut self, number: usize) -> Option<()> {
        let here = self.last.filter(|_| self.at_atom)?;
        let bond = self.bond.take();
        match self.rings[number].take() {
            None => {
                self.rings[number] = Some((u8::try_from(here).ok()?, bond));
                self.open_rings += 1;
            }
            Some((there, first)) => {
                let written = match (first, bond) {
                    (Some(first), Some(second)) if first != second => return None,
                    (first, second) => first.or(second),
                };
                let there = usize::from(there);
                let order = self.order(there, here, written);
                self.graph.bond(there, here, order)?;
                self.open_rings -= 1;
            }
        }
        Some(())
    }

    fn order(&self, a: usize, b: usize, written: Written) -> Order {
        let aromatic = self.graph.atoms[a].aromatic && self.graph.atoms[b].aromatic;
        written.unwrap_or(if aromatic { Order::Aromatic } else { Order::Single })
    }

    /// `[13C@@H2+]` without its opening bracket: isotope, element, chirality, hydrogens, charge. No atom classes.
    fn bracket(&mut self) -> Option<Atom> {
        if self.peek() == Some(b'0') {
            return None;
        }
        let mut isotope = 0;
        while let Some(digit) = self.digit() {
            isotope = 10 * isotope + u16::from(digit);
            if isotope > 999 {
                return None;
            }
        }
        let mut atom = self.element()?;
        atom.isotope = isotope;
        if self.eat(b'@') {
            self.eat(b'@');
        }
        let hydrogens = if self.eat(b'H') { self.digit().unwrap_or(1) } else { 0 };
        atom.written_hydrogens = Some(hydrogens);
        atom.charge = match self.peek()? {
            b'+' => 1,
            b'-' => -1,
            _ => 0,
        };
        if atom.charge != 0 {
            self.at += 1;
            self.eat(b'1');
        }
        self.eat(b']').then_some(atom)
    }

    /// An element in brackets. A second, lower-case letter belongs to it: `[Co]` is not carbon.
    fn element(&mut self) -> Option<Atom> {
        let first = self.peek()?;
        self.at += 1;
        let second = self.peek()?;
        if second.is_ascii_lowercase() {
            self.at += 1;
            let element = match (first, second) {
                (b'C', b'l') => CHLORINE,
                (b'B', b'r') => BROMINE,
                (b'S', b'i') => SILICON,
                _ => return None,
            };
            return Some(atom(element, false));
        }
        let (element, aromatic) = one_letter(first)?;
        Some(atom(element, aromatic))
    }
}

/// The element that one letter names, and whether it is an aromatic one.
fn one_letter(letter: u8) -> Option<(u8, bool)> {
    let element = match letter.to_ascii_uppercase() {
        b'C' => CARBON,
        b'N' => NITROGEN,
        b'O' => OXYGEN,
        b'S' => SULFUR,
        b'P' => PHOSPHORUS,
        b'B' => BORON,
        b'F' => FLUORINE,
        b'I' => IODINE,
        _ => return None,
    };
    let aromatic = matches!(letter, b'c' | b'n' | b'o' | b's');
    (aromatic || letter.is_ascii_uppercase()).then_some((element, aromatic))
}

fn atom(element: u8, aromatic: bool) -> Atom {
    Atom {
        element,
        aromatic,
        charge: 0,
        isotope: 0,
        written_hydrogens: None,
        hydrogens: 0,
        double_in_ring: false,
        degree: 0,
        neighbours: [(0, Order::Single); MOST_NEIGHBOURS],
    }
}
