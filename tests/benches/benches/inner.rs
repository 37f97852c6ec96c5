//! The inner parts that the figures of whole paths are made of.

use chem::{Curator, LibraryRow, Ligand, curate::BATCH};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use domain::{Planning, SizeClass, Strategy};
use local::Access;
use platform::Clock;
use std::hint::black_box;

/// What drug-like molecules of a library differ in, as branches.
const SUBSTITUENTS: [&str; 16] = [
    "C",
    "CC",
    "CCC",
    "C(C)C",
    "F",
    "Cl",
    "Br",
    "O",
    "OC",
    "OCC",
    "N",
    "NC",
    "C(F)(F)F",
    "C#N",
    "NC(C)=O",
    "S(C)(=O)=O",
];

/// What every request with a token begins with.
fn token(criterion: &mut Criterion) {
    let Ok(folder) = tempfile::tempdir() else { return };
    let Ok(access) = Access::open(folder.path()) else { return };
    let now = Clock::system().now();
    let Ok(token) = access.token("maria", now) else { return };
    let verifier = access.verifier();
    criterion.bench_function("verify a token", |bencher| bencher.iter(|| verifier.verify(black_box(&token), now)));
}

fn ligands(criterion: &mut Criterion) {
    let one = |smiles: &'static str| {
        move |bencher: &mut criterion::Bencher| bencher.iter(|| Ligand::parse(black_box(smiles)))
    };
    criterion.bench_function(
        "read a ligand by its graph",
        one("Cc1ccc(NC(=O)c2ccc(CN3CCN(C)CC3)cc2)cc1Nc1nccc(-c2cccnc2)n1"),
    );
    criterion.bench_function("read a salt with the chemistry library", one("CN(C)C(=N)NC(=N)N.OC(=O)CCC(=O)O"));
    let row = |n: usize| {
        let [a, b, c] = [n, n / 16, n / 256].map(|n| SUBSTITUENTS[n % 16]);
        let smiles = format!("c1c({a})ccc(c1)C(=O)NCc1cc({b})c({c})cc1");
        LibraryRow { row: n as u64, name: Some(format!("Z{n:09}")), smiles }
    };
    let rows: Vec<_> = (0..BATCH).map(|n| Ok(row(n).into())).collect();
    let mut group = criterion.benchmark_group("library");
    group.throughput(Throughput::Elements(BATCH as u64));
    group.bench_function("judge a batch of 4,096 different rows", |bencher| {
        bencher.iter(|| Curator::new().judge_all(black_box(rows.clone())))
    });
}

fn planning(criterion: &mut Criterion) {
    let size = |n: u32| SizeClass { most_atoms: n * 8, items: 100_000, item_seconds: f64::from(n) * 5.0 };
    let sizes: Vec<_> = (1..=8).map(size).collect();
    criterion.bench_function("plan a run of 800,000 ligands", |bencher| {
        bencher.iter(|| {
            let planning =
                Planning { sizes: black_box(&sizes), load_seconds: 90.0, strategy: Strategy::Adaptive, slots: 3 };
            planning.plan()
        })
    });
}

criterion_group!(inner, token, ligands, planning);
criterion_main!(inner);
