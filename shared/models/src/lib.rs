//! The models: for each, its inputs and parameters, limits, cost, the files its own command-line tool reads and how
//! to read what the tool wrote. One module per model; a new one is that module and a line in [`all`]. Nothing here
//! starts a process, opens a socket or knows a cloud: the worker does, and hands over folders and a log.

mod boltz2;
mod card;
mod chai1;
mod files;
mod inputs;
mod log;
mod parameters;
mod pdb;
mod request;
mod rfantibody;
mod stage;
#[cfg(test)]
mod testing;

pub use card::{Better, ItemKind, Limit, ModelCard, ScoreCard};
pub use log::{UNUSABLE, last_words};
pub use request::{Accepted, FieldError, Request};
pub use stage::{Accelerator, Reading, Stage, Step, Tools};

use domain::{CostProfile, Ranking};
use serde_json::Value;
use std::io;

/// What the rest of the house asks of a model.
pub trait Model: Send + Sync {
    /// As requests name it.
    fn name(&self) -> &'static str;

    /// Of the tool, as its package names it.
    fn version(&self) -> &'static str;

    /// What clients may know before they ask for a prediction.
    fn card(&self) -> ModelCard;

    /// The request in canonical form: equal requests are equal byte for byte, every default is written out. Errs with
    /// every fault at once, also with those the tool itself would pass over in silence.
    fn accept(&self, request: &Request) -> Result<Accepted, Vec<FieldError>>;

    /// Seconds to load, and for one item with these canonical parameters, before anything was measured.
    fn profile(&self, target_residues: u32, heavy_atoms: u32, parameters: &Value) -> CostProfile;

    /// In which order hits are shown, given the canonical parameters.
    fn ranking(&self, parameters: &Value) -> Ranking;

    /// A score between 0 and 1 worth a histogram.
    fn histogram_of(&self) -> Option<&'static str>;

    /// How many items one process takes.
    fn group(&self) -> usize;

    /// Writes the input files into the stage's fresh folder. Returns the processes to run, one after the other.
    fn stage(&self, stage: &Stage) -> io::Result<Vec<Step>>;

    /// Whether the tool says in what it printed that its model is loaded and the first item has begun. A tool that
    /// never says so is taken at its profile's word.
    fn loaded(&self, _log: &str) -> bool {
        false
    }

    /// One reading per item of the stage. `log` is what the processes printed so far; `ended` is absent while they
    /// run, then tells whether the last one exited well. Exit codes are not believed: only files are.
    fn read(&self, stage: &Stage, log: &str, ended: Option<bool>) -> Vec<Reading>;
}

/// Every model, in the order they are shown.
pub fn all() -> &'static [&'static dyn Model] {
    &[&boltz2::Boltz2, &chai1::Chai1, &rfantibody::RfAntibody]
}

/// The model of that name.
pub fn find(name: &str) -> Option<&'static dyn Model> {
    all().iter().copied().find(|model| model.name() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_model_is_found_by_the_name_on_its_card() {
        for model in all() {
            let card = model.card();
            assert_eq!(find(card.name).map(Model::version), Some(card.version));
            assert!(card.scores.iter().any(|score| score.name == model.ranking(&Value::Null).score), "{}", card.name);
            assert!(card.inputs["additionalProperties"] == Value::Bool(false), "{}", card.name);
        }
        assert!(find("alphafold").is_none());
    }

    #[test]
    fn a_larger_complex_never_costs_less() {
        for model in all() {
            let cost = |residues| model.profile(residues, 30, &Value::Null).item_seconds;
            assert!(cost(1000) >= cost(300) && cost(300) >= cost(50), "{}", model.name());
        }
    }
}
