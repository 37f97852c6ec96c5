//! An upload becomes a run, or a failed one that says why it does not.

use super::{
    costs,
    draft::{build, within_budget},
    library::{IngestError, Judged, Ligands, Reading},
    quota::Room,
    reuse::{self, Question, Reuse},
    submit::{ATTEMPTS, Ports, Submission, busy, tidy_up, write_files, write_items},
};
use crate::{Problem, places, repeat};
use domain::{Exceeded, JobId, Run, RunError, Uid};
use platform::Write;

/// Takes in what was uploaded, under an id made from the upload itself: the same upload is one run, however often its
/// event arrives. A library nothing can be run from, or that its owner's limits leave no room for, becomes a failed run
/// that says why; its file stays where it is, so that it can be submitted later.
pub async fn submit_upload(
    ports: &Ports<'_>,
    submission: Submission,
    job_id: JobId,
    ligands: Ligands,
) -> Result<Option<Run>, Problem> {
    if is_known(ports, &submission.uid, &job_id).await? {
        return Ok(None);
    }
    let mut room = Room::anew(ports, submission.asking()).await?;
    if let Err(exceeded) = room.for_any(ports.clock.now().into()) {
        return refuse_upload(ports, submission, job_id, no_room(&exceeded)).await;
    }
    let question = Question::of(ports, &submission, room.is_first()).await?;
    let reading = Reading::new(room.most_ligands(), question.was_answered());
    let judged = match write_items(ports, &submission.uid, &job_id, &ligands, reading).await {
        Ok(judged) => Ok(judged),
        Err(IngestError::TooMany(_)) => Err(no_room(&room.too_many_ligands())),
        Err(error @ (IngestError::Library(_) | IngestError::TooManyRows(_) | IngestError::TooLarge)) => {
            Err(RunError::new("unreadable_library", &error.to_string()))
        }
        Err(IngestError::Platform(platform::Error::NotFound(_))) => {
            Err(RunError::new("unreadable_library", "it was removed or replaced before it was read"))
        }
        Err(error) => return Err(error.into()),
    };
    let mut judged = match judged {
        Ok(judged) => judged,
        Err(error) => return refuse_upload(ports, submission, job_id, error).await,
    };
    write_files(ports, &submission, &job_id).await?;
    let reuse = reuse::look(ports, &submission.uid, question, &mut judged).await?;
    reuse.write(ports.blobs, &submission.uid, &job_id).await?;
    let learned = costs::learned(ports.docs, submission.model).await;
    let mut run = build(&submission, job_id, &judged, &reuse, learned.as_ref(), ports);
    run.weight = room.weight();
    if let Some(error) = unfit(&run) {
        return fail(ports, run, error).await;
    }
    for _ in 0..ATTEMPTS {
        if let Err(exceeded) = room.take(&run, ports.clock.now().into()) {
            return fail(ports, run, no_room(&exceeded)).await;
        }
        let mut writes = create(ports, &run)?;
        writes.push(room.write()?);
        match ports.docs.commit(writes).await {
            Ok(()) => return Ok(Some(run)),
            Err(error) if error.is_race() => {}
            Err(error) => return Err(error.into()),
        }
        if is_known(ports, &run.uid, &run.job_id).await? {
            tidy_up(ports, &run).await?;
            return Ok(None);
        }
        room = Room::anew(ports, submission.asking()).await?;
    }
    Err(busy())
}

/// The run of an upload, and the note that the upload became it: what is purged does not come back with an event that
/// arrives late, or with a handler that was slow.
fn create(ports: &Ports<'_>, run: &Run) -> platform::Result<Vec<Write>> {
    let run_itself = Write::create(places::job(&run.uid, &run.job_id), run)?;
    Ok(vec![run_itself, repeat::taken_in(&run.uid, &run.job_id, ports.clock)?])
}

/// True where the upload became this run, also if that was purged since.
async fn is_known(ports: &Ports<'_>, uid: &Uid, job_id: &JobId) -> platform::Result<bool> {
    let run = ports.docs.find::<Run>(&places::job(uid, job_id)).await?;
    Ok(run.is_some() || repeat::was_taken_in(ports.docs, uid, job_id).await?)
}

/// Why an upload that could be read is not run.
fn unfit(run: &Run) -> Option<RunError> {
    if run.items == 0 {
        let message = format!("none of the {} rows of the library can be run", run.rejected);
        return Some(RunError::new("no_valid_ligand", &message));
    }
    within_budget(run).err().map(|problem| RunError::new("over_budget", &problem.to_string()))
}

fn no_room(exceeded: &Exceeded) -> RunError {
    let when = exceeded.resets_at.map_or_else(String::new, |time| format!("; there is room again from {time}"));
    let message = format!("{exceeded}{when}; the file was kept, and can be sent to /api/v1/predict/batch as a library");
    RunError::new("limit_exceeded", &message)
}

/// Notes an upload that cannot become a run: the user finds a failed run that says why.
pub async fn refuse_upload(
    ports: &Ports<'_>,
    submission: Submission,
    job_id: JobId,
    error: RunError,
) -> Result<Option<Run>, Problem> {
    fail(ports, build(&submission, job_id, &Judged::default(), &Reuse::default(), None, ports), error).await
}

/// Creates a run that has failed. It takes nobody's room.
async fn fail(ports: &Ports<'_>, mut run: Run, error: RunError) -> Result<Option<Run>, Problem> {
    run.fail(error, ports.clock.now().into());
    let mut writes = create(ports, &run)?;
    if let Some(notice) = run.stillborn() {
        writes.push(Write::create(places::notice(&notice.uid, &notice.id()), &notice)?);
    }
    match ports.docs.commit(writes).await {
        Ok(()) => Ok(Some(run)),
        Err(platform::Error::AlreadyExists(_)) => {
            tidy_up(ports, &run).await?;
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}
