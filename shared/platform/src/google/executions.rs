//! Executions of Cloud Run jobs. Cloud Run would start a second execution for a repeated request, so whoever starts
//! one first writes a claim. A claim without an execution is what a caller left that died or had no answer: the list of
//! executions says whether Cloud Run had heard it, and after a while the claim may be taken over.

use super::{
    Endpoint, PATIENCE,
    error::{Reason, failed, reason},
    moment, one_attempt,
};
use crate::{
    Clock, Collection, Docs, Error, Execution, ExecutionState, Ids, Result, StartRequest, Versioned, Write,
    executions::ExecutionsCore,
};
use async_trait::async_trait;
use chrono::{SecondsFormat, TimeDelta};
use google_cloud_gax::{
    error::Error as Cause,
    options::RequestOptionsBuilder,
    paginator::ItemPaginator,
    retry_policy::{Aip194Strict, RetryPolicyExt},
};
use google_cloud_run_v2::{
    client::{Executions as ExecutionsClient, Jobs},
    model::{
        EnvVar, Execution as Found, condition,
        run_job_request::{Overrides, overrides::ContainerOverride},
    },
};
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

pub(super) const WHAT: &str = "Cloud Run";
/// The environment variable by which an execution is found again.
const CLAIM: &str = "CLAIM";
/// A claim younger than this may belong to a caller that is still waiting for Cloud Run's answer.
const IN_FLIGHT: TimeDelta = TimeDelta::seconds(60);
/// Claims are forgotten after this; executions are long over by then.
const REMEMBERED: TimeDelta = TimeDelta::days(7);
/// How many of a job's newest executions are looked through for a claim.
const LOOKED_THROUGH: usize = 500;

/// A document of the collection `claims`, named by the job and the claim.
#[derive(Clone, Serialize, Deserialize)]
struct Claim {
    job: String,
    claim: String,
    execution: Option<String>,
    expire_at: String,
    /// Rises when the claim is taken over.
    attempt: u32,
}

pub(super) struct CloudRun {
    location: String,
    endpoint: Option<Endpoint>,
    claims: Docs,
    clock: Clock,
    jobs: OnceCell<Jobs>,
    executions: OnceCell<ExecutionsClient>,
}

impl CloudRun {
    pub(super) fn new(project: &str, region: &str, endpoint: Option<Endpoint>, claims: Docs, clock: Clock) -> Self {
        let location = format!("projects/{project}/locations/{region}");
        CloudRun { location, endpoint, claims, clock, jobs: OnceCell::new(), executions: OnceCell::new() }
    }

    async fn jobs(&self) -> Result<&Jobs> {
        let make = || async {
            let mut builder = Jobs::builder();
            if let Some(Endpoint(url)) = &self.endpoint {
                builder = builder.with_endpoint(url).with_credentials(Endpoint::credentials());
            }
            builder.build().await.map_err(|error| Error::internal(WHAT, error))
        };
        self.jobs.get_or_try_init(make).await
    }

    async fn executions(&self) -> Result<&ExecutionsClient> {
        let make = || async {
            let mut builder = ExecutionsClient::builder().with_retry_policy(one_attempt());
            if let Some(Endpoint(url)) = &self.endpoint {
                builder = builder.with_endpoint(url).with_credentials(Endpoint::credentials());
            }
            builder.build().await.map_err(|error| Error::internal(WHAT, error))
        };
        self.executions.get_or_try_init(make).await
    }

    fn job(&self, job: &str) -> String {
        format!("{}/jobs/{job}", self.location)
    }

    /// The full name of an execution. Cloud Run names it after its job, with a random end.
    fn full_name(&self, name: &str) -> Option<String> {
        let (job, _) = name.rsplit_once('-')?;
        Some(format!("{}/executions/{name}", self.job(job)))
    }

    fn expiry(&self) -> String {
        (self.clock.now() + REMEMBERED).to_rfc3339_opts(SecondsFormat::Millis, true)
    }

    /// The claim, and whether it was just written here: only then may an execution be started under it.
    async fn claim(&self, request: &StartRequest, id: &str) -> Result<(Versioned<Claim>, bool)> {
        let path = Collection::root("claims").doc(id);
        let (job, claim) = (request.job.clone(), request.claim.clone());
        let fresh = Claim { job, claim, execution: None, expire_at: self.expiry(), attempt: 1 };
        match self.claims.create(&path, &fresh).await {
            Ok(()) => Ok((self.claims.get(&path).await?, true)),
            Err(Error::AlreadyExists(_)) => Ok((self.claims.get(&path).await?, false)),
            Err(error) => Err(error),
        }
    }

    /// Makes an abandoned claim this caller's own; one of several callers succeeds.
    async fn take_over(&self, known: Versioned<Claim>) -> Result<Versioned<Claim>> {
        let busy = || Error::busy(WHAT, "another call is starting this execution");
        if self.clock.now() - known.updated_at < IN_FLIGHT {
            return Err(busy());
        }
        let mut mine = known;
        mine.value.attempt += 1;
        match self.claims.replace(&mine).await {
            Ok(()) => self.claims.get(&mine.path).await,
            Err(error) if error.is_race() => Err(busy()),
            Err(error) => Err(error),
        }
    }

    /// The execution that was started under this claim, if Cloud Run has one.
    async fn find(&self, job: &str, id: &str) -> Result<Option<String>> {
        // Within a `start`, which the guard does not repeat.
        let patience = Aip194Strict.with_time_limit(PATIENCE);
        let listed = self.executions().await?.list_executions().set_parent(self.job(job));
        let mut listed = listed.with_retry_policy(patience).by_item();
        for _ in 0..LOOKED_THROUGH {
            let Some(found) = listed.next().await else { break };
            let found = found.map_err(|cause| failed(WHAT, cause))?;
            if has_claim(&found, id) {
                return Ok(Some(short(&found.name)));
            }
        }
        Ok(None)
    }

    async fn run(&self, request: &StartRequest, id: &str) -> Result<String, Cause> {
        let env = |(name, value): (&str, &str)| EnvVar::new().set_name(name).set_value(value);
        let given = request.env.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let container = ContainerOverride::new().set_env(given.chain([(CLAIM, id)]).map(env));
        let timeout = google_cloud_wkt::Duration::clamp(request.timeout.as_secs().cast_signed(), 0);
        let overrides = Overrides::new()
            .set_container_overrides([container])
            .set_task_count(request.tasks.cast_signed())
            .set_timeout(timeout);
        let jobs = self.jobs().await.map_err(Cause::io)?;
        let run = jobs.run_job().set_name(self.job(&request.job)).set_overrides(overrides);
        // Never repeated by the client: a second request would be a second execution.
        let operation = run.with_idempotency(false).with_attempt_timeout(PATIENCE).send().await?;
        let started = operation.metadata.and_then(|metadata| metadata.to_msg::<Found>().ok());
        started.map(|found| short(&found.name)).ok_or_else(|| Cause::deser("an operation without its execution"))
    }
}

#[async_trait]
impl ExecutionsCore for CloudRun {
    async fn start(&self, request: StartRequest) -> Result<String> {
        if !(1..=10_000).contains(&request.tasks) {
            return Err(Error::Invalid(format!("an execution of {} tasks; 1 to 10,000 fit", request.tasks)));
        }
        let id = Ids::derived(&[&request.job, &request.claim]);
        let (mut claim, mine) = self.claim(&request, &id).await?;
        if let Some(name) = claim.value.execution {
            return Ok(name);
        }
        let found = if mine { None } else { self.find(&request.job, &id).await? };
        if !mine && found.is_none() {
            claim = self.take_over(claim).await?;
        }
        let started = match found {
            Some(name) => Ok(name),
            None => self.run(&request, &id).await,
        };
        match started {
            Ok(name) => {
                claim.value.execution = Some(name.clone());
                match self.claims.replace(&claim).await {
                    // Somebody found the execution and wrote it down first.
                    Ok(()) | Err(Error::Conflict(_)) => Ok(name),
                    Err(error) => Err(error),
                }
            }
            Err(cause) if reason(&cause) == Reason::Unavailable || cause.is_deserialization() => {
                // It may have been started. The claim stays, and the next call looks.
                Err(Error::unavailable(WHAT, cause))
            }
            Err(cause) => {
                let withdrawn = vec![Write::Delete { path: claim.path, version: Some(claim.version) }];
                self.claims.commit(withdrawn).await?;
                Err(failed(WHAT, cause))
            }
        }
    }

    async fn describe(&self, name: &str) -> Result<Option<Execution>> {
        let Some(full_name) = self.full_name(name) else { return Ok(None) };
        match self.executions().await?.get_execution().set_name(full_name).send().await {
            Ok(found) => Ok(Some(execution(&found))),
            Err(cause) if reason(&cause) == Reason::Absent => Ok(None),
            Err(cause) => Err(failed(WHAT, cause)),
        }
    }

    async fn cancel(&self, name: &str) -> Result<()> {
        let Some(full_name) = self.full_name(name) else { return Ok(()) };
        match self.executions().await?.cancel_execution().set_name(full_name).send().await {
            Ok(_) => Ok(()),
            Err(cause) if matches!(reason(&cause), Reason::Absent | Reason::Precondition) => Ok(()),
            Err(cause) => Err(failed(WHAT, cause)),
        }
    }
}

fn short(full_name: &str) -> String {
    full_name.rsplit('/').next().unwrap_or_default().to_owned()
}

fn has_claim(found: &Found, id: &str) -> bool {
    let mut containers = found.template.iter().flat_map(|template| &template.containers);
    let is_it = |env: &EnvVar| env.name == CLAIM && env.value().is_some_and(|value| value == id);
    containers.any(|container| container.env.iter().any(is_it))
}

fn execution(found: &Found) -> Execution {
    let count = |count: i32| u32::try_from(count).unwrap_or(0);
    let completed_at = found.completion_time.and_then(moment);
    let cancelled = || {
        let reasons = found.conditions.iter().filter_map(|condition| condition.execution_reason());
        found.cancelled_count > 0 || reasons.into_iter().any(|reason| *reason == condition::ExecutionReason::Cancelled)
    };
    let state = match completed_at {
        None => ExecutionState::Running,
        Some(_) if cancelled() => ExecutionState::Cancelled,
        Some(_) if found.succeeded_count > 0 && found.succeeded_count == found.task_count => ExecutionState::Succeeded,
        Some(_) => ExecutionState::Failed,
    };
    Execution {
        name: short(&found.name),
        state,
        succeeded: count(found.succeeded_count),
        failed: count(found.failed_count),
        completed_at,
    }
}
