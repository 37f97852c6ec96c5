//! Results that a user's earlier runs have already: no GPU is used for them again.
//!
//! A result answers a *question* ([`domain::question`]: model, version, inputs, parameters) about a [`Molecule`], however
//! that is written. All of it lies below the user's own prefix, so nobody is answered with what is another user's.
//!
//! - A run that ends leaves an index of the ligands it has results of ([`index`]) among its own objects, and a marker
//!   below the question's name that says so. With the run's objects the index goes; a marker without one means nothing.
//! - A submission looks its ligands up in the indices of the newest and of the largest runs that have answers to its
//!   question ([`marker`], [`look`](mod@look)), and is planned, priced and limited by the others only. What is written as
//!   it was is found by that; of what is not, the canonical SMILES decides, which workers work out beside their GPU. What
//!   was found is written down as a list ([`list`]).
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
mod marker;
mod take;

pub use index::{Answers, Gathered};
pub use list::{Listed, Listing};
pub use look::{Question, Reuse, Wanted, look};
pub(super) use marker::announce;
pub use marker::withdraw;
pub use take::take_over;

use crate::Settings;
use domain::{LigandHash, Molecule};

/// Which molecule a ligand is: some 0.1 ms of work. `None` for what is none.
pub fn molecule(smiles: &str) -> Option<Molecule> {
    let ligand = chem::Ligand::parse(smiles).ok()?;
    Some(Molecule { key: ligand.key(), canonical: LigandHash::of(&ligand.canonical()) })
}

impl Settings {
    /// True where a stand-in would make the values of this model.
    fn simulates(&self, model: &str) -> bool {
        self.simulated_models.iter().any(|simulated| simulated == model)
    }
}
