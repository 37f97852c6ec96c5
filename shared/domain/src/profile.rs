//! What finished shards taught about a model's times. Kept are ratios of what was measured to what the model's built-in
//! profile says, because the built-in one already knows what a parameter costs: a ratio learned with few sampling steps
//! holds for many. One ratio for loading, one for all work, one for each size of target and ligand; what was seen rarely
//! leans on what was seen more.

use crate::{CostProfile, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Heavy atoms of the largest ligands of each class.
const LIGANDS: [u32; 6] = [15, 25, 35, 50, 80, 128];
/// Residues of the largest targets of each class.
const TARGETS: [u32; 8] = [150, 300, 450, 600, 800, 1000, 1300, 2048];
/// The built-in profile counts as much as so many ligands that were measured.
const PRIOR: f64 = 30.0;
/// A ratio remembers about so many ligands: older ones fade.
const REMEMBERED: f64 = 1000.0;
/// A shard counts as at most so many ligands: the ligands of one shard were slow or fast together.
const OF_ONE_SHARD: f64 = 50.0;
/// Ligands that one measured loading counts for.
const OF_ONE_LOAD: f64 = 10.0;
/// How far a measurement may lie from what is known, as natural logarithm of the ratio; beyond, it counts as that far.
/// While little is known a factor of eight, later a factor of two.
const FAR: f64 = 2.08;
const NEAR: f64 = 0.69;

/// The class of a ligand: heavy atoms of the largest ligands in it.
pub fn ligand_class(heavy_atoms: u32) -> u32 {
    class(&LIGANDS, heavy_atoms)
}

fn class(largest: &[u32], size: u32) -> u32 {
    let found = largest.iter().copied().find(|most| size <= *most);
    found.or_else(|| largest.last().copied()).unwrap_or_default()
}

/// A ratio of measured to built-in times, and how much it was learned from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Ratio {
    /// Natural logarithm of the ratio.
    log: f64,
    /// In ligands.
    weight: f64,
}

impl Ratio {
    fn learn(&mut self, ratio: f64, weight: f64) {
        let reach = if self.weight < PRIOR { FAR } else { NEAR };
        let seen = ratio.ln().clamp(self.log - reach, self.log + reach);
        self.weight = (self.weight + weight).min(REMEMBERED);
        self.log += (seen - self.log) * weight / self.weight;
    }

    /// The logarithm to go by, where `prior` is what to think without having seen anything.
    fn over(self, prior: f64) -> f64 {
        (self.log * self.weight + prior * PRIOR) / (self.weight + PRIOR)
    }
}

/// The document of a model on one kind of GPU.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Learned {
    load: Ratio,
    work: Ratio,
    /// By the classes of target and ligand, `300x35`.
    cells: BTreeMap<String, Ratio>,
    /// Shards it was learned from.
    pub shards: u64,
    pub updated_at: Timestamp,
}

/// An item of a shard that was measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MeasuredItem {
    pub heavy_atoms: u32,
    /// Seconds that the built-in profile says for this item.
    pub expected_seconds: f64,
}

/// A finished shard.
#[derive(Clone, Debug, PartialEq)]
pub struct Measurement {
    pub target_residues: u32,
    /// GPU seconds of the attempt that ran all of it, loading included.
    pub gpu_seconds: f64,
    /// Of them until the model was ready, where the tool said when that was.
    pub load_seconds: Option<f64>,
    /// Seconds to load that the built-in profile says.
    pub expected_load_seconds: f64,
    pub items: Vec<MeasuredItem>,
}

impl Learned {
    /// Nothing learned: the built-in profile holds.
    pub fn new(now: Timestamp) -> Self {
        let none = Ratio::default();
        Learned { load: none, work: none, cells: BTreeMap::new(), shards: 0, updated_at: now }
    }

    /// Takes a shard in. One without items, or whose time was all loading, teaches nothing; true if it did.
    pub fn learn(&mut self, shard: &Measurement, now: Timestamp) -> bool {
        let known_load = shard.expected_load_seconds * self.load.over(0.0).exp();
        let work = shard.gpu_seconds - shard.load_seconds.unwrap_or(known_load);
        let expected: f64 = shard.items.iter().map(|item| item.expected_seconds).sum();
        let ratio = work / expected;
        if !(ratio.is_finite() && ratio > 0.0) {
            return false;
        }
        if let Some(load) = shard.load_seconds.filter(|load| *load > 0.0 && shard.expected_load_seconds > 0.0) {
            self.load.learn(load / shard.expected_load_seconds, OF_ONE_LOAD);
        }
        let count = shard.items.len() as f64;
        let of_each = count.min(OF_ONE_SHARD) / count;
        self.work.learn(ratio, count * of_each);
        let mut by_cell = BTreeMap::<String, f64>::new();
        for item in &shard.items {
            *by_cell.entry(cell(shard.target_residues, item.heavy_atoms)).or_default() += of_each;
        }
        for (cell, weight) in by_cell {
            self.cells.entry(cell).or_default().learn(ratio, weight);
        }
        self.shards += 1;
        self.updated_at = now;
        true
    }

    /// The built-in times of a ligand against a target, corrected by what was learned.
    pub fn correct(&self, built_in: CostProfile, target_residues: u32, heavy_atoms: u32) -> CostProfile {
        let known = self.cells.get(&cell(target_residues, heavy_atoms)).copied().unwrap_or_default();
        CostProfile {
            load_seconds: built_in.load_seconds * self.load.over(0.0).exp(),
            item_seconds: built_in.item_seconds * known.over(self.work.over(0.0)).exp(),
        }
    }
}

fn cell(target_residues: u32, heavy_atoms: u32) -> String {
    format!("{}x{}", class(&TARGETS, target_residues), ligand_class(heavy_atoms))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUILT_IN: CostProfile = CostProfile { load_seconds: 90.0, item_seconds: 30.0 };

    fn now() -> Timestamp {
        chrono::DateTime::UNIX_EPOCH.into()
    }

    /// A shard of fifty ligands of 30 atoms against 290 residues that took so long to load and for each.
    fn shard(load: f64, item: f64) -> Measurement {
        Measurement {
            target_residues: 290,
            gpu_seconds: load + 50.0 * item,
            load_seconds: Some(load),
            expected_load_seconds: 90.0,
            items: vec![MeasuredItem { heavy_atoms: 30, expected_seconds: 30.0 }; 50],
        }
    }

    fn after(shards: &[Measurement]) -> Learned {
        let mut learned = Learned::new(now());
        assert!(shards.iter().all(|shard| learned.learn(shard, now())));
        learned
    }

    #[test]
    fn without_a_shard_the_built_in_profile_holds_and_with_many_the_measured_times() {
        assert_eq!(Learned::new(now()).correct(BUILT_IN, 290, 30), BUILT_IN);
        let once = after(&[shard(45.0, 60.0)]).correct(BUILT_IN, 290, 30);
        assert!(once.item_seconds > 40.0 && once.item_seconds < 60.0, "{once:?}");
        let often = after(&vec![shard(45.0, 60.0); 40]).correct(BUILT_IN, 290, 30);
        assert!((often.item_seconds - 60.0).abs() < 2.5 && (often.load_seconds - 45.0).abs() < 3.0, "{often:?}");
    }

    #[test]
    fn one_absurd_shard_moves_little_and_a_new_truth_is_learned() {
        let mut learned = after(&vec![shard(90.0, 30.0); 20]);
        learned.learn(&shard(90.0, 30_000.0), now());
        assert!(learned.correct(BUILT_IN, 290, 30).item_seconds < 32.0);
        (0..60).for_each(|_| _ = learned.learn(&shard(90.0, 15.0), now()));
        assert!(learned.correct(BUILT_IN, 290, 30).item_seconds < 17.0, "the GPU became twice as fast");
    }

    #[test]
    fn what_was_never_seen_leans_on_what_was_and_other_sizes_keep_their_own_ratio() {
        let large = Measurement {
            target_residues: 900,
            items: vec![MeasuredItem { heavy_atoms: 30, expected_seconds: 30.0 }; 50],
            ..shard(90.0, 120.0)
        };
        let learned = after(&[vec![shard(90.0, 60.0); 20], vec![large; 20]].concat());
        let seconds = |residues, atoms| learned.correct(BUILT_IN, residues, atoms).item_seconds;
        assert!((seconds(290, 30) - 60.0).abs() < 4.0 && (seconds(900, 30) - 120.0).abs() < 8.0);
        let unseen = seconds(500, 60);
        assert!(unseen > 60.0 && unseen < 120.0, "{unseen}");
    }

    #[test]
    fn a_shard_without_work_teaches_nothing() {
        let mut learned = Learned::new(now());
        let none = Measurement { items: vec![], ..shard(90.0, 30.0) };
        let all_loading = Measurement { gpu_seconds: 80.0, load_seconds: None, ..shard(90.0, 30.0) };
        assert!(!learned.learn(&none, now()) && !learned.learn(&all_loading, now()));
        assert_eq!(learned, Learned::new(now()));
    }

    #[test]
    fn the_load_is_taken_from_what_is_known_where_the_tool_did_not_tell_it() {
        let silent = Measurement { load_seconds: None, gpu_seconds: 90.0 + 50.0 * 60.0, ..shard(0.0, 0.0) };
        let corrected = after(&vec![silent; 20]).correct(BUILT_IN, 290, 30);
        assert!((corrected.item_seconds - 60.0).abs() < 4.0 && corrected.load_seconds == 90.0, "{corrected:?}");
    }
}
