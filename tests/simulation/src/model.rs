//! A model that is nothing but time: it loads, then finishes item after item, some with a failure. An item in a hundred
//! ends its worker.

use crate::universe::Universe;
use async_trait::async_trait;
use domain::{Item, ItemError, JobId, Molecule, Outcome, OutcomeStatus, Scores};
use platform::Clock;
use predict_worker::{Attempt, Ended, Error, ItemFile, ModelRunner, Task};
use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    time::Duration,
};

/// What an item does to the model.
#[derive(Debug, PartialEq, Eq)]
pub enum Temper {
    Good,
    Fails,
    /// The worker ends with an error, every time.
    Deadly,
}

/// The luck of a run in a world of this luck.
pub fn luck(of_world: u64, id: &JobId) -> u64 {
    of_world ^ id.as_str().len() as u64
}

/// What becomes of the item in a run of this luck.
pub fn temper(luck: u64, name: &str) -> Temper {
    let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3).rotate_left(23);
    match name.bytes().fold(luck, mix) % 100 {
        0..10 => Temper::Fails,
        10 => Temper::Deadly,
        _ => Temper::Good,
    }
}

thread_local! {
    static MOLECULES: RefCell<HashMap<String, Option<Molecule>>> = RefCell::default();
}

/// Which molecule it is, as the worker tells; worked out once, since all worlds have the same few.
fn molecule(smiles: &str) -> Option<Molecule> {
    MOLECULES.with_borrow_mut(|known| {
        *known.entry(smiles.to_owned()).or_insert_with(|| service::runs::reuse::molecule(smiles))
    })
}

pub struct Model {
    clock: Clock,
    load: Duration,
    item: Duration,
    checkpoint: Duration,
    luck: u64,
}

impl Model {
    pub fn new(universe: &Universe, task: &Task, checkpoint: Duration) -> Self {
        let scenario = &universe.scenario;
        let luck = luck(scenario.luck, &task.job_id);
        let seconds = |seconds: u32| Duration::from_secs(seconds.into());
        let (load, item) = (seconds(scenario.load), seconds(scenario.item));
        Model { clock: universe.clock.clone(), load, item, checkpoint, luck }
    }

    /// Works on one item, looking around as often as the worker does.
    async fn work(&self, attempt: &mut Attempt) -> Result<Option<Ended>, Error> {
        let mut left = self.item;
        while !left.is_zero() {
            let step = left.min(self.checkpoint);
            self.clock.sleep(step).await;
            left -= step;
            if let Some(ended) = attempt.look_around(self.checkpoint).await? {
                return Ok(Some(ended));
            }
        }
        Ok(None)
    }

    async fn outcome(&self, attempt: &Attempt, item: &Item) -> Result<Outcome, Error> {
        match temper(self.luck, &item.name) {
            Temper::Deadly => Err(Error::Unusable("an item ends its worker".into())),
            Temper::Fails => Ok(Outcome::failed(item.index, ItemError::new("model_failed", "no result"))),
            Temper::Good => {
                let structure = ItemFile { kind: "cif", name: "structure.cif".into(), content: b"data_".to_vec() };
                let files = attempt.keep(item.index, vec![structure]).await?;
                let score = 1.0 / f64::from(item.index + 1);
                Ok(Outcome {
                    index: item.index,
                    status: OutcomeStatus::Completed,
                    scores: Scores(BTreeMap::from([("affinity_prob".to_owned(), score)])),
                    files,
                    error: None,
                    simulated: true,
                    cached: false,
                    molecule: item.smiles.as_deref().and_then(molecule),
                    provenance: BTreeMap::new(),
                })
            }
        }
    }
}

#[async_trait]
impl ModelRunner for Model {
    async fn run(&mut self, attempt: &mut Attempt) -> Result<Ended, Error> {
        self.clock.sleep(self.load).await;
        for item in attempt.open_items() {
            if let Some(ended) = self.work(attempt).await? {
                return Ok(ended);
            }
            let outcome = self.outcome(attempt, &item).await?;
            attempt.record(outcome);
        }
        Ok(attempt.finish().await?)
    }
}
