//! What a run will take, told before it is run: from the model's built-in times, what was learned of them, and the
//! library's sizes. A submission is planned by this, and an estimate tells the same.

use super::library::Judged;
use crate::{chain, places};
use domain::{CostProfile, Learned, Plan, Planning, SizeClass, Strategy};
use models::{Accepted, Model};
use platform::Docs;

/// What was learned of a model. Without it, as where it cannot be read, the built-in times hold.
pub async fn learned(docs: &Docs, model: &dyn Model) -> Option<Learned> {
    match docs.find::<Learned>(&places::profile(model.name())).await {
        Ok(learned) => learned.map(|learned| learned.value),
        Err(error) => {
            tracing::warn!(model = model.name(), error = %chain(&error), "what was learned of the model is not used");
            None
        }
    }
}

/// The plan of a run of these items.
pub fn plan(
    model: &dyn Model,
    accepted: &Accepted,
    judged: &Judged,
    learned: Option<&Learned>,
    strategy: Strategy,
    slots: u32,
) -> Plan {
    let mut load_seconds = 0.0;
    let mut sizes = vec![];
    for (most_atoms, class) in &judged.sizes {
        let heavy_atoms = class.heavy_atoms.div_ceil(u64::from(class.ligands.max(1))) as u32;
        let profile = times(model, accepted, heavy_atoms, learned);
        load_seconds = profile.load_seconds;
        sizes.push(SizeClass { most_atoms: *most_atoms, items: class.ligands, item_seconds: profile.item_seconds });
    }
    Planning { sizes: &sizes, load_seconds, strategy, slots }.plan()
}

fn times(model: &dyn Model, accepted: &Accepted, heavy_atoms: u32, learned: Option<&Learned>) -> CostProfile {
    let built_in = model.profile(accepted.target_residues, heavy_atoms, &accepted.parameters);
    learned.map_or(built_in, |learned| learned.correct(built_in, accepted.target_residues, heavy_atoms))
}
