//! Is a deployment what it should be? Runs named checks against a base URL, as a client would, and prints a table.
//! What it creates it removes again.

mod api;
mod client;
mod refusals;
mod screens;

use clap::Parser;
use client::Client;
use comfy_table::{Table, presets};
use std::time::{Duration, Instant};

/// Checks a deployment of OMTX-Hub.
#[derive(Parser)]
pub struct Arguments {
    /// E.g. `https://hub.example.com`.
    base_url: String,
    /// An identity token or an API key, of a user who may spend a few GPU minutes.
    #[arg(long, env = "HUB_TOKEN", hide_env_values = true)]
    token: String,
    /// An origin that may call the API from a browser.
    #[arg(long, default_value = "https://app.example.com")]
    origin: String,
    /// How long a batch of three ligands may take, in seconds.
    #[arg(long, default_value_t = 1800)]
    batch_seconds: u64,
    /// The 95th percentile of reading a batch may take this long, in milliseconds.
    #[arg(long, default_value_t = 500)]
    latency_ms: u64,
}

/// Passed, with what was seen; or failed, with why.
type Outcome = Result<String, String>;

/// Characters of what was seen that the table shows.
const SEEN: usize = 160;

/// The checks made so far.
#[derive(Default)]
struct Report(Vec<(&'static str, Outcome, Duration)>);

impl Report {
    /// Makes one check.
    async fn check(&mut self, name: &'static str, check: impl Future<Output = Outcome>) -> bool {
        let began = Instant::now();
        let outcome = check.await;
        let passed = outcome.is_ok();
        self.0.push((name, outcome, began.elapsed()));
        passed
    }

    /// Prints the table; true if all passed.
    fn print(&self) -> bool {
        let mut table = Table::new();
        table.load_style(presets::UTF8_BORDERS_ONLY);
        table.set_header(["", "check", "seconds", "seen"]);
        for (name, outcome, took) in &self.0 {
            let (mark, seen) = match outcome {
                Ok(seen) => ("pass", seen),
                Err(why) => ("FAIL", why),
            };
            let seen: String = seen.chars().take(SEEN).collect();
            table.add_row([mark, name, &format!("{:.2}", took.as_secs_f64()), &seen]);
        }
        println!("{table}");
        let failed = self.0.iter().filter(|(_, outcome, _)| outcome.is_err()).count();
        println!("{} checks, {failed} failed", self.0.len());
        failed == 0
    }
}

/// Makes every check and prints the table; true if all passed.
pub async fn run(arguments: Arguments) -> bool {
    let client = match Client::new(&arguments.base_url, &arguments.token) {
        Ok(client) => client,
        Err(error) => {
            eprintln!("deployment-check: {error}");
            return false;
        }
    };
    let mut report = Report::default();
    api::checks(&mut report, &client, &arguments).await;
    refusals::checks(&mut report, &client).await;
    screens::checks(&mut report, &client, &arguments).await;
    report.print()
}
