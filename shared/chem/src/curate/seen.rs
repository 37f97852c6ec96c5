//! Which molecules a library has brought so far. Two are the same where their canonical SMILES are, but that is worked
//! out only for molecules that share a key: for most, nobody ever asks. No policy here.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use hashbrown::HashTable;
use sha2::{Digest, Sha256};

use crate::ligand::{Ligand, canonical};

/// Bytes of text kept together: one allocation, never copied as the library grows.
const TEXTS: usize = 1 << 20;

/// Ligands accepted so far. Takes 32 bytes and a place in a hash table for each, beside its SMILES and name.
#[derive(Debug, Default)]
pub(super) struct Seen {
    ligands: Vec<Known>,
    /// The first with each key, found by the key itself: it is a hash.
    by_key: HashTable<u32>,
    /// Those whose canonical SMILES was asked for.
    by_canonical: HashMap<Identity, u32>,
    texts: Vec<String>,
}

/// First 128 bits of SHA-256 of a canonical SMILES: with 10^7 ligands the chance of any false duplicate is about 10^-25.
type Identity = [u8; 16];

#[derive(Debug)]
struct Known {
    key: u64,
    row: u64,
    /// Where its SMILES begins; its name follows.
    text: u32,
    at: u32,
    smiles: u16,
    name: u16,
    in_by_canonical: bool,
}

impl Seen {
    /// Number of different ligands.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.ligands.len()
    }

    /// The first ligand with this key, by its place among the accepted ones.
    pub fn first_with(&self, key: u64) -> Option<u32> {
        self.by_key.find(key, |known| self.ligands[*known as usize].key == key).copied()
    }

    /// Whether the canonical SMILES of a ligand is known.
    pub fn is_ordered(&self, ligand: u32) -> bool {
        self.ligands[ligand as usize].in_by_canonical
    }

    /// Takes note of a canonical SMILES that was worked out elsewhere.
    pub fn order(&mut self, ligand: u32, canonical: &str) {
        self.by_canonical.entry(identity(canonical)).or_insert(ligand);
        self.ligands[ligand as usize].in_by_canonical = true;
    }

    pub fn row(&self, ligand: u32) -> u64 {
        self.ligands[ligand as usize].row
    }

    pub fn smiles(&self, ligand: u32) -> &str {
        self.texts_of(ligand).0
    }

    pub fn name(&self, ligand: u32) -> &str {
        self.texts_of(ligand).1
    }

    /// Adds a ligand, or says which one it is.
    pub fn add(&mut self, row: u64, name: &str, ligand: &Ligand) -> Result<(), u32> {
        let next = u32::try_from(self.ligands.len()).unwrap_or(u32::MAX);
        let Some(first) = self.first_with(ligand.key()) else {
            self.push(row, name, ligand, false);
            let ligands = &self.ligands;
            self.by_key.insert_unique(ligand.key(), next, |known| ligands[*known as usize].key);
            return Ok(());
        };
        if self.smiles(first) == ligand.smiles() {
            return Err(first);
        }
        if !self.is_ordered(first) {
            let canonical = canonical(self.smiles(first));
            self.order(first, &canonical);
        }
        match self.by_canonical.entry(identity(&ligand.canonical())) {
            Entry::Occupied(same) => Err(*same.get()),
            Entry::Vacant(free) => {
                free.insert(next);
                self.push(row, name, ligand, true);
                Ok(())
            }
        }
    }

    fn push(&mut self, row: u64, name: &str, ligand: &Ligand, in_by_canonical: bool) {
        let (key, smiles) = (ligand.key(), ligand.smiles());
        let length = smiles.len() + name.len();
        if self.texts.last().is_none_or(|text| text.len() + length > text.capacity()) {
            self.texts.push(String::with_capacity(TEXTS.max(length)));
        }
        let text = self.texts.len() - 1;
        let Some(last) = self.texts.last_mut() else { return };
        let at = last.len();
        last.push_str(smiles);
        last.push_str(name);
        let (smiles, name) = (smiles.len() as u16, name.len() as u16);
        self.ligands.push(Known { key, row, text: text as u32, at: at as u32, smiles, name, in_by_canonical });
    }

    fn texts_of(&self, ligand: u32) -> (&str, &str) {
        let known = &self.ligands[ligand as usize];
        let (start, middle) = (known.at as usize, known.at as usize + usize::from(known.smiles));
        let text = &self.texts[known.text as usize];
        (&text[start..middle], &text[middle..middle + usize::from(known.name)])
    }
}

fn identity(canonical: &str) -> Identity {
    let digest = Sha256::digest(canonical.as_bytes());
    let mut id = [0; 16];
    id.copy_from_slice(&digest[..16]);
    id
}
