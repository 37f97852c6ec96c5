//! What the columns and data fields of ligand libraries are called: Enamine, ZINC, ChEMBL, PubChem, BindingDB and
//! spreadsheets of chemists. Names only; where the columns are is the formats' own matter.

/// Names of SMILES columns, best first, in the form [`key`] gives.
const SMILES: [&str; 10] = [
    "smiles",
    "canonicalsmiles",
    "isomericsmiles",
    "ligandsmiles",
    "smilesstring",
    "smi",
    "structuresmiles",
    "compoundsmiles",
    "moleculesmiles",
    "cxsmiles",
];
/// Names of name columns, best first; the first non-empty cell names the ligand.
const NAMES: [&str; 25] = [
    "name",
    "compoundname",
    "moleculename",
    "ligandname",
    "bindingdbligandname",
    "title",
    "id",
    "idnumber",
    "catalogid",
    "catalognumber",
    "catalogno",
    "zincid",
    "chemblid",
    "moleculechemblid",
    "cid",
    "pubchemcid",
    "pubchemcompoundcid",
    "compoundid",
    "compound",
    "moleculeid",
    "substanceid",
    "supplierid",
    "ligandid",
    "drugbankid",
    "bindingdbmonomerid",
];

/// A header as it is compared: lower case, without spaces, `_`, `-`, `.` and quotes.
pub(super) fn key(header: &str) -> String {
    header.chars().filter(|c| !matches!(c, ' ' | '_' | '-' | '.' | '"')).flat_map(char::to_lowercase).collect()
}

/// Which of the headers is the SMILES column, and which are name columns, best first.
pub(super) fn columns<S: AsRef<str>>(headers: &[S]) -> Option<(usize, Vec<usize>)> {
    let keys: Vec<String> = headers.iter().map(|header| key(header.as_ref())).collect();
    let find = |wanted: &&str| keys.iter().position(|key| key == wanted);
    let smiles = SMILES.iter().find_map(find).or_else(|| keys.iter().position(|key| key.ends_with("smiles")))?;
    let names = NAMES.iter().filter_map(find).filter(|at| *at != smiles).collect();
    Some((smiles, names))
}

/// Whether a data field holds SMILES.
pub(super) fn is_smiles(header: &str) -> bool {
    key(header).ends_with("smiles")
}

/// How good a data field is as a name, 0 the best; `None` if it is no name.
pub(super) fn name_rank(header: &str) -> Option<usize> {
    let key = key(header);
    NAMES.iter().position(|name| *name == key)
}
