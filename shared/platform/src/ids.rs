//! Random names. In tests they come from a seed, so that a run repeats.

use rand::{Rng, SeedableRng, rngs::StdRng};
use sha2::{Digest, Sha256};
use std::sync::{Arc, Mutex, PoisonError};

/// A source of identifiers that are safe in URLs, document ids and object names. Cloning shares it.
#[derive(Clone)]
pub struct Ids(Arc<Mutex<StdRng>>);

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const LENGTH: usize = 24;

impl Ids {
    /// Seeded by the operating system.
    pub fn random() -> Self {
        Ids(Arc::new(Mutex::new(StdRng::from_os_rng())))
    }

    /// The same names in the same order for the same seed.
    pub fn seeded(seed: u64) -> Self {
        Ids(Arc::new(Mutex::new(StdRng::seed_from_u64(seed))))
    }

    /// 24 characters of Crockford's base 32: 120 bits, never in the order of creation.
    pub fn next(&self) -> String {
        let mut bytes = [0u8; LENGTH];
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fill(&mut bytes[..]);
        encode(&bytes)
    }

    /// The identifier that `parts` always have: 120 bits of their SHA-256, each part preceded by its length.
    pub fn derived(parts: &[&str]) -> String {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
        encode(&hash.finalize()[..LENGTH])
    }
}

fn encode(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte & 31)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_its_names_and_never_gives_one_twice() {
        let (a, b) = (Ids::seeded(7), Ids::seeded(7));
        let names: std::collections::HashSet<_> = (0..1000).map(|_| a.next()).collect();
        assert_eq!(names.len(), 1000);
        assert!(names.contains(&b.next()));
    }

    #[test]
    fn moving_a_character_between_parts_changes_the_derived_name() {
        assert_ne!(Ids::derived(&["ab", "c"]), Ids::derived(&["a", "bc"]));
        assert_eq!(Ids::derived(&["ab", "c"]), Ids::derived(&["ab", "c"]));
    }
}
