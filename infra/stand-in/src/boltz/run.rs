//! One run of Boltz: reading the inputs, then the two phases, with what it prints, what it skips
//! and how it fails. The order of the steps is the point here; files and numbers live beside.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::progress::Progress;
use super::record::Record;
use super::{input, write};
use crate::settings::Settings;
use crate::{Failure, Outcome};

/// What was asked for on the command line.
pub struct Job<'a> {
    /// `OUT/boltz_results_STEM`.
    pub out: PathBuf,
    pub seed: String,
    pub samples: usize,
    pub threads: usize,
    pub use_msa_server: bool,
    pub settings: &'a Settings,
}

impl Job<'_> {
    /// Reads the inputs not yet read by an earlier run in the same folder. One that fails is
    /// reported and skipped: this alone never changes the exit code.
    pub fn process(&self, inputs: Vec<PathBuf>) -> Outcome {
        let folder = self.records_folder();
        let known: HashSet<String> = self.records()?.into_iter().map(|record| record.id).collect();
        let resumed = folder.exists();
        let new = inputs.into_iter().filter(|path| !known.contains(&stem(path)));
        let new: Vec<PathBuf> = new.collect();
        if resumed && new.is_empty() {
            println!("All inputs are already processed.");
        } else if resumed {
            let known = known.len();
            println!("Found {known} existing processed inputs, skipping them.");
        }
        std::fs::create_dir_all(&folder)?;
        std::fs::create_dir_all(self.predictions())?;
        let (inputs, threads) = (new.len(), self.threads.min(new.len()));
        println!("Processing {inputs} inputs with {threads} threads.");
        for path in new {
            let id = stem(&path);
            let read = if self.settings.strikes("skip", &id) {
                Err(Failure::raised("ValueError", "skipped on request"))
            } else {
                input::read(&path, &id, self.use_msa_server)
            };
            match read {
                Ok(record) => std::fs::write(folder.join(format!("{id}.json")), write::json(&record)?)?,
                Err(error) => report_skipped(&path, &error),
            }
        }
        Ok(())
    }

    /// Every record read so far, by id. The real tool's order is the file system's.
    pub fn records(&self) -> Result<Vec<Record>, Failure> {
        let folder = self.records_folder();
        let mut records = Vec::new();
        if folder.exists() {
            for entry in folder.read_dir()? {
                let text = std::fs::read(entry?.path())?;
                records.push(serde_json::from_slice::<Record>(&text).map_err(std::io::Error::from)?);
            }
        }
        records.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(records)
    }

    /// Phase one. A folder that exists counts as predicted, even when it is empty.
    pub fn predict_structures(&self, records: &[Record]) -> Outcome {
        let missing = |record: &&Record| !self.folder(record).is_dir();
        let todo: Vec<&Record> = records.iter().filter(missing).collect();
        let existing = self.predictions().read_dir()?.count();
        if existing > 0 {
            println!(
                "Found some existing predictions ({existing}), skipping and running only the missing \
                 ones, if any. If you wish to override these existing predictions, please set the \
                 --override flag."
            );
        }
        let Some(first) = todo.first() else {
            return Ok(());
        };
        println!("Running structure prediction for {}.", inputs(todo.len()));
        self.settings.load_model();
        let progress = Progress::start(todo.len());
        let mut failed = 0;
        for (k, record) in todo.iter().enumerate() {
            let record = self.featurized("featurizer", k, record, first)?;
            failed += usize::from(!self.predict_structure(record)?);
            progress.show(k + 1);
        }
        progress.finish(failed);
        Ok(())
    }

    /// Whether there was memory enough.
    fn predict_structure(&self, record: &Record) -> Result<bool, Failure> {
        let id = &record.id;
        self.settings.work_on(id);
        let no_residues = |sequence: &String| sequence.is_empty();
        if record.chains.iter().filter_map(|c| c.sequence.as_ref()).any(no_residues) {
            return Err(Failure::raised("IndexError", "index 0 is out of bounds for axis 0 with size 0"));
        }
        if self.settings.strikes("runtime-error", id) {
            return Err(Failure::raised("RuntimeError", "CUDA error: device-side assert triggered"));
        }
        if self.settings.strikes("oom-structure", id) {
            println!("| WARNING: ran out of memory, skipping batch");
            return Ok(false);
        }
        write::structure(&self.folder(record), record, &self.seed, self.samples, self.settings)?;
        Ok(true)
    }

    /// Phase two, over every record if any of them asks for an affinity. A record without the
    /// structure of phase one ends the run, and with it the affinities of all after it.
    pub fn predict_affinities(&self, records: &[Record]) -> Outcome {
        if !records.iter().any(|record| record.affinity.is_some()) {
            return Ok(());
        }
        println!("\nPredicting property: affinity\n\nChecking input data for affinity.");
        let done = |record: &Record| {
            let file = format!("affinity_{}.json", record.id);
            record.affinity.is_some() && self.folder(record).join(file).exists()
        };
        let todo: Vec<&Record> = records.iter().filter(|record| !done(record)).collect();
        let existing = records.len() - todo.len();
        if existing > 0 {
            println!(
                "Found some existing affinity predictions ({existing}), skipping and running only the \
                 missing ones, if any. If you wish to override these existing affinity predictions, \
                 please set the --override flag."
            );
        }
        let Some(first) = todo.first() else {
            println!("Found existing affinity predictions for all inputs, skipping.");
            return Ok(());
        };
        println!("Running affinity prediction for {}.", inputs(todo.len()));
        self.settings.load_model();
        let progress = Progress::start(todo.len());
        let mut failed = 0;
        for (k, record) in todo.iter().enumerate() {
            self.need_structure(record)?;
            let record = self.featurized("featurizer-affinity", k, record, first)?;
            failed += usize::from(!self.predict_affinity(record)?);
            progress.show(k + 1);
        }
        progress.finish(failed);
        Ok(())
    }

    /// Whether there was memory enough.
    fn predict_affinity(&self, record: &Record) -> Result<bool, Failure> {
        self.settings.work_on(&record.id);
        if self.settings.strikes("oom-affinity", &record.id) {
            println!("| WARNING: ran out of memory, skipping batch");
            return Ok(false);
        }
        let half = self.settings.strikes("truncated", &record.id);
        write::affinity(&self.folder(record), record, &self.seed, half)?;
        if half {
            return Err(Failure::raised("OSError", "[Errno 28] No space left on device"));
        }
        Ok(true)
    }

    fn need_structure(&self, record: &Record) -> Outcome {
        let path = write::pre_affinity_path(&self.folder(record), &record.id);
        if path.exists() {
            return Ok(());
        }
        let message = format!("[Errno 2] No such file or directory: '{}'", path.display());
        Err(Failure::raised("FileNotFoundError", message))
    }

    /// The record that is really run: when featurizing fails, Boltz takes the first one again,
    /// and calls itself without end when that is the one that fails.
    fn featurized<'r>(
        &self,
        fault: &str,
        k: usize,
        record: &'r Record,
        first: &'r Record,
    ) -> Result<&'r Record, Failure> {
        if !self.settings.strikes(fault, &record.id) {
            return Ok(record);
        }
        println!("Featurizer failed on {} with error list index out of range. Skipping.", record.id);
        if k == 0 {
            let message = "maximum recursion depth exceeded while calling a Python object";
            return Err(Failure::raised("RecursionError", message));
        }
        Ok(first)
    }

    fn records_folder(&self) -> PathBuf {
        self.out.join("processed").join("records")
    }

    fn predictions(&self) -> PathBuf {
        self.out.join("predictions")
    }

    fn folder(&self, record: &Record) -> PathBuf {
        self.predictions().join(&record.id)
    }
}

fn report_skipped(path: &Path, error: &Failure) {
    eprintln!("Traceback (most recent call last):\n{error}");
    let message = match error {
        Failure::Raised { message, .. } => message.clone(),
        other => other.to_string(),
    };
    println!("Failed to process {}. Skipping. Error: {message}.", path.display());
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// `1 input`, `2 inputs`.
fn inputs(n: usize) -> String {
    if n == 1 { "1 input".to_owned() } else { format!("{n} inputs") }
}
