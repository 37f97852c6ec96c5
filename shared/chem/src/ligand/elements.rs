//! Which elements are metals, and what they are called. A table, no chemistry.

/// Metals by atomic number with symbol and name. Metalloids (B, Si, Ge, As, Sb, Te) are not here:
/// they are part of real drugs and probes.
const METALS: [(u8, &str, &str); 84] = [
    (3, "Li", "lithium"),
    (4, "Be", "beryllium"),
    (11, "Na", "sodium"),
    (12, "Mg", "magnesium"),
    (13, "Al", "aluminium"),
    (19, "K", "potassium"),
    (20, "Ca", "calcium"),
    (21, "Sc", "scandium"),
    (22, "Ti", "titanium"),
    (23, "V", "vanadium"),
    (24, "Cr", "chromium"),
    (25, "Mn", "manganese"),
    (26, "Fe", "iron"),
    (27, "Co", "cobalt"),
    (28, "Ni", "nickel"),
    (29, "Cu", "copper"),
    (30, "Zn", "zinc"),
    (31, "Ga", "gallium"),
    (37, "Rb", "rubidium"),
    (38, "Sr", "strontium"),
    (39, "Y", "yttrium"),
    (40, "Zr", "zirconium"),
    (41, "Nb", "niobium"),
    (42, "Mo", "molybdenum"),
    (43, "Tc", "technetium"),
    (44, "Ru", "ruthenium"),
    (45, "Rh", "rhodium"),
    (46, "Pd", "palladium"),
    (47, "Ag", "silver"),
    (48, "Cd", "cadmium"),
    (49, "In", "indium"),
    (50, "Sn", "tin"),
    (55, "Cs", "caesium"),
    (56, "Ba", "barium"),
    (57, "La", "lanthanum"),
    (58, "Ce", "cerium"),
    (59, "Pr", "praseodymium"),
    (60, "Nd", "neodymium"),
    (61, "Pm", "promethium"),
    (62, "Sm", "samarium"),
    (63, "Eu", "europium"),
    (64, "Gd", "gadolinium"),
    (65, "Tb", "terbium"),
    (66, "Dy", "dysprosium"),
    (67, "Ho", "holmium"),
    (68, "Er", "erbium"),
    (69, "Tm", "thulium"),
    (70, "Yb", "ytterbium"),
    (71, "Lu", "lutetium"),
    (72, "Hf", "hafnium"),
    (73, "Ta", "tantalum"),
    (74, "W", "tungsten"),
    (75, "Re", "rhenium"),
    (76, "Os", "osmium"),
    (77, "Ir", "iridium"),
    (78, "Pt", "platinum"),
    (79, "Au", "gold"),
    (80, "Hg", "mercury"),
    (81, "Tl", "thallium"),
    (82, "Pb", "lead"),
    (83, "Bi", "bismuth"),
    (84, "Po", "polonium"),
    (87, "Fr", "francium"),
    (88, "Ra", "radium"),
    (89, "Ac", "actinium"),
    (90, "Th", "thorium"),
    (91, "Pa", "protactinium"),
    (92, "U", "uranium"),
    (93, "Np", "neptunium"),
    (94, "Pu", "plutonium"),
    (95, "Am", "americium"),
    (96, "Cm", "curium"),
    (97, "Bk", "berkelium"),
    (98, "Cf", "californium"),
    (99, "Es", "einsteinium"),
    (100, "Fm", "fermium"),
    (101, "Md", "mendelevium"),
    (102, "No", "nobelium"),
    (103, "Lr", "lawrencium"),
    (104, "Rf", "rutherfordium"),
    (105, "Db", "dubnium"),
    (106, "Sg", "seaborgium"),
    (107, "Bh", "bohrium"),
    (108, "Hs", "hassium"),
];

/// The non-metals and metalloids that messages may have to name.
const OTHERS: [(u8, &str, &str); 17] = [
    (1, "H", "hydrogen"),
    (5, "B", "boron"),
    (6, "C", "carbon"),
    (7, "N", "nitrogen"),
    (8, "O", "oxygen"),
    (9, "F", "fluorine"),
    (14, "Si", "silicon"),
    (15, "P", "phosphorus"),
    (16, "S", "sulfur"),
    (17, "Cl", "chlorine"),
    (32, "Ge", "germanium"),
    (33, "As", "arsenic"),
    (34, "Se", "selenium"),
    (35, "Br", "bromine"),
    (51, "Sb", "antimony"),
    (52, "Te", "tellurium"),
    (53, "I", "iodine"),
];

/// Metals whose ions are ordinary pharmaceutical counter-ions and go with the salt: Li, Na, K, Rb,
/// Cs, Mg, Ca, Sr, Ba, Al, Zn.
pub(super) fn is_counter_ion_metal(atomic_number: u8) -> bool {
    matches!(atomic_number, 3 | 11 | 12 | 13 | 19 | 20 | 30 | 37 | 38 | 55 | 56)
}

/// Whether the element is a metal (everything from rutherfordium on counts as one).
pub(super) fn is_metal(atomic_number: u8) -> bool {
    atomic_number > 103 || METALS.iter().any(|(z, ..)| *z == atomic_number)
}

/// Symbol and English name; elements no message should ever meet are "an element" by number.
pub(super) fn symbol_and_name(atomic_number: u8) -> (String, String) {
    METALS.iter().chain(&OTHERS).find(|(z, ..)| *z == atomic_number).map_or_else(
        || (format!("Z={atomic_number}"), format!("element {atomic_number}")),
        |(_, symbol, name)| ((*symbol).to_owned(), (*name).to_owned()),
    )
}
