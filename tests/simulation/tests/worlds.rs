//! The promise of the product, over many worlds: every ligand is accounted for, every run ends once, whatever the cloud
//! does. And that each safeguard is needed for it.

use domain::safeguard::Safeguard;
use simulation::{Fault, Figures, Options, Race, simulate, sweep};

/// Worlds of the large test.
const WORLDS: u64 = 20_000;
/// Worlds in which doing without a safeguard must show.
const MUTATED: u64 = 10_000;
/// Worlds of the same weather in which nothing may show while the safeguard holds.
const CONTROL: u64 = 100;

/// What too few worlds know: the reconciler is faster than leases run out and dead letters add up.
const RARE: [Race; 2] = [Race::LeaseExpired, Race::Unprocessable];

fn report(figures: &Figures) -> String {
    let line = |outcome: &simulation::Outcome| {
        format!("seed {}: {}\n  {}\n", outcome.seed, outcome.violations.join("; "), outcome.replay())
    };
    figures.failures.iter().map(line).collect()
}

#[test]
fn every_ligand_is_accounted_for_whatever_the_cloud_does() {
    let figures = sweep(0..WORLDS, Options::default(), false);
    assert_eq!(figures.violated, 0, "\n{}", report(&figures));
    for fault in Fault::ALL {
        assert!(figures.average(fault) > 0.0, "{fault:?} never happened");
    }
    for race in Race::ALL.into_iter().filter(|race| !RARE.contains(race)) {
        assert!(figures.races[race as usize] > 0, "{race:?} never happened");
    }
}

#[test]
fn a_seed_is_one_world() {
    for seed in 0..50 {
        let (once, again) = (simulate(seed, Options::default()), simulate(seed, Options::default()));
        assert_eq!((once.digest, once.steps, once.faults), (again.digest, again.steps, again.faults), "seed {seed}");
    }
}

#[test]
fn doing_without_any_one_safeguard_shows() {
    let mut unneeded = vec![];
    for safeguard in Safeguard::ALL {
        let figures = sweep(0..MUTATED, Options { without: Some(safeguard), ..Options::default() }, true);
        let Some(found) = figures.failures.first() else {
            unneeded.push(safeguard);
            continue;
        };
        let held = simulate(found.seed, Options { weather: Some(safeguard), ..Options::default() });
        assert!(
            held.violations.is_empty(),
            "{safeguard:?} is not what seed {} lacks: {:?}",
            found.seed,
            held.violations
        );
    }
    assert!(unneeded.is_empty(), "nothing shows without {unneeded:?}");
}

#[test]
fn the_weather_that_shows_a_missing_safeguard_does_no_harm_while_it_holds() {
    for safeguard in Safeguard::ALL {
        let figures = sweep(0..CONTROL, Options { weather: Some(safeguard), ..Options::default() }, false);
        assert_eq!(figures.violated, 0, "{safeguard:?}\n{}", report(&figures));
    }
}
