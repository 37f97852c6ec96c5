use super::*;
use proptest::{collection::vec, prop_assert, prop_assert_eq, proptest};

const LOAD: f64 = 90.0;

fn plan_of(sizes: &[SizeClass], strategy: Strategy, slots: u32) -> Plan {
    Planning { sizes, load_seconds: LOAD, strategy, slots }.plan()
}

fn plan(items: u32, strategy: Strategy, slots: u32) -> Plan {
    plan_of(&[SizeClass { most_atoms: 35, items, item_seconds: 30.0 }], strategy, slots)
}

fn load_share(plan: &Plan) -> f64 {
    f64::from(plan.shards) * LOAD / plan.gpu_seconds
}

#[test]
fn loading_is_under_a_twentieth_of_a_large_run() {
    for slots in [1, 3, 16, 100] {
        for strategy in Strategy::ALL {
            let plan = plan(100_000, strategy, slots);
            assert!(load_share(&plan) < 0.05, "{strategy:?} on {slots}: {}", load_share(&plan));
        }
    }
}

#[test]
fn a_small_batch_spreads_only_when_asked() {
    assert_eq!(plan(60, Strategy::Sequential, 10).shards, 1);
    assert_eq!(plan(60, Strategy::Parallel, 10).shards, 10);
    assert_eq!(plan(60, Strategy::Adaptive, 10).shards, 7, "nine ligands pay for one load");
    assert_eq!(plan(1, Strategy::Parallel, 10).shards, 1);
    assert_eq!(plan(0, Strategy::Adaptive, 10).shards, 0);
}

#[test]
fn the_last_turn_leaves_no_gpu_idle() {
    for items in [1_000, 2_000, 5_000] {
        for strategy in [Strategy::Adaptive, Strategy::Parallel] {
            assert_eq!(plan(items, strategy, 16).shards % 16, 0, "{items} {strategy:?}");
        }
    }
    assert_eq!(plan(1_000, Strategy::Adaptive, 16).seconds, 90.0 + 62.5 * 30.0 + 15.0, "63 ligands in the largest");
}

#[test]
fn ligands_of_like_size_share_shards_where_there_are_enough_of_them() {
    let sizes = [(15, 40.0), (25, 40.0), (35, 60.0), (80, 120.0)];
    let sizes = |items: u32| sizes.map(|(most_atoms, item_seconds)| SizeClass { most_atoms, items, item_seconds });
    let small = plan_of(&sizes(10), Strategy::Adaptive, 4);
    assert!(!small.is_grouped() && small.groups.len() == 1, "{small:?}");
    let large = plan_of(&sizes(5_000), Strategy::Adaptive, 4);
    assert_eq!(large.groups.iter().map(|group| group.most_atoms).collect::<Vec<_>>(), [15, 25, 35, 80]);
    let per_shard: Vec<_> = large.groups.iter().map(|group| group.items / group.shards).collect();
    assert!(per_shard[0] > 2 * per_shard[3], "{per_shard:?}");
    assert_eq!([0, 15, 16, 35, 36, 128].map(|atoms| large.group_of(atoms, false)), [0, 0, 1, 2, 3, 3]);
    let few_large = [sizes(5_000)[0], SizeClass { items: 3, ..sizes(3)[3] }];
    assert!(!plan_of(&few_large, Strategy::Adaptive, 4).is_grouped(), "three ligands are worth no load of their own");
}

#[test]
fn a_plan_of_before_groups_still_tells_its_shards() {
    let old = r#"{"shards": 3, "items": 7, "gpu_seconds": 300.0, "seconds": 100.0, "ready": true}"#;
    let old: Plan = serde_json::from_str(old).unwrap();
    assert_eq!([0, 1, 2, 3].map(|shard| old.size(shard)), [3, 2, 2, 0]);
    assert_eq!([0, 2, 3, 6, 7].map(|position| old.shard_at(position)), [Some(0), Some(0), Some(1), Some(2), None]);
    assert_eq!(old.shard_seconds(), 100.0);
}

proptest! {
    #[test]
    fn every_item_is_in_one_shard_and_no_shard_nears_the_task_limit(
        counts in vec(0u32..60_000, 1..6), slots in 0u32..200, load in 0.1f64..600.0, item in 0.01f64..300.0, kind in 0usize..3,
    ) {
        let sizes: Vec<_> = counts.iter().zip(1u32..).map(|(items, n)| {
            SizeClass { most_atoms: 10 * n, items: *items, item_seconds: item * f64::from(n) }
        }).collect();
        let planning = Planning { sizes: &sizes, load_seconds: load, strategy: Strategy::ALL[kind], slots };
        let plan = planning.plan();
        prop_assert_eq!(plan.items, counts.iter().sum::<u32>());
        prop_assert_eq!((0..plan.shards).map(|shard| u64::from(plan.size(shard))).sum::<u64>(), u64::from(plan.items));
        prop_assert_eq!(plan.shard_at(plan.items), None);
        let mut last = 0;
        for shard in 0..plan.shards.min(500) {
            prop_assert_eq!(plan.shard_at(last), Some(shard));
            last += plan.size(shard);
            prop_assert!(plan.size(shard) >= 1);
            prop_assert_eq!(plan.shard_at(last - 1), Some(shard));
        }
        // Whichever of its group's items a shard gets, it stays under the limit.
        let mut first = 0;
        for group in plan.groups() {
            let mut left = if plan.shards == 0 { 0 } else { plan.size(first) };
            let mut worst = load;
            for class in sizes.iter().rev().filter(|class| plan.group_of(class.most_atoms, false) == plan.group_of(group.most_atoms, false)) {
                worst += f64::from(left.min(class.items)) * class.item_seconds;
                left = left.saturating_sub(class.items);
            }
            prop_assert!(worst <= LONGEST_SHARD + 0.001, "{} s in {:?}", worst, group);
            first += group.shards;
        }
    }
}

#[test]
fn known_items_have_shards_of_their_own_behind_the_others_and_take_nothing() {
    let of = |items| {
        let sizes = [SizeClass { most_atoms: 35, items, item_seconds: 30.0 }];
        Planning { sizes: &sizes, load_seconds: 90.0, strategy: Strategy::Sequential, slots: 1 }.plan()
    };
    let (alone, known) = (of(50), of(1000));
    let mut plan = alone.clone().with_known(known.clone(), "list".into());
    assert_eq!((plan.shards, plan.items, plan.gpu_seconds), (alone.shards, 50, alone.gpu_seconds));
    assert_eq!((plan.all_shards(), plan.all_items()), (alone.shards + known.shards, 1050));
    let sizes: Vec<_> = (0..plan.all_shards()).map(|shard| plan.size(shard)).collect();
    assert_eq!(sizes.iter().sum::<u32>(), 1050);
    assert_eq!(sizes[..alone.shards as usize].iter().sum::<u32>(), 50);
    assert_eq!(
        (plan.shard_at(49), plan.shard_at(50), plan.shard_at(1050)),
        (Some(alone.shards - 1), Some(alone.shards), None)
    );
    assert_eq!((plan.group_of(20, false), plan.group_of(20, true)), (0, 1));
    assert!(plan.is_grouped());
    plan.lose_known(500, known.shards / 2);
    assert_eq!(plan.to_run(), alone.shards + known.shards / 2);
    assert!((plan.gpu_seconds - alone.gpu_seconds - known.gpu_seconds / 2.0).abs() < 1e-6);
}

#[test]
fn a_run_of_known_items_only_has_nothing_to_run() {
    let known = Planning {
        sizes: &[SizeClass { most_atoms: 35, items: 100, item_seconds: 30.0 }],
        load_seconds: 90.0,
        strategy: Strategy::Sequential,
        slots: 1,
    };
    let nothing = Planning { sizes: &[], ..known };
    let plan = nothing.plan().with_known(known.plan(), "list".into());
    assert_eq!((plan.shards, plan.to_run(), plan.gpu_seconds, plan.seconds), (0, 0, 0.0, 0.0));
    assert_eq!((plan.all_items(), plan.shard_at(0), plan.group_of(20, true)), (100, Some(0), 1));
    assert_eq!(plan.size(0), 100u32.div_ceil(plan.all_shards()));
}
