//! What RFantibody's three tools left behind, in Quiver files: many designs in one text, each a `QV_TAG` line, a
//! `QV_SCORE` line of `name=value` pairs and PDB lines. Names grow from tool to tool (`x_0`, `x_0_dldesign_2`,
//! `x_0_dldesign_2_best`), which is how a design is followed.

use crate::{Reading, Stage, log, stage::record_id};
use domain::{ItemError, Scores};
use std::path::Path;

/// The files the tools hand on.
pub(super) const BACKBONES: &str = "1.qv";
pub(super) const SEQUENCES: &str = "2.qv";
pub(super) const SCORED: &str = "3.qv";

pub(super) fn read(stage: &Stage, log: &str, ended: Option<bool>) -> Vec<Reading> {
    let file = |name: &str| std::fs::read_to_string(stage.folder.join(name)).unwrap_or_default();
    let (backbones, sequences, scored) = (file(BACKBONES), file(SEQUENCES), file(SCORED));
    let backbones = designs(&backbones);
    let trail = Trail { stage, log, ended, sequences: designs(&sequences), scored: whole(designs(&scored), ended) };
    let item = |(i, item): (usize, &domain::Item)| trail.follow(item, backbones.get(i));
    stage.items.iter().enumerate().map(item).collect()
}

/// One entry of a Quiver file.
#[derive(Debug, PartialEq)]
struct Design<'a> {
    tag: &'a str,
    scores: &'a str,
    pdb: &'a str,
}

/// Every entry, in order.
fn designs(quiver: &str) -> Vec<Design<'_>> {
    let mut entries = vec![];
    let starts: Vec<_> = quiver.match_indices("QV_TAG ").map(|(at, _)| at).collect();
    for (i, start) in starts.iter().enumerate() {
        let end = starts.get(i + 1).copied().unwrap_or(quiver.len());
        let (tag, body) = quiver[*start..end].split_once('\n').unwrap_or_default();
        let tag = tag.trim_start_matches("QV_TAG ").trim();
        let (score, pdb) = match body.strip_prefix("QV_SCORE ") {
            Some(rest) => rest.split_once('\n').unwrap_or((rest, "")),
            None => ("", body),
        };
        entries.push(Design { tag, scores: score.split_once(' ').map_or("", |(_, scores)| scores.trim()), pdb });
    }
    entries
}

/// Without the last entry unless the tool came to a good end: it may be half written.
fn whole(mut designs: Vec<Design>, ended: Option<bool>) -> Vec<Design> {
    if ended != Some(true) {
        designs.pop();
    }
    designs
}

/// The files of one try.
struct Trail<'a> {
    stage: &'a Stage<'a>,
    log: &'a str,
    ended: Option<bool>,
    sequences: Vec<Design<'a>>,
    scored: Vec<Design<'a>>,
}

impl Trail<'_> {
    fn follow(&self, item: &domain::Item, backbone: Option<&Design>) -> Reading {
        let index = item.index;
        let lost = |message: String| Reading::Failed { index, error: ItemError::new("design_lost", message) };
        let unfinished = |hint| Reading::Unfinished { index, hint };
        let Some(backbone) = backbone else {
            return match self.ended {
                Some(true) => lost("RFdiffusion made fewer designs than it was asked for".to_owned()),
                Some(false) => unfinished(log::hint(self.log, self.stage.folder)),
                None => unfinished(None),
            };
        };
        let candidates = self.sequences.iter().filter(|design| is_of(design.tag, backbone.tag)).count();
        if candidates == 0
            && let Some(reason) = self.mpnn_failure(backbone.tag)
        {
            return lost(format!("ProteinMPNN found no sequence: {reason}"));
        }
        let scored: Vec<_> = self.scored.iter().filter(|design| is_of(design.tag, backbone.tag)).collect();
        let best = scored.iter().min_by(|a, b| interaction_pae(a).total_cmp(&interaction_pae(b)));
        let wanted = self.stage.run.parameters["sequences_per_backbone"].as_u64().unwrap_or(1) as usize;
        match (best, self.ended) {
            (Some(best), Some(true)) => self.done(item, best),
            (Some(best), _) if scored.len() >= wanted => self.done(item, best),
            (None, Some(true)) => lost("RF2 left no result for it".to_owned()),
            (_, None) => unfinished(None),
            _ => unfinished(log::hint(self.log, self.stage.folder)),
        }
    }

    fn done(&self, item: &domain::Item, best: &Design) -> Reading {
        let index = item.index;
        let path = self.stage.folder.join(format!("{}.pdb", record_id(item)));
        if write_once(&path, best.pdb).is_err() {
            return Reading::Unfinished { index, hint: None };
        }
        let mut scores = Scores::default();
        for (name, value) in pairs(best).filter(|(name, _)| *name != "simulated") {
            scores.set(name, value.parse().ok());
        }
        scores.set("confidence", scores.get("pred_lddt"));
        let simulated = pairs(best).any(|pair| pair == ("simulated", "1"));
        Reading::Done { index, scores, files: vec![("pdb", path)], simulated }
    }

    /// ProteinMPNN goes on after a failure, and exits well.
    fn mpnn_failure(&self, tag: &str) -> Option<&str> {
        let start = format!("Struct with tag {tag} failed");
        let line = log::lines(self.log).find(|line| line.contains(&start))?;
        Some(line.split_once("error: ").map_or(line, |(_, reason)| reason))
    }
}

/// Whether an entry of a later tool comes from this backbone.
fn is_of(tag: &str, backbone: &str) -> bool {
    tag.strip_prefix(backbone).is_some_and(|rest| rest.starts_with("_dldesign_"))
}

fn pairs<'a>(design: &Design<'a>) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
    design.scores.split('|').filter_map(|pair| pair.split_once('='))
}

/// What RF2 expects the error between antibody and target to be, in Å; infinite where it does not say.
fn interaction_pae(design: &Design) -> f64 {
    let given = pairs(design).find(|(name, _)| *name == "interaction_pae");
    given.and_then(|(_, value)| value.parse().ok()).unwrap_or(f64::INFINITY)
}

fn write_once(path: &Path, pdb: &str) -> std::io::Result<()> {
    if path.exists() { Ok(()) } else { std::fs::write(path, pdb) }
}
