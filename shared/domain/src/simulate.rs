//! What a run costs, played through shard by shard: tasks start, load the model, work, and are sometimes lost. For
//! choosing how shards are cut, and for showing what that saves; never a promise to a user.

use crate::{Known, MAX_LAUNCHES, Plan, Price, SizeClass};
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
};

/// How the machines and the model behave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conditions {
    /// GPUs that run at once.
    pub gpus: u32,
    /// Seconds that are paid for before a task begins to load.
    pub startup_seconds: f64,
    pub load_seconds: f64,
    /// How far the time of a ligand lies from that of its class: from 1 - spread to 1 + spread of it, evenly.
    pub spread: f64,
    /// Tasks lost in an hour of one GPU: machines under maintenance, crashes.
    pub lost_per_gpu_hour: f64,
    /// The part of a shard's work after which its first result is there. Boltz-2 predicts all structures before the first
    /// affinity, so that a task lost before has to be repeated as a whole.
    pub first_result_after: f64,
}

/// What became of the run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Simulated {
    /// Seconds from the first task to the last.
    pub seconds: f64,
    /// GPU seconds that are paid for.
    pub gpu_seconds: f64,
    /// Of them: starting tasks, loading the model, and work that was done again.
    pub startup_seconds: f64,
    pub load_seconds: f64,
    pub repeated_seconds: f64,
    /// GPU seconds without a task until the end of the run. Nobody pays for them.
    pub idle_seconds: f64,
    /// Shards that were lost so often that they were closed.
    pub closed: u32,
}

impl Simulated {
    pub fn usd(&self) -> f64 {
        Price::L4_US_CENTRAL1.of(self.gpu_seconds)
    }

    /// The share of what is paid for that predicts nothing new.
    pub fn waste(&self) -> f64 {
        (self.startup_seconds + self.load_seconds + self.repeated_seconds) / self.gpu_seconds.max(f64::MIN_POSITIVE)
    }

    /// The share of the GPUs' time from the first task to the last in which they had none.
    pub fn idle(&self) -> f64 {
        self.idle_seconds / (self.idle_seconds + self.gpu_seconds).max(f64::MIN_POSITIVE)
    }
}

/// The plan in which every ligand is an execution of its own.
pub fn one_by_one(items: u32) -> Plan {
    Plan { shards: items, items, gpu_seconds: 0.0, seconds: 0.0, ready: true, groups: vec![], known: Known::default() }
}

/// A shard that waits for a GPU: the seconds of work left, and how often it was started.
struct Waiting {
    work: f64,
    launches: u32,
}

/// Runs the plan on so many GPUs. The same `seed` always gives the same figures.
pub fn simulate(plan: &Plan, sizes: &[SizeClass], conditions: &Conditions, seed: u64) -> Simulated {
    let mut random = Random(seed);
    let work = shard_work(plan, sizes, conditions.spread, &mut random);
    let mut queue: VecDeque<_> = work.into_iter().map(|work| Waiting { work, launches: 0 }).collect();
    let mut gpus: BinaryHeap<_> = (0..conditions.gpus.max(1)).map(|_| Reverse(0u64)).collect();
    let mut outcome = Simulated::default();
    while let (Some(mut shard), Some(Reverse(free))) = (queue.pop_front(), gpus.pop()) {
        shard.launches += 1;
        let before_work = conditions.startup_seconds + conditions.load_seconds;
        let whole = before_work + shard.work;
        let lost_at = -random.part().max(f64::MIN_POSITIVE).ln() / conditions.lost_per_gpu_hour.max(1e-12) * 3600.0;
        let took = lost_at.min(whole);
        outcome.gpu_seconds += took;
        outcome.startup_seconds += took.min(conditions.startup_seconds);
        outcome.load_seconds += (took - conditions.startup_seconds).clamp(0.0, conditions.load_seconds);
        if lost_at < whole {
            let worked = (took - before_work).max(0.0);
            let first = conditions.first_result_after * shard.work;
            let kept = shard.work * ((worked - first) / (shard.work - first).max(1e-9)).max(0.0);
            outcome.repeated_seconds += (worked - kept).max(0.0);
            shard.work -= kept;
            if shard.launches < MAX_LAUNCHES {
                queue.push_front(shard);
            } else {
                outcome.closed += 1;
            }
        }
        let end = free + (took * 1000.0) as u64;
        outcome.seconds = outcome.seconds.max(end as f64 / 1000.0);
        gpus.push(Reverse(end));
    }
    outcome.idle_seconds = (outcome.seconds * f64::from(conditions.gpus) - outcome.gpu_seconds).max(0.0);
    outcome
}

/// Seconds of work of each shard: its ligands are drawn from the classes of its group.
fn shard_work(plan: &Plan, sizes: &[SizeClass], spread: f64, random: &mut Random) -> Vec<f64> {
    let mut work = Vec::with_capacity(plan.shards as usize);
    let mut largest_before = None;
    for group in plan.groups() {
        let own = |class: &&SizeClass| {
            largest_before.is_none_or(|before| class.most_atoms > before) && class.most_atoms <= group.most_atoms
        };
        let classes: Vec<_> = sizes.iter().filter(own).copied().collect();
        largest_before = Some(group.most_atoms);
        for _ in 0..group.shards {
            let items = plan.size(work.len() as u32);
            work.push((0..items).map(|_| random.item(&classes) * random.around_one(spread)).sum());
        }
    }
    work
}

/// SplitMix64: numbers that are the same on every machine.
struct Random(u64);

impl Random {
    /// From 0 to 1.
    fn part(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn around_one(&mut self, spread: f64) -> f64 {
        1.0 + spread * (2.0 * self.part() - 1.0)
    }

    /// Seconds of a ligand of one of these classes.
    fn item(&mut self, classes: &[SizeClass]) -> f64 {
        let mut left = self.part() * classes.iter().map(|class| f64::from(class.items)).sum::<f64>();
        let drawn = classes.iter().find(|class| {
            left -= f64::from(class.items);
            left <= 0.0
        });
        drawn.map_or(0.0, |class| class.item_seconds)
    }
}

/// A library as screens have them, and a run of it with Boltz-2 as it is planned without anything learned: ligands of 13
/// to 58 heavy atoms, most of 20 to 35, against 300 residues; 90 s to load, and about 30 s a ligand.
pub fn drug_like(items: u32) -> Vec<SizeClass> {
    // Of a hundred ligands so many, with so many heavy atoms on average, in the class of at most so many.
    const CLASSES: [(u32, f64, u32); 5] =
        [(15, 13.0, 5), (25, 21.0, 35), (35, 30.0, 42), (50, 40.0, 16), (80, 58.0, 2)];
    let class = |(most_atoms, atoms, share): (u32, f64, u32)| SizeClass {
        most_atoms,
        items: items / 100 * share,
        item_seconds: 20.0 * ((300.0 + atoms) / 330.0f64).powi(2) + 10.0,
    };
    CLASSES.into_iter().map(class).collect()
}

/// An L4 on Cloud Run with Boltz-2. Of the lost tasks nothing is published: one in a hundred GPU hours is a guess on the
/// high side.
pub fn boltz_on_l4(gpus: u32) -> Conditions {
    Conditions {
        gpus,
        startup_seconds: 5.0,
        load_seconds: 90.0,
        spread: 0.25,
        lost_per_gpu_hour: 0.01,
        first_result_after: 0.67,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Planning, Strategy};

    fn planned(items: u32, gpus: u32, strategy: Strategy) -> (Plan, Simulated) {
        let sizes = drug_like(items);
        let plan = Planning { sizes: &sizes, load_seconds: 90.0, strategy, slots: gpus }.plan();
        let simulated = simulate(&plan, &sizes, &boltz_on_l4(gpus), 1);
        (plan, simulated)
    }

    #[test]
    fn a_million_ligands_on_sixteen_gpus_waste_less_than_a_twentieth() {
        let (plan, run) = planned(1_000_000, 16, Strategy::Adaptive);
        assert!(plan.is_grouped());
        assert!(run.waste() + run.idle() < 0.05, "{run:?}");
        assert!(run.load_seconds / run.gpu_seconds < 0.045, "{run:?}");
        assert!((plan.gpu_seconds / run.gpu_seconds - 1.0).abs() < 0.02, "the plan told what it costs: {run:?}");
        assert!((plan.seconds / run.seconds - 1.0).abs() < 0.03, "… and how long it takes: {plan:?} {run:?}");
    }

    #[test]
    fn one_execution_for_each_ligand_costs_four_times_as_much() {
        let sizes = drug_like(10_000);
        let alone = simulate(&one_by_one(10_000), &sizes, &boltz_on_l4(16), 1);
        let (_, together) = planned(10_000, 16, Strategy::Adaptive);
        assert!(alone.usd() > 3.5 * together.usd() && alone.seconds > 3.5 * together.seconds, "{alone:?} {together:?}");
        assert!(alone.waste() > 0.7);
    }

    #[test]
    fn lost_tasks_are_paid_for_again_and_nothing_else_changes() {
        let sizes = drug_like(10_000);
        let (plan, usual) = planned(10_000, 16, Strategy::Adaptive);
        let with = |lost_per_gpu_hour| simulate(&plan, &sizes, &Conditions { lost_per_gpu_hour, ..boltz_on_l4(16) }, 1);
        assert_eq!((with(0.01), with(0.0).repeated_seconds, with(0.0).closed), (usual, 0.0, 0));
        let often = with(0.5);
        assert!(often.repeated_seconds > 0.03 * often.gpu_seconds && often.gpu_seconds > usual.gpu_seconds);
        assert!(with(100.0).closed > 0, "a task that never lives long enough is given up");
    }

    #[test]
    fn more_gpus_make_a_run_faster_and_hardly_dearer() {
        let runs = [1, 3, 16, 100].map(|gpus| planned(100_000, gpus, Strategy::Adaptive).1);
        for pair in runs.windows(2) {
            assert!(pair[1].seconds < pair[0].seconds && pair[1].usd() < 1.05 * pair[0].usd(), "{pair:?}");
        }
    }
}
