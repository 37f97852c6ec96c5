//! What is known of the shard's items, and the reports that tell it. A report is written once under a name that only
//! this attempt uses, and tells everything: the next one replaces it, none is ever needed besides it.

use crate::{Task, WorkerPorts, retry::patiently};
use domain::{Item, Outcome, Report, Timestamp, Timing};
use platform::{BlobPath, Error, PutOptions, Result};
use service::{places, runs::reports::REPORT_LIMIT};
use std::collections::BTreeMap;

/// The outcomes of one attempt, earlier attempts' among them.
pub(crate) struct Ledger {
    attempt: u32,
    claimed_at: Timestamp,
    model_version: &'static str,
    items: usize,
    outcomes: BTreeMap<u32, Outcome>,
    seq: u32,
    news: bool,
    timing: Option<Timing>,
}

impl Ledger {
    /// Begins with the outcomes that earlier attempts reported for `items`.
    pub fn new(
        attempt: u32,
        claimed_at: Timestamp,
        model_version: &'static str,
        items: &[Item],
        mut earlier: BTreeMap<u32, Outcome>,
    ) -> Self {
        earlier.retain(|index, _| items.iter().any(|item| item.index == *index));
        let news = !earlier.is_empty();
        Ledger { attempt, claimed_at, model_version, items: items.len(), outcomes: earlier, seq: 0, news, timing: None }
    }

    pub fn knows(&self, index: u32) -> bool {
        self.outcomes.contains_key(&index)
    }

    /// The first word on an item stands.
    pub fn record(&mut self, outcome: Outcome) {
        self.outcomes.entry(outcome.index).or_insert(outcome);
        self.news = true;
    }

    /// The tool is started on this device.
    pub fn started(&mut self, device: &str) {
        let timing = || Timing { device: device.to_owned(), load_seconds: None, starts: 0 };
        self.timing.get_or_insert_with(timing).starts += 1;
    }

    /// The tool said that its model is loaded. The first time counts, if it was not started before in vain.
    pub fn loaded(&mut self, now: Timestamp) {
        let first = self.timing.as_mut().filter(|timing| timing.starts == 1 && timing.load_seconds.is_none());
        if let Some(timing) = first {
            timing.load_seconds = Some(now.seconds_since(self.claimed_at).max(0.0));
        }
    }

    pub fn is_complete(&self) -> bool {
        self.outcomes.len() == self.items
    }

    pub fn has_news(&self) -> bool {
        self.news
    }

    /// Writes the next report. False if somebody else wrote one in this attempt's name: this worker is not the one.
    pub async fn report(&mut self, ports: &WorkerPorts, task: &Task, last: bool) -> Result<bool> {
        let now = Timestamp::from(ports.clock.now());
        let seq = self.seq + 1;
        let report = Report {
            uid: task.uid.clone(),
            job_id: task.job_id.clone(),
            shard: task.shard,
            attempt: self.attempt,
            seq,
            last,
            outcomes: self.outcomes.values().cloned().collect(),
            gpu_seconds: now.seconds_since(self.claimed_at).max(0.0),
            model_version: self.model_version.to_owned(),
            written_at: now,
            timing: self.timing.clone(),
        };
        let path = places::report(&task.uid, &task.job_id, task.shard, self.attempt, seq)?;
        let written = write_once(ports, &path, &report).await?;
        if written {
            self.seq = seq;
            self.news = false;
            tracing::info!(job.id = %task.job_id, shard = task.shard, seq, items = self.outcomes.len(), last, "reported");
        }
        Ok(written)
    }
}

/// False if another report lies there. One of the same content was written by an earlier call that went unanswered.
async fn write_once(ports: &WorkerPorts, path: &BlobPath, report: &Report) -> Result<bool> {
    let put = || ports.blobs.put_json(path, report, PutOptions::default().create_once());
    match patiently(&ports.clock, put).await {
        Ok(_) => Ok(true),
        Err(Error::AlreadyExists(_)) => {
            let there = patiently(&ports.clock, || ports.blobs.get_json::<Report>(path, REPORT_LIMIT)).await?;
            Ok(there == *report)
        }
        Err(error) => Err(error),
    }
}
