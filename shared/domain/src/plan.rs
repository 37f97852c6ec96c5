//! How a run is cut into shards. A model takes a minute or more to load, so ligands share a task until loading is a
//! small part of it; a shard stays well under the task limit; a small batch spreads out when the user wants speed. In a
//! large run ligands of like size share shards, so that all shards take about the same time.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

mod groups;

/// Loading may take this share of a shard's GPU time where the run is large enough: with what starting tasks and lost
/// shards cost, less than a twentieth is wasted.
const LOAD_SHARE: f64 = 0.04;
/// When spreading a small run over the GPUs, loading may take this share.
const SPREAD_LOAD_SHARE: f64 = 0.25;
/// The longest a shard is planned to take, in seconds: two thirds of the hour a GPU task may take on Cloud Run.
const LONGEST_SHARD: f64 = 2400.0;
/// Seconds of work that a shard of a large run has at least, however fast its model loads: every shard also costs a
/// task's start, a document and a few objects.
const SHORTEST_WORK: f64 = 600.0;
/// What a sum of seconds may be off by without another shard for it.
const ROUNDING: f64 = 1e-6;

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

impl Strategy {
    /// From the cheapest to the fastest.
    pub const ALL: [Strategy; 3] = [Strategy::Sequential, Strategy::Adaptive, Strategy::Parallel];
}

/// What one item costs in time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CostProfile {
    /// Seconds from a task's start until the model is ready.
    pub load_seconds: f64,
    /// Seconds for one item.
    pub item_seconds: f64,
}

/// Items of like size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SizeClass {
    /// Heavy atoms of the largest ligands that belong here.
    pub most_atoms: u32,
    pub items: u32,
    /// Seconds for one of them.
    pub item_seconds: f64,
}

/// What a plan is made from.
#[derive(Clone, Copy, Debug)]
pub struct Planning<'a> {
    /// The items by size, the smallest first.
    pub sizes: &'a [SizeClass],
    /// Seconds from a task's start until the model is ready.
    pub load_seconds: f64,
    pub strategy: Strategy,
    /// GPUs that the run may hold at once.
    pub slots: u32,
}

/// What a run need not compute, because its user's earlier runs have it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Known {
    /// Groups of items of like size whose results are known. Each shard of them could be run like any other, should
    /// its results be gone by then.
    pub groups: Vec<Group>,
    /// GPU seconds that they would take.
    pub gpu_seconds: f64,
    /// Shards of them that have to be run after all.
    pub gone: u32,
    /// Names the list of these items and of where their results are.
    pub list: Option<String>,
}

/// How a run is cut. Decided once, before the first shard is written: whoever materialises it later, or again, makes
/// the same shards.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Plan {
    /// Number of shards to run.
    pub shards: u32,
    /// Items to run.
    pub items: u32,
    /// GPU seconds over all shards, loading included.
    pub gpu_seconds: f64,
    /// Seconds from the first start to the end if the GPUs are free.
    pub seconds: f64,
    /// True once every shard's document and input is written.
    pub ready: bool,
    /// Items of like size, whose shards follow each other; at most one group where all share the same shards.
    #[serde(default)]
    pub groups: Vec<Group>,
    /// What is not run, in shards that follow the others.
    #[serde(default)]
    pub known: Known,
}

/// Items that share shards only with each other, in the order of the library.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Group {
    /// Heavy atoms of its largest ligands.
    pub most_atoms: u32,
    pub items: u32,
    pub shards: u32,
}

impl Planning<'_> {
    /// The plan; a run of no items has no shards.
    pub fn plan(&self) -> Plan {
        let sizes: Vec<_> = self.sizes.iter().filter(|class| class.items > 0).copied().collect();
        let items: u32 = sizes.iter().map(|class| class.items).sum();
        let work = work(&sizes);
        let wanted = self.shards_for(work).clamp(u32::from(items > 0), items);
        let shard_work = work / f64::from(wanted.max(1));
        let groups = groups::cut(&sizes, shard_work, wanted, self.longest_work());
        let shards = groups.iter().map(|(group, _)| group.shards).sum();
        let gpu_seconds = f64::from(shards) * self.load_seconds + work;
        let longest = groups.iter().map(|(group, item_seconds)| {
            self.load_seconds + f64::from(group.items.div_ceil(group.shards)) * item_seconds
        });
        let side_by_side = if self.strategy == Strategy::Sequential { 1 } else { self.slots.max(1) };
        let turns = f64::from(u32::div_ceil(shards, side_by_side));
        let seconds = (turns * gpu_seconds / f64::from(shards.max(1))).max(longest.fold(0.0, f64::max));
        let groups = groups.into_iter().map(|(group, _)| group).collect();
        Plan { shards, items, gpu_seconds, seconds, ready: false, groups, known: Known::default() }
    }

    /// The number of shards of about the same time that suits the strategy, for so many seconds of work.
    fn shards_for(&self, work: f64) -> u32 {
        let slots = f64::from(self.slots.max(1));
        let longest = self.longest_work();
        let in_turns = |turns: f64| slots * turns.max(1.0);
        let fewest_turns = (work / (slots * longest) - ROUNDING).ceil();
        let shards = match self.strategy {
            Strategy::Sequential => work / longest,
            Strategy::Parallel => in_turns(fewest_turns),
            Strategy::Adaptive => {
                let spread = (work / slots).max(self.work_for(SPREAD_LOAD_SHARE).min(longest));
                if spread <= longest {
                    work / spread
                } else {
                    let enough = self.work_for(LOAD_SHARE).max(SHORTEST_WORK).min(longest);
                    in_turns((work / (slots * enough)).floor().max(fewest_turns))
                }
            }
        };
        (shards - ROUNDING).ceil() as u32
    }

    /// Seconds of work for which loading is `share` of the time.
    fn work_for(&self, share: f64) -> f64 {
        self.load_seconds * (1.0 - share) / share
    }

    /// Seconds of work that fit into the longest shard.
    fn longest_work(&self) -> f64 {
        (LONGEST_SHARD - self.load_seconds).max(1.0)
    }
}

fn work(sizes: &[SizeClass]) -> f64 {
    sizes.iter().map(|class| f64::from(class.items) * class.item_seconds).sum()
}

impl Known {
    /// Shards of items whose results are known.
    pub fn shards(&self) -> u32 {
        self.groups.iter().map(|group| group.shards).sum()
    }

    /// Items whose results are known.
    pub fn items(&self) -> u32 {
        self.groups.iter().map(|group| group.items).sum()
    }
}

impl Plan {
    /// The same, with items whose results are known, planned like any others by themselves; `list` names
    /// the list of them.
    pub fn with_known(self, known: Plan, list: String) -> Self {
        let known = Known { groups: known.groups, gpu_seconds: known.gpu_seconds, gone: 0, list: Some(list) };
        Plan { known, ..self }
    }

    /// So many of its known items, in so many of their shards, have to be run after all.
    pub fn lose_known(&mut self, items: u32, shards: u32) {
        self.known.gone = shards;
        self.gpu_seconds += self.known.gpu_seconds * f64::from(items) / f64::from(self.known.items().max(1));
    }

    /// Shards that need a GPU.
    pub fn to_run(&self) -> u32 {
        self.shards + self.known.gone
    }

    /// All shards, those of known items among them.
    pub fn all_shards(&self) -> u32 {
        self.shards + self.known.shards()
    }

    /// All items, the known ones among them.
    pub fn all_items(&self) -> u32 {
        self.items + self.known.items()
    }

    /// Mean GPU seconds of a shard that is run, loading included.
    pub fn shard_seconds(&self) -> f64 {
        self.gpu_seconds / f64::from(self.to_run().max(1))
    }

    /// The part of its work that is left where so many of all its items have not ended: 0 to 1.
    pub fn left(&self, unfinished: u32) -> f64 {
        f64::from(unfinished.min(self.items)) / f64::from(self.items.max(1))
    }

    /// The groups, of which there is at least one: first those to run, then those that are known.
    pub fn groups(&self) -> Vec<Group> {
        let whole = Group { most_atoms: u32::MAX, items: self.items, shards: self.shards };
        let mut groups = if self.groups.is_empty() { vec![whole] } else { self.groups.clone() };
        groups.extend(&self.known.groups);
        groups
    }

    /// True where a shard does not hold the items that follow each other in the library.
    pub fn is_grouped(&self) -> bool {
        self.groups.len() + self.known.groups.len() > 1
    }

    /// The group, among all, of a ligand with so many heavy atoms whose result is known or not.
    pub fn group_of(&self, heavy_atoms: u32, known: bool) -> usize {
        let (groups, first) = if known { (&self.known.groups, self.groups.len().max(1)) } else { (&self.groups, 0) };
        let found = groups.iter().position(|group| heavy_atoms <= group.most_atoms);
        first + found.unwrap_or(groups.len().saturating_sub(1))
    }

    /// How many items shard `shard` (0-based) holds: sizes within a group differ by at most one.
    pub fn size(&self, shard: u32) -> u32 {
        let mut first = 0;
        for group in self.groups() {
            if shard < first + group.shards {
                return group.items / group.shards + u32::from(shard - first < group.items % group.shards);
            }
            first += group.shards;
        }
        0
    }

    /// The shard that holds the item at the 0-based `position` among all items, group after group.
    pub fn shard_at(&self, position: u32) -> Option<u32> {
        let (mut first_item, mut first_shard) = (0, 0);
        for group in self.groups() {
            if position < first_item + group.items {
                let position = position - first_item;
                let (small, larger) = (group.items / group.shards, group.items % group.shards);
                let in_larger = larger * (small + 1);
                let within =
                    if position < in_larger { position / (small + 1) } else { larger + (position - in_larger) / small };
                return Some(first_shard + within);
            }
            first_item += group.items;
            first_shard += group.shards;
        }
        None
    }
}

#[cfg(test)]
mod tests;
