//! Runs worlds: one to read, or many to count.

use clap::Parser;
use domain::safeguard::Safeguard;
use simulation::{Fault, Figures, Options, Race, simulate, sweep};
use std::{ops::Range, process::ExitCode, time::Instant};

/// Simulates the hub under the faults of a cloud.
#[derive(Parser)]
struct Arguments {
    /// The seed of one world, whose trace is printed.
    #[arg(long, conflicts_with = "seeds")]
    seed: Option<u64>,
    /// The seeds of many worlds, FROM..TO, of which the figures are printed.
    #[arg(long, value_parser = range, default_value = "0..1000")]
    seeds: Range<u64>,
    /// A safeguard to do without, in the weather in which that shows.
    #[arg(long, value_parser = safeguard)]
    without: Option<Safeguard>,
    /// The same weather, with every safeguard in force.
    #[arg(long, value_parser = safeguard, conflicts_with = "without")]
    weather: Option<Safeguard>,
}

fn range(text: &str) -> Result<Range<u64>, String> {
    let (from, to) = text.split_once("..").ok_or("it is written FROM..TO")?;
    let number = |text: &str| text.replace('_', "").parse::<u64>().map_err(|error| error.to_string());
    Ok(number(from)?..number(to)?)
}

fn safeguard(name: &str) -> Result<Safeguard, String> {
    let known = || Safeguard::ALL.map(|safeguard| format!("{safeguard:?}")).join(", ");
    let found = Safeguard::ALL.into_iter().find(|safeguard| format!("{safeguard:?}") == name);
    found.ok_or_else(|| format!("there are {}", known()))
}

fn main() -> ExitCode {
    let Arguments { seed, seeds, without, weather } = Arguments::parse();
    let options = Options { without, weather, trace: seed.is_some() };
    match seed {
        Some(seed) => one(seed, options),
        None => many(seeds, options),
    }
}

fn one(seed: u64, options: Options) -> ExitCode {
    let outcome = simulate(seed, options);
    outcome.lines.iter().for_each(|line| println!("{line}"));
    println!("\nseed {seed}: {} runs in {} s, digest {:016x}", outcome.runs, outcome.seconds, outcome.digest);
    for (fault, count) in Fault::ALL.iter().zip(outcome.faults).filter(|(_, count)| *count > 0) {
        println!("  {count:>5} {fault:?}");
    }
    outcome.violations.iter().for_each(|what| println!("VIOLATION {what}"));
    ExitCode::from(u8::from(!outcome.violations.is_empty()))
}

fn many(seeds: Range<u64>, options: Options) -> ExitCode {
    let begun = Instant::now();
    let figures = sweep(seeds, options, false);
    let wall = begun.elapsed();
    for failure in &figures.failures {
        println!("seed {}: {}", failure.seed, failure.violations.join("; "));
        println!("  {}", failure.replay());
    }
    print(&figures);
    println!(
        "{:.1} s, {:.2} ms a world",
        wall.as_secs_f64(),
        wall.as_secs_f64() * 1000.0 / figures.worlds.max(1) as f64
    );
    ExitCode::from(u8::from(figures.violated > 0))
}

fn print(figures: &Figures) {
    let Figures { worlds, violated, runs, steps, seconds, .. } = figures;
    println!("{worlds} worlds, {violated} of them violated, {runs} runs, {steps} steps, {seconds} s of their time");
    println!("faults in a world, on average:");
    for fault in Fault::ALL {
        println!("  {:>8.3} {fault:?}", figures.average(fault));
    }
    let all: f64 = Fault::ALL.iter().map(|fault| figures.average(*fault)).sum();
    println!("  {all:>8.3} together");
    println!("what met, in all worlds:");
    for (race, count) in Race::ALL.iter().zip(figures.races) {
        println!("  {count:>8} {race:?}");
    }
}
