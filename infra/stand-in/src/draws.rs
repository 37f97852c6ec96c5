//! Numbers that look random and never change: a stream drawn from a SHA-256 of the input.
//! Nothing here may look at a clock or a real source of randomness.

use sha2::{Digest, Sha256};

/// An endless stream of numbers, fixed by what it was made from.
pub struct Draws {
    origin: [u8; 32],
    drawn: u64,
}

impl Draws {
    /// The stream of `parts`; another part, or another order, is another stream.
    pub fn of(parts: &[&str]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
        Self { origin: hash.finalize().into(), drawn: 0 }
    }

    /// A number in the open interval from `low` to `high`.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        let mut hash = Sha256::new();
        hash.update(self.origin);
        hash.update(self.drawn.to_le_bytes());
        self.drawn += 1;
        let bytes: [u8; 32] = hash.finalize().into();
        let word = bytes.iter().take(4).fold(0_u32, |word, &byte| word << 8 | u32::from(byte));
        low + (f64::from(word) + 0.5) / 4_294_967_296.0 * (high - low)
    }

    /// A bell-shaped number around 0 with standard deviation 1, between −3.5 and 3.5
    /// (the scaled sum of four uniform numbers).
    pub fn bell(&mut self) -> f64 {
        let sum: f64 = (0..4).map(|_| self.between(-1.0, 1.0)).sum();
        sum * 0.75_f64.sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_parts_always_draw_the_same_numbers() {
        let draw = |parts: &[&str]| Draws::of(parts).between(0.0, 1.0);
        assert_eq!(draw(&["a", "bc"]), draw(&["a", "bc"]));
        assert_ne!(draw(&["a", "bc"]), draw(&["ab", "c"]));
    }

    #[test]
    fn numbers_stay_inside_their_interval() {
        let mut draws = Draws::of(&["x"]);
        assert!((0..500).map(|_| draws.between(2.0, 3.0)).all(|n| 2.0 < n && n < 3.0));
        assert!((0..500).map(|_| draws.bell()).all(|n| n.abs() < 3.5));
    }
}
