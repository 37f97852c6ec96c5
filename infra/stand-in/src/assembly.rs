//! The molecules of one prediction, and coordinates for them: proteins as a bundle of ideal
//! helices, ligands as flat flakes beside it. Bond lengths are right, nothing else is meant to be.

use crate::draws::Draws;

/// One molecule of a prediction, under the name its files will carry.
#[derive(Debug, Clone)]
pub struct Chain {
    pub id: String,
    pub content: Content,
}

#[derive(Debug, Clone)]
pub enum Content {
    /// One-letter codes; what is not one of the twenty becomes `UNK`.
    Protein(String),
    /// The component's name and the elements of its heavy atoms.
    Ligand { name: String, elements: Vec<String> },
}

impl Chain {
    /// Tokens as the models count them: one for a residue, one for a ligand atom.
    pub fn tokens(&self) -> usize {
        match &self.content {
            Content::Protein(sequence) => sequence.chars().count(),
            Content::Ligand { elements, .. } => elements.len(),
        }
    }

    pub fn is_protein(&self) -> bool {
        matches!(self.content, Content::Protein(_))
    }
}

/// One atom with its place, in Å.
#[derive(Debug)]
pub struct Atom {
    pub element: String,
    pub name: String,
    /// Component name: a residue's three letters, or the ligand's.
    pub component: String,
    /// Position in the list of chains, from 0.
    pub chain: usize,
    /// Position in the chain, from 1; always 1 in a ligand.
    pub residue: usize,
    /// Position among all tokens of the prediction, from 0.
    pub token: usize,
    pub place: [f64; 3],
}

/// Residues in one helix of the bundle.
const HELIX: usize = 18;
/// Distance between neighbouring helices' axes, Å.
const SPACING: f64 = 10.0;
/// Backbone atoms of an ideal α-helix: name, radius (Å), angle (degrees) and height (Å) relative
/// to the Cα, which sits at radius 2.28 Å; each residue turns 100° and rises 1.5 Å.
const BACKBONE: [(&str, f64, f64, f64); 4] =
    [("N", 1.55, -27.7, -0.88), ("CA", 2.28, 0.0, 0.0), ("C", 1.66, 26.5, 1.11), ("O", 2.03, 21.0, 2.28)];
/// Bond length in a ligand's honeycomb, Å (benzene).
const BOND: f64 = 1.40;

/// Places every atom of every chain; `draws` moves each by a few hundredths of an Å, so that two
/// samples differ.
pub fn place(chains: &[Chain], draws: &mut Draws) -> Vec<Atom> {
    let mut atoms = Vec::new();
    let (mut helices, mut ligands, mut tokens) = (0, 0, 0);
    for (index, chain) in chains.iter().enumerate() {
        match &chain.content {
            Content::Protein(sequence) => {
                protein(sequence, index, helices, tokens, &mut atoms);
                helices += chain.tokens().div_ceil(HELIX);
            }
            Content::Ligand { name, elements } => {
                ligand(name, elements, index, ligands, tokens, &mut atoms);
                ligands += 1;
            }
        }
        tokens += chain.tokens();
    }
    for coordinate in atoms.iter_mut().flat_map(|atom| &mut atom.place) {
        *coordinate += draws.between(-0.03, 0.03);
    }
    atoms
}

fn protein(sequence: &str, chain: usize, helices: usize, tokens: usize, atoms: &mut Vec<Atom>) {
    for (i, letter) in sequence.chars().enumerate() {
        let (helix, step) = (helices + i / HELIX, i % HELIX);
        for (name, radius, angle, height) in BACKBONE {
            let turn = (angle + 100.0 * step as f64).to_radians();
            let (x, y) = (radius * turn.cos(), radius * turn.sin());
            let z = height + 1.5 * step as f64;
            atoms.push(Atom {
                element: name.chars().take(1).collect(),
                name: name.to_owned(),
                component: three_letters(letter).to_owned(),
                chain,
                residue: i + 1,
                token: tokens + i,
                place: stand(helix, [x, y, z]),
            });
        }
    }
}

/// Moves a helix to its column of the bundle, four to a row; every other one points down, by a
/// half turn about x, which keeps it right-handed.
fn stand(helix: usize, [x, y, z]: [f64; 3]) -> [f64; 3] {
    let (row, column) = (helix / 4, helix % 4);
    let (y, z) = if helix % 2 == 1 { (-y, 1.5 * (HELIX - 1) as f64 - z) } else { (y, z) };
    [x + SPACING * column as f64, y + SPACING * row as f64, z]
}

fn ligand(name: &str, elements: &[String], chain: usize, ligands: usize, tokens: usize, atoms: &mut Vec<Atom>) {
    let middle = [-8.0, 25.0 * ligands as f64, 13.0];
    for (i, (element, [y, z])) in elements.iter().zip(honeycomb(elements.len())).enumerate() {
        atoms.push(Atom {
            element: element.clone(),
            name: format!("{}{}", element.to_uppercase(), i + 1),
            component: name.to_owned(),
            chain,
            residue: 1,
            token: tokens + i,
            place: [middle[0], middle[1] + y, middle[2] + z],
        });
    }
}

/// The `n` sites of a honeycomb nearest its middle: each is one bond from another.
fn honeycomb(n: usize) -> Vec<[f64; 2]> {
    let half_width = BOND * 3_f64.sqrt() / 2.0;
    let reach = i32::try_from(n).unwrap_or(i32::MAX).min(200);
    let reach = f64::from(reach).sqrt().ceil() as i32 + 1;
    let mut sites = Vec::new();
    for row in -reach..=reach {
        for column in -reach..=reach {
            let y = half_width * f64::from(2 * column + row.rem_euclid(2));
            let z = 1.5 * BOND * f64::from(row);
            sites.push([y, z]);
            sites.push([y, z + BOND]);
        }
    }
    let distance = |[y, z]: &[f64; 2]| y.hypot(z - BOND / 2.0);
    sites.sort_by(|a, b| distance(a).total_cmp(&distance(b)));
    sites.truncate(n);
    sites
}

/// The three-letter code of a residue.
pub fn three_letters(letter: char) -> &'static str {
    RESIDUES.iter().find(|(one, _)| *one == letter).map_or("UNK", |(_, three)| three)
}

/// The twenty standard residues.
pub const RESIDUES: [(char, &str); 20] = [
    ('A', "ALA"),
    ('R', "ARG"),
    ('N', "ASN"),
    ('D', "ASP"),
    ('C', "CYS"),
    ('Q', "GLN"),
    ('E', "GLU"),
    ('G', "GLY"),
    ('H', "HIS"),
    ('I', "ILE"),
    ('L', "LEU"),
    ('K', "LYS"),
    ('M', "MET"),
    ('F', "PHE"),
    ('P', "PRO"),
    ('S', "SER"),
    ('T', "THR"),
    ('W', "TRP"),
    ('Y', "TYR"),
    ('V', "VAL"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn distance(a: &Atom, b: &Atom) -> f64 {
        let squares = a.place.iter().zip(&b.place).map(|(p, q)| (p - q).powi(2));
        squares.sum::<f64>().sqrt()
    }

    fn complex() -> Vec<Atom> {
        let protein = Chain { id: "A".into(), content: Content::Protein("M".repeat(40)) };
        let ligand =
            Chain { id: "B".into(), content: Content::Ligand { name: "LIG1".into(), elements: vec!["C".into(); 30] } };
        place(&[protein, ligand], &mut Draws::of(&["x"]))
    }

    #[test]
    fn backbone_bonds_have_their_length() {
        let atoms = complex();
        let [n, ca, c, o, next_n] = [0, 1, 2, 3, 4].map(|i| &atoms[i]);
        for (a, b, length) in [(n, ca, 1.46), (ca, c, 1.53), (c, o, 1.23), (c, next_n, 1.33)] {
            assert!((distance(a, b) - length).abs() < 0.12, "{} {}", a.name, b.name);
        }
    }

    #[test]
    fn every_ligand_atom_is_bonded_and_none_touches_the_protein() {
        let atoms = complex();
        let (protein, ligand) = atoms.split_at(160);
        for atom in ligand {
            let bonded = |other: &&Atom| (0.1..1.6).contains(&distance(atom, other));
            assert!(ligand.iter().any(|other| bonded(&other)));
            assert!(protein.iter().all(|other| distance(atom, other) > 3.0));
        }
    }
}
