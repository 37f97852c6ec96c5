//! A submission becomes a run: objects first, under a name nobody else uses, then one atomic create of the document,
//! whose event sets everything else going. What dies in between leaves objects that nothing points to.

use super::{
    costs,
    library::{self, IngestError, Judged, Ligands},
    repeat::{remember, repeated},
};
use crate::{FieldProblem, Problem, Settings, World, places, telemetry::traceparent};
use domain::{
    Cost, JobId, JobType, Learned, Price, Priority, Progress, Run, RunError, Source, Status, Strategy, Timestamp, Uid,
};
use models::{Accepted, FieldError, Model};
use platform::{Blobs, Clock, Docs, Ids, PutOptions, Write};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

pub use super::repeat::{Repeatable, repeatable};

/// What was asked for, checked.
pub struct Submission {
    pub uid: Uid,
    pub batch: bool,
    pub name: Option<String>,
    pub model: &'static dyn Model,
    pub accepted: Accepted,
    pub priority: Priority,
    pub strategy: Strategy,
    pub max_concurrent: Option<u32>,
    /// The run is refused if it is estimated to cost more.
    pub max_cost_usd: Option<f64>,
    pub source: Source,
}

/// What bad rows do to a submission.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnInvalid {
    /// One bad row refuses the whole submission.
    #[default]
    Reject,
    /// Bad rows are listed in `rejected.csv`, the others run.
    Skip,
}

/// What submitting touches.
pub struct Ports<'a> {
    pub docs: &'a Docs,
    pub blobs: &'a Blobs,
    pub clock: &'a Clock,
    pub ids: &'a Ids,
    pub settings: &'a Settings,
}

impl World {
    /// The part of the world that submitting touches.
    pub fn submitting(&self) -> Ports<'_> {
        Ports { docs: &self.docs, blobs: &self.blobs, clock: &self.clock, ids: &self.ids, settings: &self.settings }
    }
}

/// A name a user gave: trimmed, without control characters, at most 200 characters.
pub fn name(given: Option<String>, pointer: &str) -> Result<Option<String>, Problem> {
    let name = given.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
    match &name {
        Some(text) if text.chars().count() > 200 || text.chars().any(char::is_control) => {
            Err(Problem::field(pointer, "takes up to 200 characters, none of them a control character"))
        }
        _ => Ok(name),
    }
}

/// A limit in US dollars.
pub fn budget(given: Option<f64>) -> Result<Option<f64>, Problem> {
    match given {
        Some(usd) if !usd.is_finite() || usd <= 0.0 => Err(Problem::field("/max_cost_usd", "takes more than 0")),
        _ => Ok(given),
    }
}

/// GPUs at once.
pub fn concurrency(given: Option<u32>) -> Result<Option<u32>, Problem> {
    if given == Some(0) { Err(Problem::field("/max_concurrent", "takes 1 or more")) } else { Ok(given) }
}

/// The model of a request, or the refusal that names those there are.
pub fn model(name: &str) -> Result<&'static dyn Model, Problem> {
    models::find(name).ok_or_else(|| {
        let known: Vec<_> = models::all().iter().map(|model| model.name()).collect();
        Problem::field("/model", format!("{name:?} is no model; there are {}", known.join(", ")))
    })
}

/// Lets the model read its inputs and parameters; every wrong field is named.
pub fn accept(
    model: &dyn Model,
    protein_sequence: Option<&str>,
    inputs: &Value,
    parameters: &Value,
) -> Result<Accepted, Problem> {
    model.accept(&models::Request { protein_sequence, inputs, parameters }).map_err(|errors| refusal(&errors))
}

fn refusal(errors: &[FieldError]) -> Problem {
    let errors = errors.iter().map(|e| FieldProblem { pointer: e.pointer.clone(), reason: e.reason.clone() });
    Problem::invalid("the request holds invalid fields").with_errors(errors.collect())
}

/// Takes a request in; nothing is written before every row was judged. With a key: the same request again gets the first answer, another body under the key is refused.
pub async fn submit(
    ports: &Ports<'_>,
    submission: Submission,
    ligands: Ligands,
    on_invalid: OnInvalid,
    repeatable: Option<Repeatable>,
) -> Result<Run, Problem> {
    let remembered = repeatable.map(|again| remember(&submission, again, ports.clock)).transpose()?;
    if let Some((path, wanted)) = &remembered
        && let Some(run) = repeated(ports.docs, path, wanted).await?
    {
        return Ok(run);
    }
    let job_id = match &remembered {
        Some((_, wanted)) => wanted.job_id.clone(),
        None => JobId::new(submission.batch, &ports.ids.next()).map_err(Problem::internal)?,
    };
    let judged = library::check(ports.blobs, &ligands).await?;
    runnable(&judged, &ligands, on_invalid)?;
    let learned = costs::learned(ports.docs, submission.model).await;
    let mut run = build(&submission, job_id, &judged, learned.as_ref(), ports);
    if let Ligands::One(row) = &ligands {
        run.ligand_smiles = Some(row.smiles.clone());
    }
    within_budget(&run)?;
    if write_inputs(ports, &submission, &run.job_id, &ligands).await? != judged {
        return Err(
            Problem::conflict("the library was changed while it was read; send the request again").retry_after(1)
        );
    }
    let mut writes = vec![Write::create(places::job(&run.uid, &run.job_id), &run)?];
    if let Some((path, wanted)) = &remembered {
        writes.push(Write::create(path.clone(), wanted)?);
    }
    match (ports.docs.commit(writes).await, &remembered) {
        (Ok(()), _) => {
            tracing::info!(job.id = %run.job_id, model = run.model, items = run.items, "run submitted");
            Ok(run)
        }
        (Err(platform::Error::AlreadyExists(_)), Some((path, wanted))) => {
            let first = repeated(ports.docs, path, wanted).await?;
            first.ok_or_else(|| Problem::conflict("the first request with this key is still under way").retry_after(1))
        }
        (Err(error), _) => Err(error.into()),
    }
}

/// Whether anything may run: not where no row can, or where a bad one refuses all.
pub(super) fn runnable(judged: &Judged, ligands: &Ligands, on_invalid: OnInvalid) -> Result<(), Problem> {
    let refused = judged.accepted == 0 || (on_invalid == OnInvalid::Reject && judged.invalid > 0);
    if refused { Err(judged.refusal(ligands.pointer())) } else { Ok(()) }
}

/// Takes in what was uploaded, under an id made from the upload itself: the same upload is one run, however often its
/// event arrives. A library nothing can be run from becomes a failed run that says why.
pub async fn submit_upload(
    ports: &Ports<'_>,
    submission: Submission,
    job_id: JobId,
    ligands: Ligands,
) -> Result<Option<Run>, Problem> {
    if ports.docs.find::<Run>(&places::job(&submission.uid, &job_id)).await?.is_some() {
        return Ok(None);
    }
    let (judged, unreadable) = match write_inputs(ports, &submission, &job_id, &ligands).await {
        Ok(judged) => (judged, None),
        Err(error @ (IngestError::Library(_) | IngestError::TooMany)) => (Judged::default(), Some(error.to_string())),
        Err(error) => return Err(error.into()),
    };
    let learned = costs::learned(ports.docs, submission.model).await;
    let mut run = build(&submission, job_id, &judged, learned.as_ref(), ports);
    let error = unreadable.map(|message| RunError::new("unreadable_library", &message)).or_else(|| {
        let message = format!("none of the {} rows of the library can be run", judged.rejected);
        (judged.accepted == 0).then(|| RunError::new("no_valid_ligand", &message))
    });
    let over_budget = |problem: Problem| RunError::new("over_budget", &problem.to_string());
    let error = error.or_else(|| within_budget(&run).err().map(over_budget));
    if let Some(error) = error {
        run.fail(error, ports.clock.now().into());
    }
    create_once(ports.docs, run).await
}

/// Notes an upload that cannot become a run: the user finds a failed run that says why.
pub async fn refuse_upload(
    ports: &Ports<'_>,
    submission: Submission,
    job_id: JobId,
    error: RunError,
) -> Result<Option<Run>, Problem> {
    let mut run = build(&submission, job_id, &Judged::default(), None, ports);
    run.fail(error, ports.clock.now().into());
    create_once(ports.docs, run).await
}

async fn create_once(docs: &Docs, run: Run) -> Result<Option<Run>, Problem> {
    let mut writes = vec![Write::create(places::job(&run.uid, &run.job_id), &run)?];
    if let Some(notice) = run.stillborn() {
        writes.push(Write::create(places::notice(&notice.uid, &notice.id()), &notice)?);
    }
    match docs.commit(writes).await {
        Ok(()) => Ok(Some(run)),
        Err(platform::Error::AlreadyExists(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn write_inputs(
    ports: &Ports<'_>,
    submission: &Submission,
    job_id: &JobId,
    ligands: &Ligands,
) -> Result<Judged, IngestError> {
    let uid = &submission.uid;
    let judged = match ligands {
        Ligands::Designs(count) => library::write_designs(ports.blobs, uid, job_id, *count).await?,
        ligands => library::ingest(ports.blobs, uid, job_id, ligands).await?,
    };
    for (name, content) in &submission.accepted.files {
        let path = places::input_file(uid, job_id, name)?;
        ports.blobs.put_bytes(&path, content.clone(), PutOptions::of_type("text/plain")).await?;
    }
    Ok(judged)
}

/// The run of a submission, planned where there is something to run.
pub(super) fn build(
    submission: &Submission,
    job_id: JobId,
    judged: &Judged,
    learned: Option<&Learned>,
    ports: &Ports<'_>,
) -> Run {
    let now = Timestamp::from(ports.clock.now());
    let job_type = if submission.batch { JobType::BatchParent } else { JobType::Individual };
    let Submission { accepted, model, .. } = submission;
    let mut run = Run {
        job_id,
        uid: submission.uid.clone(),
        job_type,
        status: Status::Queued,
        name: submission.name.clone(),
        model: model.name().to_owned(),
        model_version: model.version().to_owned(),
        created_at: now,
        started_at: None,
        ended_at: None,
        completed_at: None,
        source: submission.source.clone(),
        input: accepted.input.clone(),
        ligand_smiles: None,
        input_files: accepted.files.iter().map(|(name, _)| name.clone()).collect(),
        parameters: accepted.parameters.clone(),
        target_residues: accepted.target_residues,
        items: judged.accepted,
        rejected: judged.rejected,
        lane: job_type.lane(),
        weight: 1,
        priority: submission.priority,
        strategy: submission.strategy,
        max_concurrent: submission.max_concurrent,
        max_cost_usd: submission.max_cost_usd,
        ranking: model.ranking(&accepted.parameters),
        plan: None,
        dispatchable: false,
        progress: Progress::new(judged.accepted, 0, 0, 0),
        progress_at: now,
        cost: Cost::default(),
        month: now.month(),
        told: 0,
        aggregation: None,
        results: None,
        summary: None,
        stopped: None,
        retry_of: None,
        retried_by: None,
        simulated: None,
        error: None,
        traceparent: traceparent(),
        nudges: 0,
    };
    if judged.accepted == 0 {
        run.progress = Progress::default();
        return run;
    }
    let slots = run.slots(ports.settings.gpu_capacity);
    let plan = costs::plan(*model, accepted, judged, learned, run.strategy, slots);
    run.cost.estimated_usd = Some(Price::L4_US_CENTRAL1.of(plan.gpu_seconds));
    run.plan = Some(plan);
    run
}

/// Whether the estimate is within the submission's own limit.
pub(super) fn within_budget(run: &Run) -> Result<(), Problem> {
    match (run.cost.estimated_usd, run.max_cost_usd) {
        (Some(estimate), Some(limit)) if estimate > limit => {
            Err(Problem::field("/max_cost_usd", format!("the run is estimated to cost {estimate:.2} US dollars")))
        }
        _ => Ok(()),
    }
}
