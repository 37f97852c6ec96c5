//! The inner parts, measured by criterion (`benches/inner.rs`), whose estimates are read here.

use crate::{
    Outcome,
    process::binary,
    readme::{Part, root, short},
};
use serde_json::Value;
use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

/// The place of these figures in the README.
const LETTER: char = 'i';

pub fn measure() -> Outcome<Part> {
    let mut bench = Command::new("cargo");
    bench.args(["bench", "--workspace", "--exclude", "simulation", "--bench", "inner"]).current_dir(root());
    let status = bench.stdout(Stdio::null()).status()?;
    if !status.success() {
        return Err(format!("cargo bench ended with {status}").into());
    }
    let mut rows = vec![];
    collect(&binary("../criterion")?, &mut rows)?;
    rows.sort();
    let mut part = Part::new(LETTER);
    part.table(&["", "median, µs"], &rows);
    Ok(part)
}

/// Finds the estimates below a folder of criterion's.
fn collect(folder: &Path, rows: &mut Vec<Vec<String>>) -> Outcome<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let new = path.join("new");
        if new.is_dir() {
            let read = |name: &str| -> Outcome<Value> { Ok(serde_json::from_slice(&fs::read(new.join(name))?)?) };
            let nanoseconds = read("estimates.json")?["median"]["point_estimate"].as_f64().unwrap_or(f64::NAN);
            let name = read("benchmark.json")?["title"].as_str().unwrap_or_default().to_owned();
            rows.push(vec![name, short(nanoseconds / 1000.0)]);
        } else if path.is_dir() {
            collect(&path, rows)?;
        }
    }
    Ok(())
}
