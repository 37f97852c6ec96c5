//! The README's tables: each part has its place between two markers, with the machine and the date of its measurement.

use crate::Outcome;
use chrono::{DateTime, Utc};
use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// What a part found.
pub struct Part {
    pub letter: char,
    tables: String,
}

impl Part {
    pub fn new(letter: char) -> Self {
        Part { letter, tables: String::new() }
    }

    /// Adds a table; numbers stand right of their names.
    pub fn table(&mut self, head: &[&str], rows: &[Vec<String>]) -> &mut Self {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let heads: Vec<_> = head.iter().map(|cell| (*cell).to_owned()).collect();
        let rule = head.iter().enumerate().map(|(column, _)| if column == 0 { "---" } else { "---:" }.to_owned());
        let text = [line(&heads), line(&rule.collect::<Vec<_>>())].into_iter().chain(rows.iter().map(|row| line(row)));
        let text: String = text.collect();
        println!("{text}");
        // A part that cannot be written here would fail to be written at all.
        let _ = writeln!(self.tables, "{text}");
        self
    }

    /// Adds a line of text.
    pub fn note(&mut self, text: &str) -> &mut Self {
        println!("{text}\n");
        let _ = writeln!(self.tables, "{text}\n");
        self
    }

    /// Puts the part in its place.
    pub fn write(&self, now: DateTime<Utc>) -> Outcome<()> {
        let path = root().join("tests/benches/README.md");
        let text = fs::read_to_string(&path)?;
        let (begin, end) = (format!("<!-- {} -->\n", self.letter), format!("<!-- end of {} -->", self.letter));
        let missing = || format!("{} has no place for part {}", path.display(), self.letter);
        let (before, rest) = text.split_once(&begin).ok_or_else(missing)?;
        let (_, after) = rest.split_once(&end).ok_or_else(missing)?;
        let (tables, machine, date) = (&self.tables, machine()?, now.format("%Y-%m-%d %H:%M UTC"));
        fs::write(path, format!("{before}{begin}{tables}*{date}; {machine}.*\n{end}{after}"))?;
        Ok(())
    }
}

/// A row of what is asked for: what, at most, found, and whether that is enough.
pub fn asked(what: &str, limit: f64, found: f64, unit: &str) -> Vec<String> {
    let met = if found <= limit { "yes" } else { "**no**" };
    vec![what.to_owned(), format!("at most {limit} {unit}"), format!("{} {unit}", short(found)), met.to_owned()]
}

/// The head of such rows.
pub const ASKED: [&str; 4] = ["", "asked for", "found", "met"];

/// Three digits or so.
pub fn short(number: f64) -> String {
    match number {
        n if n >= 100.0 => format!("{n:.0}"),
        n if n >= 10.0 => format!("{n:.1}"),
        n if n >= 0.1 => format!("{n:.2}"),
        n => format!("{n:.4}"),
    }
}

/// How peaks of memory in MiB, of more and more rows, compare.
pub fn grown(peaks: impl Iterator<Item = f64>) -> String {
    let steps: Vec<_> = peaks.map(|peak| format!("{peak:.0}")).collect();
    format!("Peak memory from 10^5 over 3 × 10^5 to 10^6 rows: {} MiB.", steps.join(", "))
}

/// The repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Processor, cores that this process may use, memory, system, compiler, commit.
fn machine() -> Outcome<String> {
    let field = |file: &str, name: &str| -> Outcome<String> {
        let text = fs::read_to_string(file)?;
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        Ok(line.split_once(':').map_or("", |(_, value)| value).trim().to_owned())
    };
    let cores = std::thread::available_parallelism()?;
    let kib: f64 = field("/proc/meminfo", "MemTotal")?.trim_end_matches(" kB").parse()?;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let commit = said(Command::new("git").args(["rev-parse", "--short", "HEAD"]).current_dir(root()))?;
    let rustc = said(Command::new("rustc").arg("--version"))?;
    let rustc = rustc.split_whitespace().nth(1).unwrap_or_default();
    let processor = field("/proc/cpuinfo", "model name")?;
    let (gib, kernel) = ((kib / 1024.0 / 1024.0).round(), kernel.trim());
    let load = fs::read_to_string("/proc/loadavg")?;
    let load = load.split_whitespace().next().unwrap_or_default();
    Ok(format!(
        "{processor}, {cores} cores, {gib} GiB, Linux {kernel}, load {load} at the end; rustc {rustc}, release build, commit {commit}"
    ))
}

fn said(command: &mut Command) -> Outcome<String> {
    Ok(String::from_utf8(command.output()?.stdout)?.trim().to_owned())
}
