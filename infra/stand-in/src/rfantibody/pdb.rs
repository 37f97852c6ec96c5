//! The few changes the stand-in makes to PDB lines: chain, residue name and place of an atom.

use std::collections::HashMap;

use crate::assembly::RESIDUES;
use crate::draws::Draws;

/// The lines of one design in HLT format: the framework, the target as chain T, the loop labels.
/// Every atom moves a little, so that designs differ; loop residues become glycine.
pub fn design(framework: &str, target: &str, draws: &mut Draws) -> Vec<String> {
    let labels = || framework.lines().filter(|line| is_label(line)).map(str::to_owned);
    let glycine: HashMap<usize, &str> = loops(&labels().collect::<Vec<_>>()).map(|residue| (residue, "GLY")).collect();
    let framework = framework.lines().filter(|line| line.starts_with("ATOM"));
    let target = target.lines().filter(|line| line.starts_with("ATOM"));
    let target = target.map(|line| splice(line, 21, "T"));
    let atoms = framework.map(str::to_owned).chain(target);
    let mut lines = rename(&atoms.collect::<Vec<_>>(), &glycine);
    for line in &mut lines {
        for column in [30, 38, 46] {
            let number: Option<f64> = line.get(column..column + 8).and_then(|n| n.trim().parse().ok());
            if let Some(number) = number {
                let moved = format!("{:8.3}", number + draws.between(-0.3, 0.3));
                *line = splice(line, column, &moved);
            }
        }
    }
    lines.extend(labels());
    lines
}

/// The same lines with another sequence in the labelled loops.
pub fn with_new_loops(lines: &[String], draws: &mut Draws) -> Vec<String> {
    let mut residue = || {
        let number = draws.between(0.0, RESIDUES.len() as f64) as usize;
        // Cysteine is left out by the real tool's defaults.
        RESIDUES.get(number).map_or("ALA", |(_, name)| if *name == "CYS" { "SER" } else { name })
    };
    let names = loops(lines).map(|position| (position, residue())).collect();
    rename(lines, &names)
}

fn is_label(line: &str) -> bool {
    line.starts_with("REMARK PDBinfo-LABEL:")
}

/// Residue positions (from 1, through the whole file) that `REMARK PDBinfo-LABEL` puts in a loop.
fn loops(lines: &[String]) -> impl Iterator<Item = usize> {
    lines.iter().filter(|line| is_label(line)).filter_map(|line| {
        let label = line.split_once(':').map(|(_, label)| label);
        label?.split_whitespace().next()?.parse().ok()
    })
}

/// Renames residues by their position in the file.
fn rename(lines: &[String], names: &HashMap<usize, &str>) -> Vec<String> {
    let (mut position, mut last) = (0, String::new());
    let renamed = lines.iter().map(|line| {
        if !line.starts_with("ATOM") {
            return line.clone();
        }
        let residue = line.get(21..27).unwrap_or_default();
        if residue != last {
            position += 1;
            residue.clone_into(&mut last);
        }
        names.get(&position).map_or_else(|| line.clone(), |name| splice(line, 17, name))
    });
    renamed.collect()
}

/// Puts `text` at `column` (from 0); a line too short or not ASCII stays as it is.
fn splice(line: &str, column: usize, text: &str) -> String {
    match (line.get(..column), line.get(column + text.len()..)) {
        (Some(before), Some(after)) => format!("{before}{text}{after}"),
        _ => line.to_owned(),
    }
}
