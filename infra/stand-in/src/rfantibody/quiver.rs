//! Quiver files: many designs in one text, each a `QV_TAG` line, a `QV_SCORE` line and PDB lines.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use crate::Failure;

/// One design.
#[derive(Debug, PartialEq)]
pub struct Design {
    pub tag: String,
    pub pdb: Vec<String>,
}

/// Every design of a file, in order; none if there is no such file.
pub fn read(path: &Path) -> io::Result<Vec<Design>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    Ok(parse(&std::fs::read_to_string(path)?))
}

fn parse(text: &str) -> Vec<Design> {
    let mut designs: Vec<Design> = Vec::new();
    for line in text.lines() {
        if let Some(tag) = line.strip_prefix("QV_TAG ") {
            designs.push(Design { tag: tag.trim().to_owned(), pdb: Vec::new() });
        } else if let Some(design) = designs.last_mut().filter(|_| !line.starts_with("QV_SCORE")) {
            design.pdb.push(line.to_owned());
        }
    }
    designs
}

/// Appends one design; a tag the file already holds is an error, as in the real tools. `scores`
/// are `k=v` pairs; the mark `simulated=1` is added to them.
pub fn add(path: &Path, tag: &str, scores: &[String], pdb: &[String]) -> Result<(), Failure> {
    if read(path)?.iter().any(|design| design.tag == tag) {
        let message = format!("Tag {tag} already exists in this file.");
        return Err(Failure::raised("ValueError", message));
    }
    let mut file = File::options().create(true).append(true).open(path)?;
    let mark = "simulated=1".to_owned();
    let scores: Vec<String> = scores.iter().cloned().chain([mark]).collect();
    let mut text = format!("QV_TAG {tag}\nQV_SCORE {tag} {}\n", scores.join("|"));
    for line in pdb {
        text.push_str(line);
        text.push('\n');
    }
    file.write_all(text.as_bytes())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_design_added_is_read_back_and_its_tag_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.qv");
        let design = Design { tag: "ab_0".to_owned(), pdb: vec!["ATOM      1".to_owned()] };
        add(&path, "ab_0", &["pae=4.20".to_owned()], &design.pdb).unwrap();
        assert_eq!(read(&path).unwrap(), [design]);
        assert!(add(&path, "ab_0", &[], &[]).is_err());
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("QV_SCORE ab_0 pae=4.20|simulated=1\n"));
    }
}
