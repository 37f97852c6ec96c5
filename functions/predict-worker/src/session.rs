//! The processes of one attempt: which tries are made, what is taken from each, and when it is over.

use crate::{
    Config, Ended, Error, ModelRunner,
    attempt::{Attempt, ItemFile},
    process::{Log, Process},
    retry::patiently,
    rounds::{Batch, Rounds},
    weights,
};
use async_trait::async_trait;
use domain::{Item, ItemError, Outcome, OutcomeStatus, Scores};
use models::{Accelerator, Reading, Stage, UNUSABLE};
use service::{places, runs::reuse};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

/// The most an input file of a model may weigh.
const INPUT_FILE_LIMIT: u64 = 256 * 1024 * 1024;
/// A tool may be silent for as long as so many items take.
const SILENT_ITEMS: f64 = 10.0;
/// … and at least this long.
const SILENT: Duration = Duration::from_secs(900);

/// Runs the model's own command-line tool.
pub(crate) struct Processes<'a>(pub &'a Config);

/// An attempt and how its processes are run.
struct Session<'a> {
    attempt: &'a mut Attempt,
    config: &'a Config,
}

/// How one try ended.
enum Try {
    /// The processes came to an end; these items have no outcome, and perhaps a word on why.
    Over(BTreeMap<u32, Option<ItemError>>),
    /// The whole attempt is over.
    Stop(Ended),
}

#[async_trait]
impl ModelRunner for Processes<'_> {
    async fn run(&mut self, attempt: &mut Attempt) -> Result<Ended, Error> {
        Session { attempt, config: self.0 }.run().await
    }
}

impl Session<'_> {
    /// Runs every item that has no outcome yet, and writes the last report. Dropping the future kills what runs.
    async fn run(&mut self) -> Result<Ended, Error> {
        let scratch =
            tempfile::Builder::new().prefix("shard-").tempdir_in(std::path::absolute(&self.config.scratch)?)?;
        let files = self.download(scratch.path()).await?;
        if let Some(folder) = self.config.weights.as_ref().filter(|_| !self.attempt.is_complete()) {
            weights::fetch(&self.attempt.ports, self.attempt.model.name(), folder).await?;
        }
        let open = self.attempt.open_items();
        let mut rounds = Rounds::new(&open, self.group(open.len()));
        let mut tries = 0;
        while let Some(batch) = rounds.next() {
            tries += 1;
            let folder = scratch.path().join(format!("try-{tries}"));
            std::fs::create_dir(&folder)?;
            let (run, tools) = (self.attempt.run.clone(), &self.config.tools);
            let stage = Stage { folder: &folder, files: &files, run: &run, items: &batch.items, tools };
            let mut unfinished = match self.attempt(&stage).await? {
                Try::Stop(ended) => return Ok(ended),
                Try::Over(unfinished) => unfinished,
            };
            self.put_back(&mut rounds, &batch, &mut unfinished);
            std::fs::remove_dir_all(&folder)?;
        }
        Ok(self.attempt.finish().await?)
    }

    /// How many items one process takes. An attempt that follows a lost one takes half as many as that: where the
    /// items of a shard need more time than a task has, some attempt still brings the first of them home.
    fn group(&self, open: usize) -> usize {
        let halvings = (self.attempt.number() - 1).min(16);
        self.attempt.model.group().min(open.div_ceil(1 << halvings))
    }

    /// How long the tool may be silent, where the operator has not said it: as long as some of the largest items take.
    fn patience(&self, items: &[Item]) -> Duration {
        if let Some(stall) = self.config.stall {
            return stall;
        }
        let largest = items.iter().map(|item| item.heavy_atoms).max().unwrap_or_default();
        let run = &self.attempt.run;
        let profile = self.attempt.model.profile(run.target_residues, largest, &run.parameters);
        SILENT.max(Duration::from_secs_f64(SILENT_ITEMS * profile.item_seconds))
    }

    /// The folder with the run's input files.
    async fn download(&self, scratch: &Path) -> Result<PathBuf, Error> {
        let folder = scratch.join("files");
        std::fs::create_dir(&folder)?;
        let Attempt { ports, task, run, .. } = &*self.attempt;
        for name in &run.input_files {
            let path = places::input_file(&task.uid, &task.job_id, name)?;
            let content = patiently(&ports.clock, || ports.blobs.get(&path, INPUT_FILE_LIMIT)).await?;
            std::fs::write(folder.join(name), content)?;
        }
        Ok(folder)
    }

    fn put_back(&mut self, rounds: &mut Rounds, batch: &Batch, unfinished: &mut BTreeMap<u32, Option<ItemError>>) {
        let left = batch.items.iter().filter(|item| unfinished.contains_key(&item.index)).cloned().collect();
        if let Some(item) = rounds.put_back(batch, left) {
            let silent = || ItemError::new("model_failed", "the model ended without a result and without a word");
            let error = unfinished.remove(&item.index).flatten().unwrap_or_else(silent);
            tracing::warn!(job.id = %self.attempt.task.job_id, item = item.index, code = error.code, "item given up");
            let provenance = self.attempt.provenance(1, 1);
            self.attempt.record(Outcome { provenance, ..Outcome::failed(item.index, error) });
        }
    }

    /// One try: the model's processes one after the other, and everything they leave.
    async fn attempt(&mut self, stage: &Stage<'_>) -> Result<Try, Error> {
        let log = Log::new();
        let patience = self.patience(stage.items);
        let mut stalled = false;
        let mut well = true;
        self.attempt.started(device(self.config));
        for step in self.attempt.model.stage(stage)? {
            let mut process = Process::start(&step, &log)?;
            well = loop {
                if let Some(well) = process.wait(self.config.poll).await? {
                    break well;
                }
                let printed = log.text();
                if self.attempt.model.loaded(&printed) {
                    self.attempt.loaded();
                }
                self.take(stage, &printed, None).await?;
                if let Some(ended) = self.attempt.look_around(self.config.checkpoint).await? {
                    process.kill().await?;
                    return Ok(Try::Stop(ended));
                }
                if log.silent_for() > patience {
                    tracing::warn!(job.id = %self.attempt.task.job_id, shard = self.attempt.task.shard, "tool is silent and was killed");
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
        let ended = self.attempt.look_around(self.config.checkpoint).await?;
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
        for (position, reading) in self.attempt.model.read(stage, log, ended).into_iter().enumerate() {
            let provenance = self.attempt.provenance(position + 1, stage.items.len());
            match reading {
                Reading::Done { index, .. } | Reading::Failed { index, .. } if self.attempt.knows(index) => {}
                Reading::Done { index, scores, files, simulated } => match self.upload(index, &files).await? {
                    Some(files) => {
                        let item = stage.items.iter().find(|item| item.index == index);
                        let molecule = item.and_then(|item| reuse::molecule(item.smiles.as_deref()?));
                        self.attempt.record(Outcome { molecule, ..done(index, scores, files, simulated, provenance) });
                    }
                    None => _ = unfinished.insert(index, None),
                },
                Reading::Failed { index, error } => {
                    self.attempt.record(Outcome { provenance, ..Outcome::failed(index, error) });
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
        let mut read = vec![];
        for (kind, path) in files {
            let Ok(content) = std::fs::read(path) else { return Ok(None) };
            let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
            let stem = if matches!(*kind, "cif" | "pdb") { "structure" } else { kind };
            read.push(ItemFile { kind, name: format!("{stem}.{extension}"), content });
        }
        Ok(Some(self.attempt.keep(index, read).await?))
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
    Outcome {
        index,
        status: OutcomeStatus::Completed,
        scores,
        files,
        error: None,
        simulated,
        cached: false,
        molecule: None,
        provenance,
    }
}
