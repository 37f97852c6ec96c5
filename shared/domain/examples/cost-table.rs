//! Prints what runs of a drug-like library cost, as Markdown: `cargo run -p domain --release --example cost-table`.

use domain::{
    Planning, Strategy,
    simulate::{Simulated, boltz_on_l4, drug_like, one_by_one, simulate},
};

fn main() {
    println!("| ligands | L4s | shards | time | GPU hours | dollars | load | repeated | waste | idle (free) |");
    println!("|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
    for items in [100, 10_000, 1_000_000] {
        for gpus in [1, 3, 16, 100] {
            let (sizes, conditions) = (drug_like(items), boltz_on_l4(gpus));
            let load_seconds = conditions.load_seconds;
            let plan = Planning { sizes: &sizes, load_seconds, strategy: Strategy::Adaptive, slots: gpus }.plan();
            row(items, gpus, &plan.shards.to_string(), &simulate(&plan, &sizes, &conditions, 1));
            row(items, gpus, "one each", &simulate(&one_by_one(items), &sizes, &conditions, 1));
        }
    }
}

fn row(items: u32, gpus: u32, shards: &str, run: &Simulated) {
    let percent = |share: f64| format!("{:.1} %", share * 100.0);
    let time = match run.seconds / 3600.0 {
        hours if hours < 48.0 => format!("{hours:.1} h"),
        hours => format!("{:.1} d", hours / 24.0),
    };
    let (load, repeated) =
        (percent(run.load_seconds / run.gpu_seconds), percent(run.repeated_seconds / run.gpu_seconds));
    let (hours, usd, waste, idle) = (run.gpu_seconds / 3600.0, run.usd(), percent(run.waste()), percent(run.idle()));
    println!(
        "| {items} | {gpus} | {shards} | {time} | {hours:.1} | {usd:.2} | {load} | {repeated} | {waste} | {idle} |"
    );
}
