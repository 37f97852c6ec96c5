//! Which part of a SMILES is the ligand: salts, solvents, copies, mixtures, and the checks on the
//! fragment that is kept.

use std::collections::HashSet;
use std::sync::LazyLock;

use cosmolkit::Molecule;

use super::{LigandError, MAX_HEAVY_ATOMS, Note, elements, toolkit};

/// A second fragment of more heavy atoms than this, and at least half the first's, is no
/// counter-ion unless it is a known one: the row is a mixture.
const LARGEST_UNKNOWN_COUNTER_ION: u32 = 12;
/// Heavy atoms of the largest entry of the table below, with room: larger fragments are not
/// looked up.
const LARGEST_KNOWN_COUNTER_ION: u32 = 32;

/// Organic acids, bases and solvents that accompany drugs as salts and solvates, in neutral form,
/// without stereo. A drug is never dropped in favour of one of these, however small the drug.
const COUNTER_IONS: &str = "
    C(=O)O CC(=O)O CCC(=O)O FC(F)(F)C(=O)O OCC(=O)O CC(O)C(=O)O OC(=O)C(=O)O OC(=O)CC(=O)O
    OC(=O)CCC(=O)O OC(=O)CCCCC(=O)O OC(=O)C=CC(=O)O OC(=O)CC(O)C(=O)O OC(=O)C(O)C(O)C(=O)O
    OC(=O)CC(O)(CC(=O)O)C(=O)O OCC(O)C(O)C(O)C(O)C(=O)O OC(=O)C(O)C(O)C(O)C(O)C(=O)O
    OCC(O)C(O)C(O)C(O)C(O)C(=O)O OC(=O)c1ccccc1 OC(=O)c1ccccc1O OC(=O)C(O)c1ccccc1
    OC(=O)c1ccc2ccccc2c1O OC(=O)c1cc2ccccc2cc1O OC(=O)CNC(=O)c1ccccc1 OC(=O)c1cccnc1
    OC(=O)c1cc2ccccc2c(Cc2c(O)c(C(=O)O)cc3ccccc23)c1O O=C1C=C(NC(=O)N1)C(=O)O
    OCC(O)C1OC(=O)C(O)=C1O NC(CCC(=O)O)C(=O)O NC(CC(=O)O)C(=O)O O=C1NS(=O)(=O)c2ccccc12
    CS(=O)(=O)O CCS(=O)(=O)O OCCS(=O)(=O)O FC(F)(F)S(=O)(=O)O OS(=O)(=O)c1ccccc1
    Cc1ccc(cc1)S(=O)(=O)O OS(=O)(=O)CCS(=O)(=O)O OS(=O)(=O)c1ccc2ccccc2c1
    OS(=O)(=O)c1cccc2c(cccc12)S(=O)(=O)O CC1(C)C2CCC1(CS(=O)(=O)O)C(=O)C2 COS(=O)(=O)O
    OS(=O)(=O)NC1CCCCC1 SC#N
    CNCC(O)C(O)C(O)C(O)CO NC(CO)(CO)CO NCCO OCCNCCO OCCN(CCO)CCO CCN(CC)CC CCNCC CN(C)C CNC
    CC(C)NC(C)C NCCN C1CNCCN1 C1CCNCC1 C1COCCN1 c1ccncc1 NC(CCCCN)C(=O)O NC(CCCNC(=N)N)C(=O)O
    C[N+](C)(C)CCO CCCC[N+](CCCC)(CCCC)CCCC CC[N+](CC)(CC)CC C(NCCNCc1ccccc1)c1ccccc1
    C1CCC(CC1)NC1CCCCC1 CC(C)(C)N
    CO CCO CC(C)O CCCO CC(C)=O CS(C)=O CN(C)C=O CC#N ClCCl ClC(Cl)Cl C1CCOC1 CCOC(C)=O
    C1COCCO1 Cc1ccccc1 c1ccccc1 CC(O)CO OCCO OCC(O)CO CCOCC
";

static KNOWN: LazyLock<HashSet<String>> =
    LazyLock::new(|| COUNTER_IONS.split_whitespace().filter_map(|smiles| charge_free_key(smiles).ok()).collect());

/// The fragment to run, and what was left out to get it.
pub(super) struct Kept {
    /// The fragment as written, where its text stands alone, otherwise its canonical SMILES; `None` for the whole text.
    pub smiles: Option<String>,
    /// `None` where it was not needed.
    pub canonical: Option<String>,
    /// [`graph::Plain::key`].
    pub key: u64,
    pub heavy_atoms: u32,
    pub notes: Vec<Note>,
}

struct Fragment {
    /// Position among the fragments as written.
    position: usize,
    molecule: Molecule,
    canonical: String,
    heavy_atoms: u32,
    carbon: bool,
    copies: u32,
}

/// Chooses the ligand among the fragments of `smiles` and checks it.
pub(super) fn keep(smiles: &str) -> Result<Kept, LigandError> {
    let molecule = toolkit::read(smiles)?;
    if molecule.atoms().iter().any(|atom| atom.atomic_number() == 0) {
        return Err(LigandError::Placeholder);
    }
    if !smiles.contains('.') {
        return whole(&molecule);
    }
    let parts = molecule.fragments().map_err(|_| LigandError::Unprocessable)?;
    if let [only] = parts.as_slice() {
        return whole(only);
    }
    let distinct = distinct(parts)?;
    let main = choose(&distinct)?;
    check(&distinct[main].molecule)?;
    kept(smiles, distinct, main)
}

/// A molecule of one fragment.
fn whole(molecule: &Molecule) -> Result<Kept, LigandError> {
    check(molecule)?;
    let (canonical, key) = (toolkit::canonical(molecule, true)?, toolkit::graph_key(molecule)?);
    let heavy_atoms = heavy_atoms(molecule);
    Ok(Kept { smiles: None, canonical: Some(canonical), key, heavy_atoms, notes: vec![] })
}

/// Fragments with equal ones counted together, in the order written.
fn distinct(parts: Vec<Molecule>) -> Result<Vec<Fragment>, LigandError> {
    let mut found: Vec<Fragment> = Vec::new();
    for (position, molecule) in parts.into_iter().enumerate() {
        let heavy_atoms = heavy_atoms(&molecule);
        if heavy_atoms > MAX_HEAVY_ATOMS {
            return Err(LigandError::TooManyHeavyAtoms { heavy_atoms });
        }
        let canonical = toolkit::canonical(&molecule, true)?;
        match found.iter_mut().find(|fragment| fragment.canonical == canonical) {
            Some(same) => same.copies += 1,
            None => {
                let carbon = has_carbon(&molecule);
                found.push(Fragment { position, molecule, canonical, heavy_atoms, carbon, copies: 1 });
            }
        }
    }
    Ok(found)
}

/// Index of the largest organic fragment that is no known counter-ion, or of the largest organic
/// one where all are known. A fragment written several times over stands alone, organic or not.
fn choose(fragments: &[Fragment]) -> Result<usize, LigandError> {
    for fragment in fragments {
        refuse_active_metal(&fragment.molecule, fragments.len() > 1)?;
    }
    let organic: Vec<usize> = (0..fragments.len()).filter(|&i| fragments[i].carbon).collect();
    let unknown: Vec<usize> = organic.iter().copied().filter(|&i| !is_known_counter_ion(&fragments[i])).collect();
    let size = |index: &usize| fragments[*index].heavy_atoms;
    let mut by_size = if unknown.is_empty() { organic } else { unknown };
    by_size.sort_by_key(|index| std::cmp::Reverse(size(index)));
    if let [first, second, ..] = by_size.as_slice() {
        let (largest, second) = (size(first), size(second));
        if second > LARGEST_UNKNOWN_COUNTER_ION && 2 * second >= largest {
            return Err(LigandError::Mixture { largest, second });
        }
    }
    match (by_size.first(), fragments.len()) {
        (Some(main), _) => Ok(*main),
        (None, 1) => Ok(0),
        (None, _) => Err(LigandError::NoCarbon),
    }
}

fn kept(written: &str, fragments: Vec<Fragment>, main: usize) -> Result<Kept, LigandError> {
    let mut notes = Vec::new();
    let copies = fragments[main].copies;
    if copies > 1 {
        notes.push(Note::CopiesRemoved { copies });
    }
    let removed: Vec<String> = fragments
        .iter()
        .enumerate()
        .filter(|(index, _)| *index != main)
        .flat_map(|(_, f)| std::iter::repeat_n(f.canonical.clone(), f.copies as usize))
        .collect();
    if !removed.is_empty() {
        notes.push(Note::SaltRemoved { removed });
    }
    let all: usize = fragments.iter().map(|fragment| fragment.copies as usize).sum();
    let Fragment { position, molecule, canonical, heavy_atoms, .. } = &fragments[main];
    let parts: Vec<&str> = written.split('.').collect();
    // A ring bond across a dot, or a dot inside a branch, parts the text otherwise than the molecule.
    let is_it =
        |part: &&str| toolkit::read(part).and_then(|read| toolkit::canonical(&read, true)).as_ref() == Ok(canonical);
    let part = parts.get(*position).copied().filter(|_| parts.len() == all).filter(is_it);
    let smiles = part.unwrap_or(canonical);
    let (smiles, canonical) = (Some(smiles.to_owned()), Some(canonical.clone()));
    Ok(Kept { smiles, canonical, key: toolkit::graph_key(molecule)?, heavy_atoms: *heavy_atoms, notes })
}

/// What every ligand must satisfy, whatever it came with.
fn check(molecule: &Molecule) -> Result<(), LigandError> {
    refuse_active_metal(molecule, false)?;
    if !has_carbon(molecule) {
        let water = heavy_atoms(molecule) == 1
            && molecule.atoms().iter().any(|a| a.atomic_number() == 8 && a.formal_charge() == 0);
        return Err(if water { LigandError::Water } else { LigandError::NoCarbon });
    }
    let heavy_atoms = heavy_atoms(molecule);
    if heavy_atoms > MAX_HEAVY_ATOMS {
        return Err(LigandError::TooManyHeavyAtoms { heavy_atoms });
    }
    toolkit::connection_table(molecule)?;
    match molecule.atoms().iter().find(|atom| atom.radical_electrons() > 0) {
        Some(atom) => {
            let (symbol, name) = elements::symbol_and_name(atom.atomic_number());
            Err(LigandError::Radical { symbol, name })
        }
        None => Ok(()),
    }
}

/// Refuses metals. As a fragment of a salt, an ordinary counter-ion metal without carbon passes;
/// a lone transition-metal ion does not: such a row is a coordination compound written apart.
fn refuse_active_metal(molecule: &Molecule, of_a_salt: bool) -> Result<(), LigandError> {
    let spared = of_a_salt && !has_carbon(molecule);
    let offender = molecule
        .atoms()
        .iter()
        .map(|atom| atom.atomic_number())
        .find(|&number| elements::is_metal(number) && !(spared && elements::is_counter_ion_metal(number)));
    match offender {
        Some(number) => {
            let (symbol, name) = elements::symbol_and_name(number);
            Err(LigandError::Metal { symbol, name })
        }
        None => Ok(()),
    }
}

fn is_known_counter_ion(fragment: &Fragment) -> bool {
    fragment.heavy_atoms <= LARGEST_KNOWN_COUNTER_ION
        && toolkit::canonical(&fragment.molecule, false)
            .and_then(|flat| charge_free_key(&flat))
            .is_ok_and(|key| KNOWN.contains(&key))
}

/// Canonical SMILES with acid and base charges taken away, so that a salt's ion and the neutral
/// acid or base compare equal. Stereo must be absent from the input.
fn charge_free_key(flat: &str) -> Result<String, LigandError> {
    let neutral = [
        ("[O-]", "O"),
        ("[S-]", "S"),
        ("[N-]", "N"),
        ("[n-]", "[nH]"),
        ("[NH3+]", "N"),
        ("[NH2+]", "N"),
        ("[NH+]", "N"),
        ("[nH+]", "n"),
        ("[NH2]", "N"),
        ("[NH]", "N"),
    ]
    .iter()
    .fold(flat.to_owned(), |text, (ion, atom)| text.replace(ion, atom));
    toolkit::canonical(&toolkit::read(&neutral)?, false)
}

fn heavy_atoms(molecule: &Molecule) -> u32 {
    let heavy = molecule.atoms().iter().filter(|atom| atom.atomic_number() > 1).count();
    u32::try_from(heavy).unwrap_or(u32::MAX)
}

fn has_carbon(molecule: &Molecule) -> bool {
    molecule.atoms().iter().any(|atom| atom.atomic_number() == 6)
}
