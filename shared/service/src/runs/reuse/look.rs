//! Looking the ligands of a submission up in the indices of the user's earlier runs.

use super::{
    index::{Answer, Index},
    list::{self, Listed},
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

/// Runs whose indices are read at most, the newest first.
const MOST_RUNS: usize = 32;
/// Markers of a question that are looked through for the newest.
const MOST_MARKERS: u32 = 1000;

/// A ligand that is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wanted {
    pub hash: LigandHash,
    /// The item's 1-based index.
    pub index: u32,
    pub heavy_atoms: u32,
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

    fn add(&mut self, wanted: &Wanted, run: u32, answer: Answer) {
        self.known.add(wanted.heavy_atoms);
        self.ligands.push(Listed {
            index: wanted.index,
            hash: wanted.hash,
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
    /// The user's runs that have answers, the newest first.
    answered_by: Vec<JobId>,
}

impl Question {
    pub async fn of(ports: &Ports<'_>, submission: &Submission) -> Result<Self> {
        let Submission { uid, model, accepted, .. } = submission;
        if accepted.designs.is_some() {
            return Ok(Question::default());
        }
        let asked = question(model.name(), model.version(), &accepted.input, &accepted.files, &accepted.parameters);
        let answered_by = newest(ports.blobs, uid, &asked, ports.settings.simulates(model.name())).await?;
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
    wanted.sort_unstable();
    for job in question.answered_by {
        let Some(index) = Index::open(ports.blobs, places::answers(uid, &job)?).await? else { continue };
        let hashes: Vec<_> = wanted.iter().map(|wanted| wanted.hash).collect();
        let (run, mut found) = (reuse.runs.len() as u32, vec![false; wanted.len()]);
        let mut take = |at: usize, answer| {
            found[at] = true;
            reuse.add(&wanted[at], run, answer);
        };
        match index.find(&hashes, &mut take).await {
            // It was purged meanwhile; what was found is gone as well, and the planner will see that.
            Ok(()) | Err(Error::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
        if found.contains(&true) {
            reuse.runs.push(job);
            let mut found = found.into_iter();
            wanted.retain(|_| !found.next().unwrap_or_default());
        }
        if wanted.is_empty() {
            break;
        }
    }
    reuse.ligands.sort_unstable();
    reuse.to_run.remove(&reuse.known);
    Ok(reuse)
}

/// The runs that have answers to a question, the newest first.
async fn newest(blobs: &Blobs, uid: &Uid, question: &str, simulated: bool) -> Result<Vec<JobId>> {
    let prefix = places::answers_to(uid, question, simulated);
    let mut markers = blobs.list(places::ARTIFACTS, &prefix, None, MOST_MARKERS).await?;
    markers.sort_by(|a, b| (b.created_at, b.path.name()).cmp(&(a.created_at, a.path.name())));
    let job = |name: &str| name.strip_prefix(&prefix).and_then(|job| JobId::try_from(job.to_owned()).ok());
    Ok(markers.iter().filter_map(|marker| job(marker.path.name())).take(MOST_RUNS).collect())
}
