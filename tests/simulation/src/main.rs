//! Runs worlds: one to read, or many to count.

use clap::Parser;
use simulation::{Fault, Options, simulate};
use std::{ops::Range, process::ExitCode};

/// Simulates the hub under the faults of a cloud.
#[derive(Parser)]
struct Arguments {
    /// The seed of one world, whose trace is printed.
    #[arg(long)]
    seed: Option<u64>,
    /// The seeds of many worlds, FROM..TO, of which the figures are printed.
    #[arg(long, value_parser = range)]
    seeds: Option<Range<u64>>,
}

fn range(text: &str) -> Result<Range<u64>, String> {
    let bounds = text.split_once("..").ok_or("FROM..TO")?;
    let number = |text: &str| text.replace('_', "").parse::<u64>().map_err(|error| error.to_string());
    Ok(number(bounds.0)?..number(bounds.1)?)
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(seed) = arguments.seed {
        let outcome = simulate(seed, Options { trace: true, ..Options::default() });
        outcome.lines.iter().for_each(|line| println!("{line}"));
        println!(
            "{:?} digest {:x} steps {} seconds {}",
            outcome.violations, outcome.digest, outcome.steps, outcome.seconds
        );
        return if outcome.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let begun = std::time::Instant::now();
    let (mut steps, mut bad) = (0, 0);
    let mut faults = [0u64; Fault::ALL.len()];
    let seeds = arguments.seeds.unwrap_or(0..1000);
    let count = seeds.end - seeds.start;
    for seed in seeds {
        let outcome = simulate(seed, Options::default());
        steps += outcome.steps;
        for (sum, count) in faults.iter_mut().zip(outcome.faults) {
            *sum += u64::from(count);
        }
        if !outcome.violations.is_empty() {
            bad += 1;
            if bad < 30 {
                println!("seed {seed}: {}", outcome.violations[0]);
            }
        }
    }
    println!("{count} worlds, {bad} bad, {steps} steps, {:?}", begun.elapsed());
    for (fault, sum) in Fault::ALL.iter().zip(faults) {
        println!("{fault:?} {:.2}", sum as f64 / count as f64);
    }
    ExitCode::SUCCESS
}
