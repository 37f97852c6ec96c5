//! One attempt at a shard as the outside world sees it: the claim, what is known of the items, the reports, and
//! whether the shard is still this worker's. What runs the model is not known here.

use crate::{
    Ended, Error, Task, WorkerPorts,
    claim::{self, Answer},
    ledger::Ledger,
    retry::patiently,
};
use domain::{Item, Outcome, Run, Timestamp};
use models::Model;
use platform::{Error as PlatformError, PutOptions, Result as PlatformResult};
use service::{
    places,
    runs::{reports, shards},
};
use std::{collections::BTreeMap, time::Duration};

/// After this long without news a report says that the work goes on, and what it has cost.
const QUIET: Duration = Duration::from_secs(300);

/// A shard that this worker holds.
pub struct Attempt {
    pub(crate) ports: WorkerPorts,
    pub(crate) task: Task,
    pub(crate) run: Run,
    pub(crate) model: &'static dyn Model,
    items: Vec<Item>,
    number: u32,
    ledger: Ledger,
    looked_at: Timestamp,
    reported_at: Timestamp,
}

/// Whether there is anything to do.
pub(crate) enum Opening {
    Ready(Box<Attempt>),
    Over(Ended),
}

/// A file of an item's result: what it is, the name it gets, and its content.
pub struct ItemFile {
    pub kind: &'static str,
    pub name: String,
    pub content: Vec<u8>,
}

impl Attempt {
    /// Claims the shard and reads what is to be run. Nothing is downloaded or started before the claim.
    pub(crate) async fn open(ports: &WorkerPorts, task: &Task) -> Result<Opening, Error> {
        let Some(run) = claim::run(ports, task).await? else {
            return Ok(Opening::Over(Ended::Refused("the run has ended or is gone")));
        };
        let model = models::find(&run.model).ok_or_else(|| Error::UnknownModel(run.model.clone()))?;
        let number = match claim::claim(ports, task).await? {
            Answer::Granted { attempt } => attempt,
            Answer::Refused(reason) => return Ok(Opening::Over(Ended::Refused(reason))),
        };
        let now = Timestamp::from(ports.clock.now());
        let (uid, job) = (&task.uid, &task.job_id);
        let clock = &ports.clock;
        let items = patiently(clock, || shards::input(&ports.blobs, uid, job, task.shard)).await?.items;
        let earlier = patiently(clock, || reports::earlier_outcomes(&ports.blobs, uid, job, task.shard)).await?;
        tracing::info!(job.id = %job, shard = task.shard, attempt = number, items = items.len(), known = earlier.len(), "claimed");
        let ledger = Ledger::new(number, now, model.version(), &items, earlier);
        let (ports, task) = (ports.clone(), task.clone());
        let attempt = Attempt { ports, task, run, model, items, number, ledger, looked_at: now, reported_at: now };
        Ok(Opening::Ready(Box::new(attempt)))
    }

    /// The attempt's number, from 1.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// The items without an outcome, in order.
    pub fn open_items(&self) -> Vec<Item> {
        self.items.iter().filter(|item| !self.ledger.knows(item.index)).cloned().collect()
    }

    /// True if the item has its outcome.
    pub fn knows(&self, index: u32) -> bool {
        self.ledger.knows(index)
    }

    /// True if every item has its outcome.
    pub fn is_complete(&self) -> bool {
        self.ledger.is_complete()
    }

    /// Notes that the tool is started on this device.
    pub(crate) fn started(&mut self, device: &str) {
        self.ledger.started(device);
    }

    /// Notes that the tool said its model is loaded.
    pub(crate) fn loaded(&mut self) {
        self.ledger.loaded(self.ports.clock.now().into());
    }

    /// Notes how an item ended. The first word on it stands.
    pub fn record(&mut self, outcome: Outcome) {
        self.ledger.record(outcome);
    }

    /// Keeps an item's files under this attempt's own names; the names by kind.
    pub async fn keep(&self, index: u32, files: Vec<ItemFile>) -> PlatformResult<BTreeMap<String, String>> {
        let mut names = BTreeMap::new();
        for ItemFile { kind, name, content } in files {
            let object = places::item_file(&self.task.uid, &self.task.job_id, index, self.number, &name)?;
            let options = || PutOptions::of_type(content_type(&name)).create_once();
            let put = || self.ports.blobs.put_bytes(&object, content.clone(), options());
            match patiently(&self.ports.clock, put).await {
                // An unanswered call before this one may have written it.
                Ok(_) | Err(PlatformError::AlreadyExists(_)) => {}
                Err(error) => return Err(error),
            }
            names.insert(kind.to_owned(), object.name().to_owned());
        }
        Ok(names)
    }

    /// Writes a report. False if somebody else did in this attempt's name.
    pub async fn report(&mut self, last: bool) -> PlatformResult<bool> {
        self.reported_at = self.ports.clock.now().into();
        self.ledger.report(&self.ports, &self.task, last).await
    }

    /// Writes the last report, of all that came to be known.
    pub async fn finish(&mut self) -> PlatformResult<Ended> {
        Ok(if self.report(self.is_complete()).await? { Ended::Done } else { Ended::Superseded })
    }

    /// Now and then, at most every `checkpoint`: is the shard still this worker's, is the run still wanted? If so, what
    /// is new is reported; if not, how the attempt ended.
    pub async fn look_around(&mut self, checkpoint: Duration) -> PlatformResult<Option<Ended>> {
        let now = Timestamp::from(self.ports.clock.now());
        if now.seconds_since(self.looked_at) < checkpoint.as_secs_f64() {
            return Ok(None);
        }
        let mut ended = claim::standing(&self.ports, &self.task, self.number).await?;
        let due = self.ledger.has_news() || now.seconds_since(self.reported_at) > QUIET.as_secs_f64();
        if ended.is_none() && due && !self.report(false).await? {
            ended = Some(Ended::Superseded);
        }
        self.looked_at = self.ports.clock.now().into();
        Ok(ended)
    }

    /// What is needed to repeat a result: the position among the items of its process is part of it, because the
    /// models' random numbers run on from item to item.
    pub(crate) fn provenance(&self, position: usize, of: usize) -> BTreeMap<String, String> {
        let mut provenance = BTreeMap::from([
            ("model_version".to_owned(), self.model.version().to_owned()),
            ("shard".to_owned(), self.task.shard.to_string()),
            ("attempt".to_owned(), self.number.to_string()),
            ("order".to_owned(), format!("{position} of {of}")),
        ]);
        if let Some(seed) = self.run.parameters.get("seed") {
            provenance.insert("seed".to_owned(), seed.to_string());
        }
        provenance
    }
}

fn content_type(file: &str) -> &'static str {
    match file.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "json" => "application/json",
        "cif" => "chemical/x-mmcif",
        "pdb" => "chemical/x-pdb",
        _ => "application/octet-stream",
    }
}
