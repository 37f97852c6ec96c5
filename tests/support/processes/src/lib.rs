//! What the tests that kill processes share: who a process's children are, `SIGKILL`, the dice, and what may differ
//! between the files of two runs. Linux only, because it reads `/proc`. Nothing here knows what the processes do.

use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use rustix::process::{Pid, Signal, kill_process};
use std::{fs, ops::Range, time::Duration};

/// The children of the process `parent` that run and have `word` among their arguments.
pub fn children(parent: u32, word: &str) -> Vec<u32> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter(|id| parent_of(*id) == Some(parent) && arguments(*id).iter().any(|argument| argument == word)).collect()
}

/// `SIGKILL`. False if the process is not there any more.
pub fn kill(process: u32) -> bool {
    Pid::from_raw(process.cast_signed()).is_some_and(|process| kill_process(process, Signal::KILL).is_ok())
}

fn parent_of(process: u32) -> Option<u32> {
    // "pid (name) state ppid …", and the name may hold anything.
    let status = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    status.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

fn arguments(process: u32) -> Vec<String> {
    let line = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
    line.split(|byte| *byte == 0).map(|argument| String::from_utf8_lossy(argument).into_owned()).collect()
}

/// Random choices that a seed repeats.
pub struct Dice(StdRng);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Dice(StdRng::seed_from_u64(seed))
    }

    /// A time between these, in milliseconds.
    pub fn wait(&mut self, milliseconds: Range<u64>) -> Duration {
        Duration::from_millis(self.0.random_range(milliseconds))
    }

    /// One of them; `None` where there are none.
    pub fn pick<T: Clone>(&mut self, of: &[T]) -> Option<T> {
        of.choose(&mut self.0).cloned()
    }
}

/// An exported file without what may differ between two runs of the same submission: the batch's id and, in the JSON
/// file, four lines: when the batch was created and changed, and by which attempt and in which place of a process's
/// queue a ligand was predicted.
pub fn comparable(batch: &str, file: &str) -> String {
    let kept = |line: &&str| {
        let differs = |name| line.trim_start().starts_with(&format!("\"{name}\":"));
        !["created_at", "updated_at", "attempt", "order"].into_iter().any(differs)
    };
    file.lines().filter(kept).collect::<Vec<_>>().join("\n").replace(batch, "BATCH")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        process::{Command, id},
        thread,
    };

    #[test]
    fn a_child_is_found_by_its_arguments_and_killed() {
        let mut child = Command::new("sleep").arg("61.25").spawn().unwrap();
        // `spawn` returns as soon as the child has a memory of its own, a moment before its arguments stand in it.
        while arguments(child.id()).iter().all(String::is_empty) {
            thread::yield_now();
        }
        assert_eq!(children(id(), "61.25"), [child.id()]);
        assert!(children(id(), "61.2").is_empty() && children(child.id(), "61.25").is_empty());
        assert!(kill(child.id()));
        assert!(!child.wait().unwrap().success());
        assert!(!kill(child.id()) && children(id(), "61.25").is_empty());
    }

    #[test]
    fn a_seed_repeats_its_choices() {
        let choices = |seed| {
            let mut dice = Dice::new(seed);
            (0..20).map(|_| (dice.wait(0..1000), dice.pick(&[1, 2, 3]))).collect::<Vec<_>>()
        };
        assert_eq!(choices(7), choices(7));
        assert_ne!(choices(7), choices(8));
        assert_eq!(Dice::new(7).pick::<u8>(&[]), None);
    }
}
