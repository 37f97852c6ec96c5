//! A submission becomes a run: objects first, under a name nobody else uses, then one atomic create of the document,
//! whose event sets everything else going. What dies in between leaves objects that nothing points to.

use super::{
    costs,
    delete::remove_from,
    draft::{build, runnable, within_budget},
    library::{self, IngestError, Judged, Ligands, Reading},
    quota::{Asking, Known, Room},
    recent::Recent,
    reuse::{self, Question},
};
use crate::{
    FieldProblem, Held, Hold, Limiter, Problem, Settings, World, places,
    repeat::{Kept, Repeat},
};
use domain::{
    JobId, Priority, Run, Source, Strategy, Tier, Timestamp, Uid,
    safeguard::{Safeguard, holds},
};
use models::{Accepted, FieldError, Model};
use platform::{Blobs, Clock, Docs, Ids, PutOptions, Write};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

pub use crate::repeat::{Repeatable, repeatable};

/// Times a submission is weighed again because another one of its user was faster.
pub(super) const ATTEMPTS: u32 = 20;

/// What was asked for, checked.
pub struct Submission {
    pub uid: Uid,
    /// The user's account, where the request was let in by it.
    pub account: Option<Known>,
    /// What the verified token of the request claims; absent where there was none.
    pub claimed_tier: Option<Tier>,
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

impl Submission {
    /// Whose room it takes.
    pub(super) fn asking(&self) -> Asking {
        Asking { uid: self.uid.clone(), batch: self.batch, claimed_tier: self.claimed_tier }
    }
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
    pub limiter: &'a Limiter,
    pub recent: &'a Recent,
    pub settings: &'a Settings,
}

impl World {
    /// The part of the world that submitting touches.
    pub fn submitting(&self) -> Ports<'_> {
        let World { docs, blobs, clock, ids, limiter, recent, settings, .. } = self;
        Ports { docs, blobs, clock, ids, limiter, recent, settings }
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

/// Takes a request in; nothing is written before every row was judged. With a key: the same request again gets the first
/// answer, another body under the key is refused. Of a single prediction, which is quickly judged, the commit finds out
/// whether the key was used: what is refused before that is looked for then.
pub async fn submit(
    ports: &Ports<'_>,
    submission: Submission,
    ligands: Ligands,
    on_invalid: OnInvalid,
    repeatable: Option<Repeatable>,
) -> Result<Run, Problem> {
    let repeatable = repeatable.filter(|_| holds(Safeguard::IdempotencyKey));
    let (uid, batch) = (submission.uid.clone(), submission.batch);
    let purpose = if batch { "submit-batch" } else { "submit" };
    let mut repeat = repeatable.map(|again| Repeat::new(&uid, purpose, again, ports.clock));
    if batch && let Some(run) = repeated(ports, &uid, repeat.as_mut()).await? {
        return Ok(run);
    }
    match take_in(ports, submission, ligands, on_invalid, &mut repeat).await {
        Err(refused) if !batch => repeated(ports, &uid, repeat.as_mut()).await?.ok_or(refused),
        outcome => outcome,
    }
}

async fn take_in(
    ports: &Ports<'_>,
    mut submission: Submission,
    ligands: Ligands,
    on_invalid: OnInvalid,
    repeat: &mut Option<Repeat>,
) -> Result<Run, Problem> {
    let _reading = reading(ports, &submission.uid, &ligands)?;
    let now = || Timestamp::from(ports.clock.now());
    let mut room = Room::of(ports, submission.asking(), submission.account.take()).await?;
    room.grants(ports, |room| room.for_any(now())).await?;
    let unique = repeat.as_ref().map_or_else(|| ports.ids.next(), |repeat| repeat.id().to_owned());
    let job_id = JobId::new(submission.batch, &unique).map_err(Problem::internal)?;
    let question = Question::of(ports, &submission, room.is_first()).await?;
    let reading = Reading::new(room.most_ligands(), question.was_answered());
    let mut judged = match library::check(ports.blobs, &ligands, reading).await {
        Err(IngestError::TooMany(_)) => return Err(room.too_many_ligands().into()),
        outcome => outcome?,
    };
    runnable(&judged, &ligands, on_invalid)?;
    let reuse = reuse::look(ports, &submission.uid, question, &mut judged).await?;
    let learned = costs::lately_learned(ports, submission.model).await;
    let mut run = build(&submission, job_id, &judged, &reuse, learned.as_ref(), ports);
    run.weight = room.weight();
    if let Ligands::One(row) = &ligands {
        run.ligand_smiles = Some(row.smiles.clone());
    }
    if !submission.batch {
        run.item = judged.first.take();
    }
    within_budget(&run)?;
    room.grants(ports, |room| room.clone().take(&run, now())).await?;
    reuse.write(ports.blobs, &run.uid, &run.job_id).await?;
    write_files(ports, &submission, &run.job_id).await?;
    if submission.batch {
        let again = Reading { most: room.most_ligands(), wanted: false, first_reading: judged.first_reading.take() };
        if !write_items(ports, &run.uid, &run.job_id, &ligands, again).await?.agrees(&judged) {
            return Err(
                Problem::conflict("the library was changed while it was read; send the request again").retry_after(1)
            );
        }
    }
    for _ in 0..ATTEMPTS {
        room.grants(ports, |room| room.take(&run, now())).await?;
        let mut writes = vec![room.write()?, Write::create(places::job(&run.uid, &run.job_id), &run)?];
        if let Some(repeat) = repeat.as_ref() {
            writes.push(repeat.remember(Kept::Run(run.job_id.clone()))?);
        }
        match ports.docs.versions(writes).await {
            Ok(versions) => {
                if let Some(of_account) = versions.into_iter().next() {
                    room.keep(ports, of_account);
                }
                tracing::info!(job.id = %run.job_id, model = run.model, items = run.items, "run submitted");
                return Ok(run);
            }
            Err(error) if error.is_race() => {}
            Err(error) => return Err(error.into()),
        }
        let first = made(ports, &run, repeat.as_mut()).await;
        if !matches!(first, Ok(None)) {
            tidy_up(ports, &run).await?;
        }
        if let Some(run) = first? {
            return Ok(run);
        }
        room = Room::of(ports, submission.asking(), None).await?;
    }
    Err(busy())
}

/// The place of a library among those of its user that are being read; rows of a request are at hand.
pub(super) fn reading(ports: &Ports<'_>, uid: &Uid, ligands: &Ligands) -> Result<Option<Hold>, Problem> {
    let is_file = matches!(ligands, Ligands::Library(_));
    is_file.then(|| ports.limiter.hold(uid, Held::Libraries)).transpose()
}

/// Removes the objects just written for a run that is not there: it was purged meanwhile, or the request became another
/// run, and nobody else knows of them.
pub(super) async fn tidy_up(ports: &Ports<'_>, run: &Run) -> platform::Result<()> {
    if ports.docs.find::<Run>(&places::job(&run.uid, &run.job_id)).await?.is_none() {
        remove_from(places::ARTIFACTS, ports.blobs, &run.uid, &run.job_id).await?;
    }
    Ok(())
}

/// Others of the same user were always faster.
pub(super) fn busy() -> Problem {
    Problem::conflict("too many submissions at the same time; try again").retry_after(1)
}

/// The run that the first request with this key made.
async fn repeated(ports: &Ports<'_>, uid: &Uid, repeat: Option<&mut Repeat>) -> Result<Option<Run>, Problem> {
    let Some(repeat) = repeat else { return Ok(None) };
    let Some(Kept::Run(job_id)) = repeat.first(ports.docs).await? else { return Ok(None) };
    match ports.docs.find::<Run>(&places::job(uid, &job_id)).await? {
        Some(run) => Ok(Some(run.value)),
        None => Err(Problem::conflict("what this Idempotency-Key made was purged; send another key to run it again")),
    }
}

/// The run that another request with this key made meanwhile. Its id is made from the key and the body: so it is found
/// also where the key was forgotten.
async fn made(ports: &Ports<'_>, run: &Run, repeat: Option<&mut Repeat>) -> Result<Option<Run>, Problem> {
    if repeat.is_none() {
        return Ok(None);
    }
    match repeated(ports, &run.uid, repeat).await? {
        None => Ok(ports.docs.find::<Run>(&places::job(&run.uid, &run.job_id)).await?.map(|run| run.value)),
        first => Ok(first),
    }
}

/// Writes the items of a batch, and the rows that are none.
pub(super) async fn write_items(
    ports: &Ports<'_>,
    uid: &Uid,
    job_id: &JobId,
    ligands: &Ligands,
    reading: Reading,
) -> Result<Judged, IngestError> {
    match ligands {
        Ligands::Designs(count) => library::write_designs(ports.blobs, uid, job_id, *count).await,
        ligands => library::ingest(ports.blobs, (uid, job_id), ligands, reading).await,
    }
}

/// Writes the model's large inputs.
pub(super) async fn write_files(ports: &Ports<'_>, submission: &Submission, job_id: &JobId) -> platform::Result<()> {
    for (name, content) in &submission.accepted.files {
        let path = places::input_file(&submission.uid, job_id, name)?;
        ports.blobs.put_bytes(&path, content.clone(), PutOptions::of_type("text/plain")).await?;
    }
    Ok(())
}
