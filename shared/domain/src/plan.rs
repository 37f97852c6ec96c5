//! How a run is cut into shards. A model takes a minute or more to load, so ligands share a task until loading is a
//! small part of it; a shard stays well under the task limit; a small batch spreads out when the user wants speed.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Loading may take this share of a shard's GPU time where the run is large enough.
const LOAD_SHARE: f64 = 0.05;
/// When spreading a small run over the GPUs, loading may take this share.
const SPREAD_LOAD_SHARE: f64 = 0.25;
/// The longest a shard is planned to take, in seconds: two thirds of the hour a GPU task may take on Cloud Run.
const LONGEST_SHARD: f64 = 2400.0;

/// How much haste the user is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// One GPU, as few loads as can be: the cheapest.
    Sequential,
    /// As many GPUs as pay for their loading.
    #[default]
    Adaptive,
    /// All GPUs at once: the fastest.
    Parallel,
}

/// What one item costs in time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CostProfile {
    /// Seconds from a task's start until the model is ready.
    pub load_seconds: f64,
    /// Seconds for one item.
    pub item_seconds: f64,
}

/// What a plan is made from.
#[derive(Clone, Copy, Debug)]
pub struct Planning {
    pub items: u32,
    pub profile: CostProfile,
    pub strategy: Strategy,
    /// GPUs that the run may hold at once.
    pub slots: u32,
}

/// How a run is cut. Decided once, before the first shard is written: whoever materialises it later, or again, makes
/// the same shards.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Plan {
    /// Number of shards.
    pub shards: u32,
    pub items: u32,
    /// GPU seconds over all shards, loading included.
    pub gpu_seconds: f64,
    /// Seconds from the first start to the end if the GPUs are free.
    pub seconds: f64,
    /// True once every shard's document and input is written.
    pub ready: bool,
}

impl Planning {
    /// The plan; a run of no items has no shards.
    pub fn plan(&self) -> Plan {
        let most = self.most_items_per_shard();
        let slots = self.slots.max(1);
        let per_shard = match self.strategy {
            Strategy::Sequential => most,
            Strategy::Adaptive => {
                let worth_it = self.items_for_load_share(SPREAD_LOAD_SHARE);
                let spread = self.items.div_ceil(slots).max(worth_it);
                spread.min(self.items_for_load_share(LOAD_SHARE)).min(most)
            }
            Strategy::Parallel => self.items.div_ceil(slots).min(most),
        };
        let shards = self.items.div_ceil(per_shard.max(1));
        let gpu_seconds =
            f64::from(shards) * self.profile.load_seconds + f64::from(self.items) * self.profile.item_seconds;
        let side_by_side = if self.strategy == Strategy::Sequential { 1 } else { slots.min(shards).max(1) };
        Plan { shards, items: self.items, gpu_seconds, seconds: gpu_seconds / f64::from(side_by_side), ready: false }
    }

    /// The fewest items with which loading is at most `share` of the time.
    fn items_for_load_share(&self, share: f64) -> u32 {
        let items = self.profile.load_seconds * (1.0 - share) / share / self.profile.item_seconds;
        (items.ceil() as u32).max(1)
    }

    fn most_items_per_shard(&self) -> u32 {
        let items = (LONGEST_SHARD - self.profile.load_seconds) / self.profile.item_seconds;
        (items.floor() as u32).max(1)
    }
}

impl Plan {
    /// How many items shard `shard` (0-based) holds: sizes differ by at most one.
    pub fn size(&self, shard: u32) -> u32 {
        self.items / self.shards.max(1) + u32::from(shard < self.items % self.shards.max(1))
    }

    /// The shard that holds the item of the 1-based `index`.
    pub fn shard_of(&self, index: u32) -> Option<u32> {
        let position = index.checked_sub(1).filter(|position| *position < self.items)?;
        let (small, larger) = (self.items / self.shards.max(1), self.items % self.shards.max(1));
        let in_larger = larger * (small + 1);
        Some(if position < in_larger { position / (small + 1) } else { larger + (position - in_larger) / small })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{prop_assert, prop_assert_eq, proptest};

    const BOLTZ: CostProfile = CostProfile { load_seconds: 90.0, item_seconds: 30.0 };

    fn plan(items: u32, strategy: Strategy, slots: u32) -> Plan {
        Planning { items, profile: BOLTZ, strategy, slots }.plan()
    }

    #[test]
    fn loading_is_a_twentieth_of_a_large_run() {
        let plan = plan(100_000, Strategy::Adaptive, 16);
        let load = f64::from(plan.shards) * BOLTZ.load_seconds;
        assert!(load / plan.gpu_seconds <= 0.051, "{}", load / plan.gpu_seconds);
    }

    #[test]
    fn a_small_batch_spreads_only_when_asked() {
        assert_eq!(plan(60, Strategy::Sequential, 10).shards, 1);
        assert_eq!(plan(60, Strategy::Parallel, 10).shards, 10);
        assert_eq!(plan(60, Strategy::Adaptive, 10).shards, 7, "nine ligands pay for one load");
        assert_eq!(plan(1, Strategy::Parallel, 10).shards, 1);
    }

    proptest! {
        #[test]
        fn every_item_is_in_one_shard_and_no_shard_nears_the_task_limit(
            items in 0u32..200_000, slots in 0u32..200, load in 0.1f64..600.0, item in 0.01f64..1500.0, kind in 0usize..3,
        ) {
            let strategy = [Strategy::Sequential, Strategy::Adaptive, Strategy::Parallel][kind];
            let profile = CostProfile { load_seconds: load, item_seconds: item };
            let plan = Planning { items, profile, strategy, slots }.plan();
            prop_assert_eq!((0..plan.shards).map(|shard| plan.size(shard)).sum::<u32>(), items);
            let mut last = 0;
            for shard in 0..plan.shards.min(500) {
                prop_assert_eq!(plan.shard_of(last + 1), Some(shard));
                last += plan.size(shard);
                prop_assert_eq!(plan.shard_of(last), Some(shard));
                prop_assert!(plan.size(shard) >= 1);
                prop_assert!(load + f64::from(plan.size(shard)) * item <= LONGEST_SHARD);
            }
        }
    }
}
