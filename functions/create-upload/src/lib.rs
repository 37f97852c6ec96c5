//! `POST /api/v1/uploads`: a signed link for a library. What the screen is to do is checked and written first; when the
//! file arrives, the screen starts by itself.

use axum::{extract::State, http::StatusCode};
use domain::{Priority, Strategy, Timestamp, Uid};
use platform::{BlobPath, Method, PutOptions};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use service::{
    Body, Caller, Function, IdempotencyKey, Problem, Refusals, Result, World, places,
    repeat::{self, Answer, Decided, Kept},
    runs::{
        library::MOST_BYTES,
        quota,
        screen::{self, Part, Screen},
        submit::{self, OnInvalid},
    },
};
use std::{collections::BTreeMap, time::Duration};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

pub const FUNCTION: Function = Function::http("create-upload", router);

/// How long the link may be used.
const VALID: Duration = Duration::from_secs(900);

fn router() -> OpenApiRouter<World> {
    OpenApiRouter::new().routes(routes!(create_upload))
}

/// The screen that the library is for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct UploadRequest {
    /// Letters, digits, `.`, `-` and `_`; the ending tells the format (`.csv`, `.smi`, each also `.gz`).
    #[schema(example = "library.csv", max_length = 100)]
    file_name: String,
    #[serde(default = "boltz2")]
    #[schema(example = "boltz2")]
    model: String,
    protein_sequence: Option<String>,
    #[serde(default)]
    #[schema(value_type = Object)]
    inputs: Value,
    #[serde(default)]
    #[schema(value_type = Object)]
    parameters: Value,
    #[schema(max_length = 200)]
    batch_name: Option<String>,
    #[serde(default)]
    priority: Priority,
    #[serde(default)]
    strategy: Strategy,
    #[schema(minimum = 1)]
    max_concurrent: Option<u32>,
    /// In US dollars: as for `POST /api/v1/predict/batch`.
    max_cost_usd: Option<f64>,
    /// By default `skip`: bad rows are listed in `rejected.csv`.
    on_invalid: Option<OnInvalid>,
}

/// Where to send the file.
#[derive(Serialize, ToSchema)]
struct Upload {
    /// Send the file here.
    upload_url: String,
    /// With this method.
    method: &'static str,
    /// And with these headers, as they are: the link is signed with them. They say how large the file may be.
    headers: BTreeMap<&'static str, String>,
    expires_at: Timestamp,
    /// The object's name in the uploads bucket; a batch tells it as its `source`.
    object: String,
}

/// A link for a library. When the file has arrived there, the screen starts.
#[utoipa::path(post, path = "/api/v1/uploads", tag = "batches", request_body = UploadRequest,
    params(IdempotencyKey),
    responses((status = 201, body = Upload), Refusals))]
async fn create_upload(
    caller: Caller,
    State(world): State<World>,
    IdempotencyKey(key): IdempotencyKey,
    Body { value, digest }: Body<UploadRequest>,
) -> Result<Answer> {
    let model = submit::model(&value.model)?;
    let accepted = submit::accept(model, value.protein_sequence.as_deref(), &value.inputs, &value.parameters)?;
    if accepted.designs.is_some() {
        return Err(Problem::field("/model", "this model designs binders and takes no library"));
    }
    let screen = Screen {
        model: Some(value.model),
        protein_sequence: value.protein_sequence,
        inputs: value.inputs,
        parameters: value.parameters,
        batch_name: submit::name(value.batch_name, "/batch_name")?,
        priority: value.priority,
        strategy: value.strategy,
        max_concurrent: submit::concurrency(value.max_concurrent)?,
        max_cost_usd: submit::budget(value.max_cost_usd)?,
        on_invalid: value.on_invalid,
    };
    // What arrives at the link brings no token.
    quota::note_tier(&world.docs, &caller).await?;
    let repeatable = repeat::repeatable(key, digest);
    let decide = |id| offer(&world, &caller, &value.file_name, &screen, id);
    repeat::once(&world, &caller.uid, "uploads", repeatable, decide).await
}

/// Writes the settings and makes the link: the folder of an id holds the same however often that is done.
async fn offer(world: &World, caller: &Caller, file_name: &str, screen: &Screen, id: String) -> Result<Decided> {
    let object = library(&caller.uid, &id, file_name)?;
    let settings = places::upload(&caller.uid, &id, "screen.yaml")?;
    match world.blobs.put_json(&settings, screen, PutOptions::default().create_once()).await {
        Err(platform::Error::AlreadyExists(_)) => {}
        outcome => drop(outcome?),
    }
    let put = Method::Put { most: MOST_BYTES };
    let upload = Upload {
        upload_url: world.blobs.link(&object, put, VALID, None).await?.to_string(),
        method: put.as_str(),
        headers: put.header().into_iter().collect(),
        expires_at: Timestamp::from(world.clock.now()).plus_seconds(VALID.as_secs()),
        object: object.name().to_owned(),
    };
    // A link is as good as a password while it lasts: it is made anew, not kept.
    Ok(Decided { answer: Answer::new(StatusCode::CREATED, &upload)?, kept: Kept::Nothing, writes: vec![] })
}

fn boltz2() -> String {
    "boltz2".to_owned()
}

fn library(uid: &Uid, folder: &str, file_name: &str) -> Result<BlobPath> {
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
    let path = places::upload(uid, folder, file_name).ok();
    let is_library = |path: &BlobPath| screen::place(path.name()).is_some_and(|(_, _, part)| part == Part::Library);
    let good = (1..=100).contains(&file_name.len()) && file_name.chars().all(plain);
    path.filter(|path| good && is_library(path)).ok_or_else(|| {
        Problem::field(
            "/file_name",
            "takes letters, digits, '.', '-' and '_', and not the name of a target or of settings",
        )
    })
}

#[cfg(test)]
mod tests;
