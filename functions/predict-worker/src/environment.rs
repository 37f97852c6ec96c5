//! The worker's environment as types. What is missing or wrong is told all at once.

use crate::{Config, Task};
use domain::{JobId, Uid, Worker};
use models::{Accelerator, Tools};
use std::{collections::BTreeMap, path::PathBuf, str::FromStr, time::Duration};

/// Kept back of a task's time for the last report.
const RESERVE: Duration = Duration::from_secs(120);

/// Everything that is missing or wrong in the environment.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the environment is not that of a task: {}", .0.join("; "))]
pub struct ConfigError(pub Vec<String>);

/// Reads which shard to run (`RUN`, `SHARDS`, and what Cloud Run sets for every task) and how.
pub fn read(environment: &BTreeMap<String, String>) -> Result<(Task, Config), ConfigError> {
    let mut reader = Reader { environment, wrong: vec![] };
    let task = reader.task();
    let config = reader.config();
    match task {
        Some(task) if reader.wrong.is_empty() => Ok((task, config)),
        _ => Err(ConfigError(reader.wrong)),
    }
}

struct Reader<'a> {
    environment: &'a BTreeMap<String, String>,
    wrong: Vec<String>,
}

impl<'a> Reader<'a> {
    fn get(&self, name: &str) -> Option<&'a str> {
        self.environment.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    fn need(&mut self, name: &str, what: &str) -> Option<&'a str> {
        let value = self.get(name);
        if value.is_none() {
            self.wrong.push(format!("{name} is not set ({what})"));
        }
        value
    }

    fn bad(&mut self, name: &str, what: &str) {
        self.wrong.push(format!("{name} is {:?}, not {what}", self.get(name).unwrap_or_default()));
    }

    fn parsed<T: FromStr>(&mut self, name: &str, what: &str) -> Option<T> {
        let value = self.need(name, what)?.parse().ok();
        if value.is_none() {
            self.bad(name, what);
        }
        value
    }

    fn task(&mut self) -> Option<Task> {
        let run = self.run();
        let index: Option<u32> = self.parsed("CLOUD_RUN_TASK_INDEX", "the task's number from 0");
        let task_attempt = self.parsed("CLOUD_RUN_TASK_ATTEMPT", "the number of the task's try from 0");
        let execution = self.need("CLOUD_RUN_EXECUTION", "the name of the execution").map(str::to_owned);
        let shard = self.shard(index);
        let ((uid, job_id), (shard, launch)) = (run?, shard?);
        let worker = Worker { execution: execution?, task: index?, task_attempt: task_attempt? };
        Some(Task { uid, job_id, shard, launch, worker })
    }

    fn run(&mut self) -> Option<(Uid, JobId)> {
        const WHAT: &str = "USER/RUN";
        let (uid, job_id) = self.need("RUN", WHAT)?.split_once('/').unwrap_or_default();
        let ids = Uid::named(uid.to_owned()).ok().zip(job_id.to_owned().try_into().ok());
        if ids.is_none() {
            self.bad("RUN", WHAT);
        }
        ids
    }

    /// `SHARDS` has one `shard:launch` for each task of the execution.
    fn shard(&mut self, index: Option<u32>) -> Option<(u32, u32)> {
        const WHAT: &str = "SHARD:LAUNCH,SHARD:LAUNCH,… with an entry for this task";
        let entry = self.need("SHARDS", WHAT)?.split(',').nth(index? as usize);
        let numbers = entry.and_then(|entry| entry.trim().split_once(':'));
        let shard = numbers.and_then(|(shard, launch)| shard.parse().ok().zip(launch.parse().ok()));
        if shard.is_none() {
            self.bad("SHARDS", WHAT);
        }
        shard
    }

    fn config(&mut self) -> Config {
        let limit = self.seconds("TASK_SECONDS", 3600.0);
        let weights = self.get("WEIGHTS_DIR").map(PathBuf::from);
        let fetched = weights.as_ref().map(|folder| folder.join("boltz2").display().to_string());
        Config {
            tools: Tools {
                boltz: self.words("BOLTZ_COMMAND", "boltz"),
                chai: self.words("CHAI_COMMAND", "chai-lab"),
                rfdiffusion: self.words("RFDIFFUSION_COMMAND", "rfdiffusion"),
                proteinmpnn: self.words("PROTEINMPNN_COMMAND", "proteinmpnn"),
                rf2: self.words("RF2_COMMAND", "rf2"),
                accelerator: self.accelerator(),
                boltz_cache: self.get("BOLTZ_CACHE").map(str::to_owned).or(fetched),
                boltz_extra: self.words("BOLTZ_EXTRA_ARGS", ""),
            },
            weights,
            scratch: self.get("SCRATCH_DIR").map_or_else(std::env::temp_dir, PathBuf::from),
            deadline: limit.saturating_sub(RESERVE).max(limit / 2),
            checkpoint: self.seconds("CHECKPOINT_SECONDS", 30.0),
            poll: self.seconds("POLL_SECONDS", 1.0),
            stall: self.get("STALL_SECONDS").map(|_| self.seconds("STALL_SECONDS", 0.0)),
        }
    }

    fn accelerator(&mut self) -> Accelerator {
        match self.get("ACCELERATOR") {
            None | Some("gpu") => Accelerator::Gpu,
            Some("cpu") => Accelerator::Cpu,
            Some(_) => {
                self.bad("ACCELERATOR", "gpu or cpu");
                Accelerator::Gpu
            }
        }
    }

    /// A command as a shell would split it.
    fn words(&mut self, name: &str, default: &str) -> Vec<String> {
        shell_words::split(self.get(name).unwrap_or(default)).unwrap_or_else(|_| {
            self.bad(name, "a command: a quote is not closed");
            vec![]
        })
    }

    fn seconds(&mut self, name: &str, default: f64) -> Duration {
        let given = self.get(name).map_or(Some(default), |text| text.parse().ok());
        let seconds = given.filter(|seconds| *seconds > 0.0).and_then(|given| Duration::try_from_secs_f64(given).ok());
        seconds.unwrap_or_else(|| {
            self.bad(name, "a number of seconds");
            Duration::ZERO
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let task = [
            ("RUN", "u1/batch_0123456789abcdefghjkmnpq"),
            ("SHARDS", "4:1,5:2"),
            ("CLOUD_RUN_TASK_INDEX", "1"),
            ("CLOUD_RUN_TASK_ATTEMPT", "0"),
            ("CLOUD_RUN_EXECUTION", "predict-worker-x1"),
        ];
        task.iter().chain(pairs).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn each_task_of_an_execution_has_its_own_shard() {
        let (task, config) = read(&environment(&[("BOLTZ_COMMAND", "env A='b c' boltz")])).unwrap();
        assert_eq!((task.shard, task.launch), (5, 2));
        assert_eq!(task.worker, Worker { execution: "predict-worker-x1".into(), task: 1, task_attempt: 0 });
        assert_eq!(config.tools.boltz, ["env", "A=b c", "boltz"]);
        assert_eq!(config.deadline, Duration::from_secs(3480));
    }

    #[test]
    fn a_short_task_still_has_half_its_time_to_work() {
        let deadline = |seconds| read(&environment(&[("TASK_SECONDS", seconds)])).unwrap().1.deadline;
        assert_eq!(deadline("100"), Duration::from_secs(50));
        assert_eq!(deadline("0.5"), Duration::from_millis(250));
    }

    #[test]
    fn everything_that_is_missing_or_wrong_is_told_at_once() {
        let wrong = [
            ("RUN", "batch_0123456789abcdefghjkmnpq"),
            ("CLOUD_RUN_TASK_INDEX", "2"),
            ("CLOUD_RUN_EXECUTION", ""),
            ("ACCELERATOR", "tpu"),
            ("CHECKPOINT_SECONDS", "often"),
            ("CHAI_COMMAND", "'chai"),
        ];
        let ConfigError(told) = read(&environment(&wrong)).unwrap_err();
        for name in ["RUN", "SHARDS", "CLOUD_RUN_EXECUTION", "ACCELERATOR", "CHECKPOINT_SECONDS", "CHAI_COMMAND"] {
            assert!(told.iter().any(|line| line.starts_with(name)), "{name} in {told:?}");
        }
        assert_eq!(told.len(), 6);
    }
}
