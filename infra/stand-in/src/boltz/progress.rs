//! The two lines by which one can follow Boltz: Lightning's progress bar and the count of
//! failures after it.

use std::io::Write;
use std::time::Instant;

/// One phase's progress bar.
pub struct Progress {
    total: usize,
    started: Instant,
}

impl Progress {
    pub fn start(total: usize) -> Self {
        let progress = Self { total, started: Instant::now() };
        print!("\rPredicting: |          | 0/? [00:00<?, ?it/s]");
        progress.show(0);
        progress
    }

    /// Redraws the bar after `done` records.
    pub fn show(&self, done: usize) {
        let share = done as f64 / self.total.max(1) as f64;
        let bar = "█".repeat((share * 10.0) as usize);
        let seconds = self.started.elapsed().as_secs_f64();
        let left = seconds * (self.total - done) as f64 / done.max(1) as f64;
        let speed = if done == 0 { "?".to_owned() } else { format!("{:5.2}", done as f64 / seconds.max(0.001)) };
        print!(
            "\rPredicting DataLoader 0: {:3.0}%|{bar:<10}| {done}/{} [{}<{}, {speed}it/s]",
            share * 100.0,
            self.total,
            clock(seconds),
            clock(left),
        );
        // Nobody watching is no reason to stop.
        let _ = std::io::stdout().flush();
    }

    pub fn finish(&self, failed: usize) {
        println!("Number of failed examples: {failed}");
        self.show(self.total);
        println!();
    }
}

fn clock(seconds: f64) -> String {
    let seconds = seconds as u64;
    format!("{:02}:{:02}", seconds / 60, seconds % 60)
}
