//! `on-dead-letter`: an event or a message was given up by its subscriber. It is written down for operators, and what
//! waits for it is ended: an upload becomes a failed run that says so, a run that waits for its planning or its results
//! is told of once more and then fails, a report is looked for by the reconciler's own means.

use axum::{extract::State, http::StatusCode, routing::post};
use domain::{
    DeadLetterRecord, JobId, Run, RunError, Uid,
    safeguard::{Safeguard, holds},
};
use platform::{BlobPath, DocPath, Ids};
use service::{
    Function, Problem, Result, Trigger, World,
    events::{DeadLetter, Subject},
    places,
    runs::{intake, repair, screen},
};
use utoipa_axum::router::OpenApiRouter;

pub const FUNCTION: Function = Function::on("on-dead-letter", Trigger::Message { topic: places::DEAD_LETTER }, router);

fn router() -> OpenApiRouter<World> {
    OpenApiRouter::new().route("/", post(on_dead_letter))
}

async fn on_dead_letter(State(world): State<World>, letter: DeadLetter) -> Result<StatusCode> {
    let reason = format!("{} gave it up after {} attempts", letter.subscription, letter.attempts);
    tracing::error!(subscription = letter.subscription, subject = ?letter.subject.name(), reason, "a dead letter");
    match &letter.subject {
        _ if !holds(Safeguard::DeadLetter) => {}
        Subject::Document(path) => run(&world, path, &letter, &reason).await?,
        Subject::Object(path, generation) if path.bucket() == places::UPLOADS => {
            upload(&world, path, *generation, &reason).await?;
        }
        Subject::Object(path, _) if path.bucket() == places::REPORTS => {
            if let Some((uid, job_id, _)) = places::parse_report(path.name()) {
                report(&world, &uid, &job_id).await?;
            }
        }
        _ => {}
    }
    record(&world, &letter).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The event of a run's document: planning it, or writing its results, may have failed.
async fn run(world: &World, path: &DocPath, letter: &DeadLetter, reason: &str) -> Result<()> {
    if let ["users", _, places::JOBS, _] = path.segments()[..]
        && let Some(run) = world.docs.find::<Run>(path).await?
    {
        repair::set_aside(world, &run.value, &letter.id, &letter.subscription, reason).await?;
    }
    Ok(())
}

/// A library that could not be taken in, or the last file that the libraries of its folder were waiting for: nobody else
/// would ever tell their owner.
async fn upload(world: &World, file: &BlobPath, generation: i64, reason: &str) -> Result<()> {
    let Some((uid, folder, part)) = screen::place(file.name()) else { return Ok(()) };
    if part == screen::Part::Library {
        return refuse(world, &uid, file, generation, reason).await;
    }
    for other in screen::files(&world.blobs, folder).await? {
        if let Some((.., screen::Part::Library)) = screen::place(other.path.name()) {
            refuse(world, &uid, &other.path, other.generation, reason).await?;
        }
    }
    Ok(())
}

async fn refuse(world: &World, uid: &Uid, library: &BlobPath, generation: i64, reason: &str) -> Result<()> {
    let job_id = screen::job_id(library, generation).map_err(Problem::internal)?;
    let error = RunError::new("unprocessable", &format!("the library could not be taken in: {reason}"));
    intake::refuse_upload(&world.submitting(), screen::bare(uid, library), job_id, error).await?;
    Ok(())
}

/// A report nobody could take over: the run is looked into as the reconciler would.
async fn report(world: &World, uid: &Uid, job_id: &JobId) -> Result<()> {
    if let Some(run) =
        world.docs.find::<Run>(&places::job(uid, job_id)).await?.filter(|run| !run.value.status.is_final())
    {
        repair::repair(world, &run.value).await?;
    }
    Ok(())
}

async fn record(world: &World, letter: &DeadLetter) -> Result<()> {
    let record =
        DeadLetterRecord::new(&letter.subscription, letter.subject.name(), letter.attempts, world.clock.now().into());
    let id = Ids::derived(&[&letter.subscription, &letter.id]);
    match world.docs.create(&places::dead_letters().doc(&id), &record).await {
        Ok(()) | Err(platform::Error::AlreadyExists(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests;
