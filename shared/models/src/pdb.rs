//! The little that designs need of a PDB file: which residues it has, and the loops an HLT file labels.

use std::collections::BTreeSet;

/// The residues of a PDB text, as chain and number.
pub(crate) struct Residues(BTreeSet<(char, i32)>);

impl Residues {
    /// Of every residue with an alpha carbon; columns as the PDB format fixes them.
    pub fn of(pdb: &str) -> Self {
        let residue = |line: &str| {
            let alpha = line.starts_with("ATOM") && line.get(12..16)?.trim() == "CA";
            let chain = line.get(21..22)?.chars().next()?;
            alpha.then_some((chain, line.get(22..26)?.trim().parse().ok()?))
        };
        Residues(pdb.lines().filter_map(residue).collect())
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn has_chain(&self, chain: char) -> bool {
        self.0.iter().any(|residue| residue.0 == chain)
    }

    pub fn chains(&self) -> BTreeSet<char> {
        self.0.iter().map(|residue| residue.0).collect()
    }

    /// `B146`: whether chain B has a residue 146.
    pub fn has(&self, name: &str) -> bool {
        let mut letters = name.chars();
        let chain = letters.next().filter(char::is_ascii_alphanumeric);
        let number = letters.as_str().parse().ok().filter(|_| !letters.as_str().starts_with('+'));
        chain.zip(number).is_some_and(|residue| self.0.contains(&residue))
    }
}

/// The loops that an HLT file labels (`REMARK PDBinfo-LABEL: 32 H1`).
pub(crate) fn loop_labels(pdb: &str) -> BTreeSet<&str> {
    let labels = pdb.lines().filter_map(|line| line.strip_prefix("REMARK PDBinfo-LABEL:"));
    labels.filter_map(|label| label.split_whitespace().last()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn residues_are_counted_once_and_found_by_name() {
        let pdb = "ATOM      1  N   ALA B 146      1.0\nATOM      2  CA  ALA B 146      1.0\nATOM      3  CA  GLY B \
                   147      1.0\nHETATM    4  CA  CA  C   1      1.0\nREMARK PDBinfo-LABEL:   32 H1\n";
        let residues = Residues::of(pdb);
        assert_eq!(residues.len(), 2);
        assert!(residues.has("B146") && !residues.has("B148") && !residues.has("146") && !residues.has("B+146"));
        assert!(residues.has_chain('B') && !residues.has_chain('C'));
        assert_eq!(loop_labels(pdb), BTreeSet::from(["H1"]));
    }
}
