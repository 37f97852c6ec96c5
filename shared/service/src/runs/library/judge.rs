//! What becomes of each row: its item, or why there is none.

use super::{
    IngestError, Judged, LISTED, Reading, gone,
    open::{Opened, read},
};
use chem::{Curator, Ligand, RejectReason, Verdict};
use domain::{Item, Rejected};
use sha2::{Digest, Sha256};
use std::io;

/// Rows on their way to being [`Judged`].
struct Judging {
    judged: Judged,
    curator: Curator,
    wanted: bool,
    smiles: Sha256,
}

impl Judging {
    fn take(
        &mut self,
        verdict: Verdict,
        accept: &mut dyn FnMut(Item) -> io::Result<()>,
        reject: &mut dyn FnMut(Rejected) -> io::Result<()>,
    ) -> Result<(), IngestError> {
        let judged = &mut self.judged;
        match verdict {
            Verdict::Accepted { row, name, ligand } => {
                let (index, heavy_atoms) = (judged.accepted + 1, ligand.heavy_atoms());
                judged.accepted = index;
                judged.sizes.add(heavy_atoms);
                self.smiles.update(ligand.smiles());
                self.smiles.update(b"\n");
                if self.wanted {
                    judged.wanted.push(ligand.key(), ligand.smiles(), heavy_atoms);
                }
                let item = item(index, row, name, &ligand);
                if index == 1 {
                    judged.first = Some(item.clone());
                }
                accept(item).map_err(gone)
            }
            Verdict::Rejected { row, name, smiles, reason } => {
                let row = rejected(row, name, smiles, &reason);
                judged.rejected += 1;
                if row.duplicate_of.is_none() {
                    judged.invalid += 1;
                    if judged.listed.len() < LISTED {
                        judged.listed.push(row.clone());
                    }
                }
                reject(row).map_err(gone)
            }
        }
    }

    fn done(self) -> Judged {
        Judged { digest: self.smiles.finalize().into(), ..self.judged }
    }
}

/// Judges the rows one after the other.
pub(super) fn judge(
    opened: &Opened,
    reading: Reading,
    accept: &mut dyn FnMut(Item) -> io::Result<()>,
    reject: &mut dyn FnMut(Rejected) -> io::Result<()>,
) -> Result<Judged, IngestError> {
    let most_rows = reading.most_rows();
    let Reading { most, wanted, first_reading } = reading;
    let curator = first_reading.map_or_else(Curator::new, |first| Curator::knowing(first.found));
    let mut judging = Judging { judged: Judged::default(), curator, wanted, smiles: Sha256::new() };
    read(opened, most_rows, |rows| {
        for verdict in judging.curator.judge_all(rows) {
            judging.take(verdict, accept, reject)?;
            if judging.judged.accepted > most {
                return Err(IngestError::TooMany(most));
            }
        }
        Ok(())
    })?;
    Ok(judging.done())
}

fn item(index: u32, row: u64, name: String, ligand: &Ligand) -> Item {
    Item {
        index,
        row,
        name,
        smiles: Some(ligand.smiles().to_owned()),
        original_smiles: (ligand.original() != ligand.smiles()).then(|| ligand.original().to_owned()),
        heavy_atoms: ligand.heavy_atoms(),
        notes: ligand.notes().iter().map(ToString::to_string).collect(),
    }
}

fn rejected(row: u64, name: String, smiles: String, reason: &RejectReason) -> Rejected {
    let duplicate_of = match reason {
        RejectReason::Duplicate { of_row, .. } => Some(*of_row),
        _ => None,
    };
    Rejected { row, name, smiles, code: reason.code().to_owned(), reason: reason.to_string(), duplicate_of }
}
