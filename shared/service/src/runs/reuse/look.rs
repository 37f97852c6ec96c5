//! Looking the ligands of a submission up in the indices of the user's earlier runs.

use super::{
    index::{Answer, Index},
    list::{self, Listed},
    marker::answering,
};
use crate::{
    places,
    runs::{
        library::{Judged, Sizes},
        submit::{Ports, Submission},
    },
};
use domain::{JobId, LigandHash, Plan, Uid, question};
use platform::{Blobs, Error, Result};
use std::collections::HashMap;

/// Ligands whose canonical SMILES is worked out because they are written otherwise than what has their key: some seconds
/// of work. What comes beyond is run anew.
const MOST_RESPELT: usize = 100_000;
/// Of them, those that are worked out here and not on a thread that may block.
const FEW: usize = 16;

/// Ligands that are looked for: some 80 bytes each.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    ligands: Vec<Ligand>,
    /// As they are written, one after the other.
    texts: String,
}

#[derive(Clone, Copy, Debug)]
struct Ligand {
    key: u64,
    written: LigandHash,
    /// The item's 1-based index.
    index: u32,
    heavy_atoms: u32,
    /// Where its text begins and ends.
    text: (u32, u32),
}

impl Wanted {
    /// Adds the next item's ligand.
    pub fn push(&mut self, key: u64, smiles: &str, heavy_atoms: u32) {
        let begin = self.texts.len() as u32;
        self.texts.push_str(smiles);
        let (index, text) = (self.ligands.len() as u32 + 1, (begin, self.texts.len() as u32));
        self.ligands.push(Ligand { key, written: LigandHash::of(smiles), index, heavy_atoms, text });
    }

    pub fn len(&self) -> usize {
        self.ligands.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ligands.is_empty()
    }

    fn text(&self, ligand: &Ligand) -> String {
        self.texts[ligand.text.0 as usize..ligand.text.1 as usize].to_owned()
    }
}

/// What earlier runs of a user have of a submission.
#[derive(Debug, Default)]
pub struct Reuse {
    /// What is asked; `None` where that is never asked twice.
    pub question: Option<String>,
    /// The items that need a GPU, by size.
    pub to_run: Sizes,
    /// Those with a result, by size.
    pub known: Sizes,
    runs: Vec<JobId>,
    ligands: Vec<Listed>,
}

impl Reuse {
    /// Where nothing is looked for.
    pub fn nothing(judged: &Judged) -> Self {
        Reuse { to_run: judged.sizes.clone(), ..Reuse::default() }
    }

    /// How many ligands have their result already.
    pub fn count(&self) -> u32 {
        self.ligands.len() as u32
    }

    /// The plan with these ligands beside it, of which `known` is what running them would take.
    pub fn add_to(&self, plan: Plan, known: Plan) -> Plan {
        if self.ligands.is_empty() { plan } else { plan.with_known(known, list::name(&self.runs, &self.ligands)) }
    }

    /// Writes down for the planner what was found, where anything was.
    pub async fn write(&self, blobs: &Blobs, uid: &Uid, job: &JobId) -> Result<()> {
        if self.ligands.is_empty() {
            return Ok(());
        }
        let name = list::name(&self.runs, &self.ligands);
        list::write(blobs, uid, job, &name, (&self.runs, &self.ligands)).await
    }

    fn add(&mut self, wanted: &Ligand, run: u32, answer: Answer) {
        self.known.add(wanted.heavy_atoms);
        self.ligands.push(Listed {
            index: wanted.index,
            hash: wanted.written,
            run,
            item: answer.item,
            shard: answer.shard,
        });
    }
}

/// What a submission asks of each ligand, and who may know.
#[derive(Debug, Default)]
pub struct Question {
    /// `None` where that is never asked twice: designs are made anew each time.
    asked: Option<String>,
    /// The user's runs that are asked for answers.
    answered_by: Vec<JobId>,
}

impl Question {
    /// What the submission asks; nobody may know where it is the first of its user.
    pub async fn of(ports: &Ports<'_>, submission: &Submission, first: bool) -> Result<Self> {
        let Submission { uid, model, accepted, .. } = submission;
        if accepted.designs.is_some() {
            return Ok(Question::default());
        }
        let asked = question(model.name(), model.version(), &accepted.input, &accepted.files, &accepted.parameters);
        let answered_by = match first {
            true => vec![],
            false => answering(ports.blobs, uid, &asked, ports.settings.simulates(model.name())).await?,
        };
        Ok(Question { asked: Some(asked), answered_by })
    }

    /// Whether there may be results.
    pub fn was_answered(&self) -> bool {
        !self.answered_by.is_empty()
    }
}

/// Finds the submission's ligands among the results of its user, and takes them from what was judged. Memory grows with
/// the ligands of the submission, and only where there are results.
pub async fn look(ports: &Ports<'_>, uid: &Uid, question: Question, judged: &mut Judged) -> Result<Reuse> {
    let mut reuse = Reuse { question: question.asked, ..Reuse::nothing(judged) };
    let mut wanted = std::mem::take(&mut judged.wanted);
    let mut canonical = Canonical::default();
    wanted.ligands.sort_unstable_by_key(|ligand| (ligand.key, ligand.index));
    for job in question.answered_by {
        let Some(index) = Index::open(ports.blobs, places::answers(uid, &job)?).await? else { continue };
        let found = find(&index, &wanted, &mut canonical).await?;
        if found.iter().any(Option::is_some) {
            let run = reuse.runs.len() as u32;
            for (ligand, answer) in wanted.ligands.iter().zip(&found) {
                if let Some(answer) = answer {
                    reuse.add(ligand, run, *answer);
                }
            }
            reuse.runs.push(job);
            let mut found = found.into_iter();
            wanted.ligands.retain(|_| found.next().flatten().is_none());
        }
        if wanted.is_empty() {
            break;
        }
    }
    reuse.ligands.sort_unstable();
    reuse.to_run.remove(&reuse.known);
    Ok(reuse)
}

/// For each of the ligands, which are in the order of their keys, what a run has of it.
async fn find(index: &Index<'_>, wanted: &Wanted, canonical: &mut Canonical) -> Result<Vec<Option<Answer>>> {
    let keys: Vec<_> = wanted.ligands.iter().map(|ligand| ligand.key).collect();
    let (mut found, mut respelt) = (vec![None; keys.len()], vec![]);
    let mut take = |at: usize, same: &[Answer]| {
        found[at] = same.iter().find(|answer| answer.written == wanted.ligands[at].written).copied();
        if found[at].is_none() && respelt.len() < MOST_RESPELT {
            respelt.push((at, same.to_vec()));
        }
    };
    match index.find(&keys, &mut take).await {
        // It was purged meanwhile; what was found is gone as well, and the planner will see that.
        Ok(()) | Err(Error::NotFound(_)) => {}
        Err(error) => return Err(error),
    }
    canonical.work_out(wanted, respelt.iter().map(|(at, _)| *at)).await?;
    for (at, same) in respelt {
        let of = canonical.0.get(&wanted.ligands[at].index);
        found[at] = same.into_iter().find(|answer| Some(&answer.molecule.canonical) == of);
    }
    Ok(found)
}

/// The hashes of canonical SMILES that were worked out, by the item's index.
#[derive(Default)]
struct Canonical(HashMap<u32, LigandHash>);

impl Canonical {
    /// Works out those of the ligands at these places that are not yet known.
    async fn work_out(&mut self, wanted: &Wanted, places: impl Iterator<Item = usize>) -> Result<()> {
        let ligands = places.map(|at| &wanted.ligands[at]).filter(|ligand| !self.0.contains_key(&ligand.index));
        let room = MOST_RESPELT.saturating_sub(self.0.len());
        let texts: Vec<_> = ligands.take(room).map(|ligand| (ligand.index, wanted.text(ligand))).collect();
        let few = texts.len() <= FEW;
        let work = move || {
            let of = |(index, smiles): (u32, String)| Some((index, super::molecule(&smiles)?.canonical));
            texts.into_iter().filter_map(of).collect::<Vec<_>>()
        };
        let known = if few {
            work()
        } else {
            let working = tokio::task::spawn_blocking(work).await;
            working.map_err(|error| Error::internal("working out molecules", error))?
        };
        self.0.extend(known);
        Ok(())
    }
}
