//! One attempt at a shard, from the claim to the last report: which tries are made, what is taken from each, and when
//! it is over.

use crate::{
    Config, Ended, Error, Task, WorkerPorts,
    claim::{self, Answer},
    ledger::Ledger,
    process::{Log, Process},
    retry::patiently,
    rounds::{Batch, Rounds},
    weights,
};
use domain::{Item, ItemError, Outcome, OutcomeStatus, Run, Scores, Timestamp};
use models::{Accelerator, Model, Reading, Stage, UNUSABLE};
use platform::{Error as PlatformError, PutOptions};
use service::{places, runs::shards};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// The most an input file of a model may weigh.
const INPUT_FILE_LIMIT: u64 = 256 * 1024 * 1024;
/// A tool may be silent for as long as so many items take.
const SILENT_ITEMS: f64 = 10.0;
/// … and at least this long.
const SILENT: Duration = Duration::from_secs(900);
/// After this long without news a report says that the work goes on, and what it has cost.
const QUIET: Duration = Duration::from_secs(300);

/// A shard that this worker holds.
pub(crate) struct Session {
    ports: WorkerPorts,
    task: Task,
    run: Run,
    model: &'static dyn Model,
    items: Vec<Item>,
    attempt: u32,
    ledger: Ledger,
    looked_at: Instant,
    reported_at: Instant,
}

/// Whether there is anything to do.
pub(crate) enum Opening {
    Ready(Box<Session>),
    Over(Ended),
}

/// How one try ended.
enum Try {
    /// The processes came to an end; these items have no outcome, and perhaps a word on why.
    Over(BTreeMap<u32, Option<ItemError>>),
    /// The whole attempt is over.
    Stop(Ended),
}

impl Session {
    /// Claims the shard and reads what is to be run. Nothing is downloaded or started before the claim.
    pub async fn open(ports: &WorkerPorts, task: &Task) -> Result<Opening, Error> {
        let Some(run) = claim::run(ports, task).await? else {
            return Ok(Opening::Over(Ended::Refused("the run has ended or is gone")));
        };
        let model = models::find(&run.model).ok_or_else(|| Error::UnknownModel(run.model.clone()))?;
        let attempt = match claim::claim(ports, task).await? {
            Answer::Granted { attempt } => attempt,
            Answer::Refused(reason) => return Ok(Opening::Over(Ended::Refused(reason))),
        };
        let claimed_at = Timestamp::from(ports.clock.now());
        let (uid, job) = (&task.uid, &task.job_id);
        let items = patiently(|| shards::input(&ports.blobs, uid, job, task.shard)).await?.items;
        let earlier = patiently(|| shards::earlier_outcomes(&ports.blobs, uid, job, task.shard)).await?;
        tracing::info!(job.id = %job, shard = task.shard, attempt, items = items.len(), known = earlier.len(), "claimed");
        let ledger = Ledger::new(attempt, claimed_at, model.version(), &items, earlier);
        let (ports, task) = (ports.clone(), task.clone());
        let now = Instant::now();
        let session = Session { ports, task, run, model, items, attempt, ledger, looked_at: now, reported_at: now };
        Ok(Opening::Ready(Box::new(session)))
    }

    /// Runs every item that has no outcome yet, and writes the last report. Dropping the future kills what runs.
    pub async fn run(&mut self, config: &Config) -> Result<Ended, Error> {
        let scratch = tempfile::Builder::new().prefix("shard-").tempdir_in(std::path::absolute(&config.scratch)?)?;
        let files = self.download(scratch.path()).await?;
        if let Some(folder) = config.weights.as_ref().filter(|_| !self.ledger.is_complete()) {
            weights::fetch(&self.ports.blobs, self.model.name(), folder).await?;
        }
        let open: Vec<_> = self.items.iter().filter(|item| !self.ledger.knows(item.index)).cloned().collect();
        let mut rounds = Rounds::new(&open, self.group(open.len()));
        let mut tries = 0;
        while let Some(batch) = rounds.next() {
            tries += 1;
            let folder = scratch.path().join(format!("try-{tries}"));
            std::fs::create_dir(&folder)?;
            let run = self.run.clone();
            let stage = Stage { folder: &folder, files: &files, run: &run, items: &batch.items, tools: &config.tools };
            let mut unfinished = match self.attempt(&stage, config).await? {
                Try::Stop(ended) => return Ok(ended),
                Try::Over(unfinished) => unfinished,
            };
            self.put_back(&mut rounds, &batch, &mut unfinished);
            std::fs::remove_dir_all(&folder)?;
        }
        Ok(if self.report(self.ledger.is_complete()).await? { Ended::Done } else { Ended::Superseded })
    }

    /// How many items one process takes. An attempt that follows a lost one takes half as many as that: where the
    /// items of a shard need more time than a task has, some attempt still brings the first of them home.
    fn group(&self, open: usize) -> usize {
        let halvings = (self.attempt - 1).min(16);
        self.model.group().min(open.div_ceil(1 << halvings))
    }

    /// How long the tool may be silent, where the operator has not said it: as long as some of the largest items take.
    fn patience(&self, config: &Config, items: &[Item]) -> Duration {
        if let Some(stall) = config.stall {
            return stall;
        }
        let largest = items.iter().map(|item| item.heavy_atoms).max().unwrap_or_default();
        let profile = self.model.profile(self.run.target_residues, largest, &self.run.parameters);
        SILENT.max(Duration::from_secs_f64(SILENT_ITEMS * profile.item_seconds))
    }

    /// Writes a report. False if somebody else did in this attempt's name.
    pub async fn report(&mut self, last: bool) -> Result<bool, PlatformError> {
        self.reported_at = Instant::now();
        self.ledger.report(&self.ports, &self.task, last).await
    }

    /// The folder with the run's input files.
    async fn download(&self, scratch: &Path) -> Result<PathBuf, Error> {
        let folder = scratch.join("files");
        std::fs::create_dir(&folder)?;
        for name in &self.run.input_files {
            let path = places::input_file(&self.task.uid, &self.task.job_id, name)?;
            let content = patiently(|| self.ports.blobs.get(&path, INPUT_FILE_LIMIT)).await?;
            std::fs::write(folder.join(name), content)?;
        }
        Ok(folder)
    }

    fn put_back(&mut self, rounds: &mut Rounds, batch: &Batch, unfinished: &mut BTreeMap<u32, Option<ItemError>>) {
        let left = batch.items.iter().filter(|item| unfinished.contains_key(&item.index)).cloned().collect();
        if let Some(item) = rounds.put_back(batch, left) {
            let silent = || ItemError::new("model_failed", "the model ended without a result and without a word");
            let error = unfinished.remove(&item.index).flatten().unwrap_or_else(silent);
            tracing::warn!(job.id = %self.task.job_id, item = item.index, code = error.code, "item given up");
            self.ledger.record(Outcome { provenance: self.provenance(1, 1), ..Outcome::failed(item.index, error) });
        }
    }

    /// One try: the model's processes one after the other, and everything they leave.
    async fn attempt(&mut self, stage: &Stage<'_>, config: &Config) -> Result<Try, Error> {
        let log = Log::new();
        let patience = self.patience(config, stage.items);
        let mut stalled = false;
        let mut well = true;
        self.ledger.started(device(config));
        for step in self.model.stage(stage)? {
            let mut process = Process::start(&step, &log)?;
            well = loop {
                if let Some(well) = process.wait(config.poll).await? {
                    break well;
                }
                let printed = log.text();
                if self.model.loaded(&printed) {
                    self.ledger.loaded(self.ports.clock.now().into());
                }
                self.take(stage, &printed, None).await?;
                if let Some(ended) = self.look_around(config).await? {
                    process.kill().await?;
                    return Ok(Try::Stop(ended));
                }
                if log.silent_for() > patience {
                    tracing::warn!(job.id = %self.task.job_id, shard = self.task.shard, "tool is silent and was killed");
                    process.kill().await?;
                    stalled = true;
                    break false;
                }
            };
            if !well {
                break;
            }
        }
        let mut unfinished = self.take(stage, &log.text(), Some(well)).await?;
        if stalled {
            let seconds = patience.as_secs();
            let error =
                ItemError::new("model_stalled", format!("the model was silent for {seconds} s and was stopped"));
            unfinished.values_mut().for_each(|hint| *hint = Some(error.clone()));
        }
        self.refuse_unusable(stage, &unfinished)?;
        let ended = self.look_around(config).await?;
        Ok(ended.map_or(Try::Over(unfinished), Try::Stop))
    }

    /// A tool that cannot work on this machine is no item's fault: the task fails, and nothing is said of the items.
    fn refuse_unusable(&self, stage: &Stage<'_>, unfinished: &BTreeMap<u32, Option<ItemError>>) -> Result<(), Error> {
        let nothing = unfinished.len() == stage.items.len();
        let unusable = unfinished.values().flatten().find(|hint| hint.code == UNUSABLE);
        match unusable.filter(|_| nothing) {
            Some(hint) => Err(Error::Unusable(hint.message.clone())),
            None => Ok(()),
        }
    }

    /// Records what the model has finished. Returns the items without an outcome.
    async fn take(
        &mut self,
        stage: &Stage<'_>,
        log: &str,
        ended: Option<bool>,
    ) -> Result<BTreeMap<u32, Option<ItemError>>, Error> {
        let mut unfinished = BTreeMap::new();
        for (position, reading) in self.model.read(stage, log, ended).into_iter().enumerate() {
            let provenance = self.provenance(position + 1, stage.items.len());
            match reading {
                Reading::Done { index, .. } | Reading::Failed { index, .. } if self.ledger.knows(index) => {}
                Reading::Done { index, scores, files, simulated } => match self.upload(index, &files).await? {
                    Some(files) => self.ledger.record(done(index, scores, files, simulated, provenance)),
                    None => _ = unfinished.insert(index, None),
                },
                Reading::Failed { index, error } => {
                    self.ledger.record(Outcome { provenance, ..Outcome::failed(index, error) });
                }
                Reading::Unfinished { index, hint } => _ = unfinished.insert(index, hint),
            }
        }
        Ok(unfinished)
    }

    /// Keeps an item's files under this attempt's own names. `None` if one of them cannot be read now.
    async fn upload(
        &self,
        index: u32,
        files: &[(&'static str, PathBuf)],
    ) -> Result<Option<BTreeMap<String, String>>, Error> {
        // All are read before the first is kept: files of two tries are never mixed under one name.
        let mut contents = vec![];
        for (kind, path) in files {
            let Ok(content) = std::fs::read(path) else { return Ok(None) };
            contents.push((kind, path, content));
        }
        let mut names = BTreeMap::new();
        for (kind, path, content) in contents {
            let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
            let stem = if matches!(*kind, "cif" | "pdb") { "structure" } else { kind };
            let file = format!("{stem}.{extension}");
            let object = places::item_file(&self.task.uid, &self.task.job_id, index, self.attempt, &file)?;
            let options = || PutOptions::of_type(content_type(extension)).create_once();
            match patiently(|| self.ports.blobs.put_bytes(&object, content.clone(), options())).await {
                // An unanswered call before this one may have written it.
                Ok(_) | Err(PlatformError::AlreadyExists(_)) => {}
                Err(error) => return Err(error.into()),
            }
            names.insert((*kind).to_owned(), object.name().to_owned());
        }
        Ok(Some(names))
    }

    /// Now and then: is the shard still this worker's, is the run still wanted? If so, what is new is reported.
    async fn look_around(&mut self, config: &Config) -> Result<Option<Ended>, Error> {
        if self.looked_at.elapsed() < config.checkpoint {
            return Ok(None);
        }
        let mut ended = claim::standing(&self.ports, &self.task, self.attempt).await?;
        let due = self.ledger.has_news() || self.reported_at.elapsed() > QUIET;
        if ended.is_none() && due && !self.report(false).await? {
            ended = Some(Ended::Superseded);
        }
        self.looked_at = Instant::now();
        Ok(ended)
    }

    /// What is needed to repeat a result: the position among the items of its process is part of it, because the
    /// models' random numbers run on from item to item.
    fn provenance(&self, position: usize, of: usize) -> BTreeMap<String, String> {
        let mut provenance = BTreeMap::from([
            ("model_version".to_owned(), self.model.version().to_owned()),
            ("shard".to_owned(), self.task.shard.to_string()),
            ("attempt".to_owned(), self.attempt.to_string()),
            ("order".to_owned(), format!("{position} of {of}")),
        ]);
        if let Some(seed) = self.run.parameters.get("seed") {
            provenance.insert("seed".to_owned(), seed.to_string());
        }
        provenance
    }
}

/// What the model runs on, as the profiles name it.
fn device(config: &Config) -> &'static str {
    match config.tools.accelerator {
        Accelerator::Gpu => places::GPU,
        Accelerator::Cpu => "cpu",
    }
}

fn done(
    index: u32,
    scores: Scores,
    files: BTreeMap<String, String>,
    simulated: bool,
    provenance: BTreeMap<String, String>,
) -> Outcome {
    Outcome { index, status: OutcomeStatus::Completed, scores, files, error: None, simulated, provenance }
}

fn content_type(extension: &str) -> &'static str {
    match extension {
        "json" => "application/json",
        "cif" => "chemical/x-mmcif",
        "pdb" => "chemical/x-pdb",
        _ => "application/octet-stream",
    }
}
