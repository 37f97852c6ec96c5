//! Results that a user's earlier runs have already: no GPU is used for them again.
//!
//! A result answers a *question* ([`domain::question`]: model, version, inputs, parameters) about a ligand
//! ([`LigandHash`]). All of it lies below the user's own prefix, so nobody is answered with what is another user's.
//!
//! - A run that ends leaves an index of the ligands it has results of ([`index`]) among its own objects, and a marker
//!   below the question's name that says so. With the run's objects the index goes; a marker without one means nothing.
//! - A submission looks its ligands up in the indices of the 32 newest markers of its question ([`look`](mod@look)), and
//!   is planned, priced and limited by the others only. What it found is written down as a list ([`list`]).
//! - The planner gives the ligands of the list shards of their own, copies their results into the run ([`take`]) and
//!   writes the last reports of these shards itself. A result that is gone by then is not missed: its ligand is left to
//!   a worker.
//!
//! The copies are the run's own: they outlive the run they came from, and answer later questions themselves. So the
//! newest run of a library that grows answers for all of it, and nothing is ever looked for through several runs.
//! Values of a stand-in answer only where a stand-in would be asked again ([`Settings::simulated_models`]).

mod index;
mod list;
mod look;
mod take;

pub use index::{Answers, Gathered};
pub use list::{Listed, Listing};
pub use look::{Question, Reuse, Wanted, look};
pub use take::take_over;

use crate::{Settings, places};
use domain::{JobId, Run, Uid};
use platform::{Blobs, PutOptions, Result};

/// Lets later runs find what the index of this one says; called while its results are written.
pub(super) async fn announce(blobs: &Blobs, run: &Run, simulated: bool) -> Result<()> {
    let Some(question) = &run.question else { return Ok(()) };
    if blobs.head(&places::answers(&run.uid, &run.job_id)?).await?.is_none() {
        return Ok(());
    }
    let marker = places::answered_by(&run.uid, question, simulated, &run.job_id)?;
    blobs.put_bytes(&marker, vec![], PutOptions::default()).await.map(|_| ())
}

/// Takes away the marker of a run that answered the question.
pub async fn withdraw(blobs: &Blobs, uid: &Uid, job: &JobId, question: Option<&str>) -> Result<()> {
    let Some(question) = question else { return Ok(()) };
    for simulated in [false, true] {
        blobs.delete(&places::answered_by(uid, question, simulated, job)?).await?;
    }
    Ok(())
}

impl Settings {
    /// True where a stand-in would make the values of this model.
    fn simulates(&self, model: &str) -> bool {
        self.simulated_models.iter().any(|simulated| simulated == model)
    }
}
