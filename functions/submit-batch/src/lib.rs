//! `POST /api/v1/predict/batch`: one target and many ligands, or many designs.

use axum::{Json, extract::State, http::StatusCode, http::header};
use chem::LibraryRow;
use domain::{Priority, Source, Strategy, Uid};
use platform::BlobPath;
use serde::Deserialize;
use serde_json::Value;
use service::{
    Body, Caller, Function, IdempotencyKey, Problem, Refusals, Result, Settings, World, places,
    runs::{
        library::Ligands,
        submit::{self, OnInvalid, Submission},
        views::{self, BatchView},
    },
};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

pub const FUNCTION: Function = Function::http("submit-batch", router);

fn router() -> OpenApiRouter<World> {
    OpenApiRouter::new().routes(routes!(predict_batch)).routes(routes!(submit_batch))
}

/// One ligand of a batch.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct LigandInput {
    name: Option<String>,
    smiles: String,
}

/// A batch.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct BatchRequest {
    /// A name from `GET /api/v1/models`.
    #[schema(example = "boltz2")]
    model: String,
    /// The target, where the model takes one protein: 10 to 2,000 of the twenty standard letters.
    protein_sequence: Option<String>,
    ligands: Option<Vec<LigandInput>>,
    /// Instead of `ligands`: a file of the caller's own in the uploads bucket, `gs://BUCKET/USER/…`.
    library: Option<String>,
    #[schema(max_length = 200)]
    batch_name: Option<String>,
    #[serde(default)]
    priority: Priority,
    #[serde(default)]
    strategy: Strategy,
    /// GPUs to use at once, at most.
    #[schema(minimum = 1)]
    max_concurrent: Option<u32>,
    #[serde(default)]
    on_invalid: OnInvalid,
    /// Refuses the batch if it is estimated to cost more US dollars.
    max_cost_usd: Option<f64>,
    /// What else the model takes, by its own schema.
    #[serde(default)]
    #[schema(value_type = Object)]
    inputs: Value,
    #[serde(default)]
    #[schema(value_type = Object)]
    parameters: Value,
}

/// Submits a batch. Every row is judged before anything is written or started.
#[utoipa::path(post, path = "/api/v1/predict/batch", tag = "batches", request_body = BatchRequest,
    params(IdempotencyKey),
    responses((status = 202, body = BatchView, headers(("Location" = String))), Refusals))]
async fn predict_batch(
    caller: Caller,
    State(world): State<World>,
    IdempotencyKey(key): IdempotencyKey,
    Body { value, digest }: Body<BatchRequest>,
) -> Result<(StatusCode, [(header::HeaderName, String); 1], Json<BatchView>)> {
    let model = submit::model(&value.model)?;
    let accepted = submit::accept(model, value.protein_sequence.as_deref(), &value.inputs, &value.parameters)?;
    let ligands = ligands(value.ligands, value.library, accepted.designs, &caller.uid, &world.settings)?;
    let submission = Submission {
        uid: caller.uid,
        claimed_tier: caller.claimed_tier,
        batch: true,
        name: submit::name(value.batch_name, "/batch_name")?,
        model,
        accepted,
        priority: value.priority,
        strategy: value.strategy,
        max_concurrent: submit::concurrency(value.max_concurrent)?,
        max_cost_usd: submit::budget(value.max_cost_usd)?,
        source: Source::Api,
    };
    let repeatable = submit::repeatable(key, digest);
    let run = submit::submit(&world.submitting(), submission, ligands, value.on_invalid, repeatable).await?;
    let location = format!("/api/v1/batches/{}", run.job_id);
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], Json(views::batch(&run))))
}

/// The same, under the name older clients know.
#[utoipa::path(post, path = "/api/v1/jobs/submit-batch", tag = "older clients", params(IdempotencyKey), request_body = BatchRequest,
    responses((status = 202, body = BatchView, headers(("Location" = String))), Refusals))]
async fn submit_batch(
    caller: Caller,
    world: State<World>,
    key: IdempotencyKey,
    body: Body<BatchRequest>,
) -> Result<(StatusCode, [(header::HeaderName, String); 1], Json<BatchView>)> {
    predict_batch(caller, world, key, body).await
}

fn ligands(
    rows: Option<Vec<LigandInput>>,
    library: Option<String>,
    designs: Option<u32>,
    uid: &Uid,
    settings: &Settings,
) -> Result<Ligands> {
    match (rows, library, designs) {
        (None, None, Some(count)) => Ok(Ligands::Designs(count)),
        (_, _, Some(_)) => Err(Problem::field("/ligands", "this model designs binders and takes no ligands")),
        (Some(rows), None, None) if !rows.is_empty() => {
            let rows = rows.into_iter().zip(1..);
            Ok(Ligands::Rows(rows.map(|(l, row)| LibraryRow { row, name: l.name, smiles: l.smiles }).collect()))
        }
        (None, Some(library), None) => own_upload(&library, uid, settings).map(Ligands::Library),
        (Some(_), Some(_), None) => Err(Problem::field("/library", "give ligands or a library, not both")),
        _ => Err(Problem::field("/ligands", "give at least one ligand, or a library")),
    }
}

/// A library is read only from the caller's own folder of our own uploads bucket.
fn own_upload(address: &str, uid: &Uid, settings: &Settings) -> Result<BlobPath> {
    let bucket = format!("gs://{}{}/", settings.bucket_prefix, places::UPLOADS);
    let own = address.strip_prefix(&bucket).filter(|name| name.starts_with(&format!("{uid}/")));
    let path = own.and_then(|name| BlobPath::new(places::UPLOADS, name).ok());
    path.ok_or_else(|| Problem::field("/library", format!("takes an object of your own: {bucket}{uid}/…")))
}

#[cfg(test)]
mod tests;
