//! `on-library-uploaded`: a file was dropped into the uploads bucket. Once a folder holds a library and a target, every
//! library in it is one screen, named after the upload itself: the event may arrive twice, late, or for the target
//! after the library. A screen that cannot be becomes a failed run, so that its owner sees why.

use axum::{extract::State, http::StatusCode, routing::post};
use domain::{
    JobId, RunError, Source, Uid,
    safeguard::{Safeguard, holds},
};
use platform::{Blobs, ObjectMeta};
use service::{
    Function, Problem, Result, Trigger, World, chain,
    events::Finalized,
    places,
    runs::{
        intake,
        library::{IngestError, Ligands, MOST_LIGANDS, Reading, check},
        screen::{self, Part, Screen, TEXT_LIMIT, job_id, place},
        submit::{self, OnInvalid, Submission},
    },
};
use utoipa_axum::router::OpenApiRouter;

pub const FUNCTION: Function =
    Function::on("on-library-uploaded", Trigger::ObjectFinalized { bucket: places::UPLOADS }, router);

fn router() -> OpenApiRouter<World> {
    OpenApiRouter::new().route("/", post(on_library_uploaded))
}

async fn on_library_uploaded(State(world): State<World>, object: Finalized) -> Result<StatusCode> {
    let Some((uid, folder, part)) = place(object.path.name()).filter(|_| object.path.bucket() == places::UPLOADS)
    else {
        tracing::info!(object = %object.path, "an upload outside a user's folders");
        return Ok(StatusCode::NO_CONTENT);
    };
    let files = screen::files(&world.blobs, folder).await?;
    let of = |wanted: Part| files.iter().filter(move |file| place(file.path.name()).is_some_and(|(.., p)| p == wanted));
    let (settings, target) = (of(Part::Settings).next(), of(Part::Target).next());
    let screen = read(&world.blobs, settings, target).await?;
    if target.is_none() && screen.as_ref().is_ok_and(lacks_target) {
        tracing::info!(folder, "a library waits for its target");
        return Ok(StatusCode::NO_CONTENT);
    }
    let mut outcome = Ok(StatusCode::NO_CONTENT);
    for library in of(Part::Library).filter(|library| part != Part::Library || library.path == object.path) {
        // One that cannot be taken in now keeps no other of its folder waiting.
        if let Err(error) = start(&world, &uid, library, screen.clone()).await {
            tracing::error!(object = %library.path, error = %chain(&error), "a library cannot be taken in");
            outcome = outcome.and(Err(error));
        }
    }
    outcome
}

/// True where the settings leave it to `target.fasta` to say what the target is.
fn lacks_target(screen: &Screen) -> bool {
    let Screen { protein_sequence, inputs, parameters, .. } = screen;
    let request = models::Request { protein_sequence: protein_sequence.as_deref(), inputs, parameters };
    let model = models::find(model_name(screen)).filter(|_| protein_sequence.is_none());
    let errors = model.and_then(|model| model.accept(&request).err());
    errors.is_some_and(|errors| errors.iter().any(|error| error.pointer == "/protein_sequence"))
}

fn model_name(screen: &Screen) -> &str {
    screen.model.as_deref().unwrap_or("boltz2")
}

/// What the folder says the screen is; an inner error is for the user to read, an outer one is ours.
async fn read(
    blobs: &Blobs,
    settings: Option<&ObjectMeta>,
    target: Option<&ObjectMeta>,
) -> Result<Result<Screen, RunError>> {
    let (settings, target) = (text(blobs, settings).await?, text(blobs, target).await?);
    Ok(settings
        .and_then(|settings| parse(settings.as_deref(), target?.as_deref()))
        .map_err(|message| unreadable(&message)))
}

fn unreadable(message: &str) -> RunError {
    RunError::new("unreadable_screen", message)
}

fn parse(settings: Option<&str>, target: Option<&str>) -> Result<Screen, String> {
    let mut screen = match settings {
        Some(text) => serde_saphyr::from_str::<Screen>(text).map_err(|error| format!("screen.yaml: {error}"))?,
        None => Screen::default(),
    };
    if let (None, Some(text)) = (&screen.protein_sequence, target) {
        let records = chem::parse_fasta(text).map_err(|error| format!("target.fasta: {error}"))?;
        match <[_; 1]>::try_from(records) {
            Ok([record]) => screen.protein_sequence = Some(record.sequence.to_string()),
            Err(records) => return Err(format!("target.fasta holds {} sequences; a target is one", records.len())),
        }
    }
    Ok(screen)
}

/// A file's text, or what the user is told of it.
async fn text(blobs: &Blobs, file: Option<&ObjectMeta>) -> Result<Result<Option<String>, String>> {
    let Some(file) = file else { return Ok(Ok(None)) };
    match blobs.get(&file.path, TEXT_LIMIT).await {
        Ok(bytes) => {
            let text = String::from_utf8(bytes.to_vec());
            Ok(text.map(Some).map_err(|_| format!("{} is not text in UTF-8", file.path.name())))
        }
        Err(error @ platform::Error::Invalid(_)) => Ok(Err(error.to_string())),
        Err(error) => Err(error.into()),
    }
}

async fn start(world: &World, uid: &Uid, library: &ObjectMeta, settings: Result<Screen, RunError>) -> Result<()> {
    let of_upload = || job_id(&library.path, library.generation);
    let job_id = if holds(Safeguard::UploadName) { of_upload() } else { JobId::new(true, &world.ids.next()) };
    let job_id = job_id.map_err(Problem::internal)?;
    let ports = world.submitting();
    let ligands = Ligands::Library(library.path.clone());
    let submission = match settings {
        Ok(settings) => submission(uid, library, settings),
        Err(error) => Err(error),
    };
    let run = match submission {
        Ok((submission, on_invalid)) => {
            if on_invalid == OnInvalid::Reject
                && let Some(error) = refused(world, &ligands).await?
            {
                intake::refuse_upload(&ports, submission, job_id, error).await?
            } else {
                intake::submit_upload(&ports, submission, job_id, ligands).await?
            }
        }
        Err(error) => intake::refuse_upload(&ports, screen::bare(uid, &library.path), job_id, error).await?,
    };
    if let Some(run) = run {
        let status = run.status.as_str();
        tracing::info!(job.id = %run.job_id, items = run.items, rejected = run.rejected, status, "screen taken in");
    }
    Ok(())
}

/// Bad rows, where the user wants none.
async fn refused(world: &World, ligands: &Ligands) -> Result<Option<RunError>> {
    let judged = match check(&world.blobs, ligands, Reading::new(MOST_LIGANDS, false)).await {
        Ok(judged) => judged,
        // What cannot be read at all is said by the submission itself.
        Err(
            IngestError::Library(_) | IngestError::TooMany(_) | IngestError::TooManyRows(_) | IngestError::TooLarge,
        ) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    Ok((judged.invalid > 0).then(|| {
        let first = judged.listed.first().map_or(String::new(), |row| format!("; row {}: {}", row.row, row.reason));
        let message = format!("{} rows cannot be run{first}", judged.invalid);
        RunError::new("invalid_rows", &message)
    }))
}

fn submission(uid: &Uid, library: &ObjectMeta, settings: Screen) -> Result<(Submission, OnInvalid), RunError> {
    let wrong = |problem: Problem| RunError::new("invalid_screen", &problem.to_string());
    let model = submit::model(model_name(&settings)).map_err(wrong)?;
    let accepted = submit::accept(model, settings.protein_sequence.as_deref(), &settings.inputs, &settings.parameters);
    let accepted = accepted.map_err(wrong)?;
    if accepted.designs.is_some() {
        return Err(wrong(Problem::field("/model", "this model designs binders and takes no library")));
    }
    let submission = Submission {
        uid: uid.clone(),
        account: None,
        claimed_tier: None,
        batch: true,
        name: submit::name(settings.batch_name, "/batch_name")
            .map_err(wrong)?
            .or_else(|| Some(screen::name(&library.path))),
        model,
        accepted,
        priority: settings.priority,
        strategy: settings.strategy,
        max_concurrent: submit::concurrency(settings.max_concurrent).map_err(wrong)?,
        max_cost_usd: submit::budget(settings.max_cost_usd).map_err(wrong)?,
        source: Source::Upload(library.path.name().to_owned()),
    };
    Ok((submission, settings.on_invalid.unwrap_or(OnInvalid::Skip)))
}

#[cfg(test)]
mod tests;
