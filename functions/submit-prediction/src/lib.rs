//! `POST /api/v1/predict`: one prediction with any model.

use axum::{Json, extract::State, http::StatusCode, http::header};
use chem::LibraryRow;
use domain::{Priority, Source, Strategy};
use serde::Deserialize;
use serde_json::Value;
use service::{
    Body, Caller, Function, IdempotencyKey, Problem, Refusals, Result, World,
    runs::{
        library::Ligands,
        submit::{self, OnInvalid, Submission},
        views::{self, JobView},
    },
};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

pub const FUNCTION: Function = Function::http("submit-prediction", router);

fn router() -> OpenApiRouter<World> {
    OpenApiRouter::new().routes(routes!(predict)).routes(routes!(submit_job))
}

/// One prediction.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PredictRequest {
    /// A name from `GET /api/v1/models`.
    #[schema(example = "boltz2")]
    model: String,
    /// The target, where the model takes one protein: 10 to 2,000 of the twenty standard letters.
    protein_sequence: Option<String>,
    #[schema(example = "CC(=O)Oc1ccccc1C(=O)O")]
    ligand_smiles: Option<String>,
    ligand_name: Option<String>,
    #[schema(max_length = 200)]
    job_name: Option<String>,
    /// What else the model takes, by its own schema.
    #[serde(default)]
    #[schema(value_type = Object)]
    inputs: Value,
    #[serde(default)]
    #[schema(value_type = Object)]
    parameters: Value,
    /// Refuses the prediction if it is estimated to cost more US dollars.
    max_cost_usd: Option<f64>,
}

/// Submits one prediction. Answers at once; the job's own address is in `Location`.
#[utoipa::path(post, path = "/api/v1/predict", tag = "jobs", request_body = PredictRequest,
    params(IdempotencyKey),
    responses((status = 202, body = JobView, headers(("Location" = String))), Refusals))]
async fn predict(
    caller: Caller,
    State(world): State<World>,
    IdempotencyKey(key): IdempotencyKey,
    Body { value, digest }: Body<PredictRequest>,
) -> Result<(StatusCode, [(header::HeaderName, String); 1], Json<JobView>)> {
    let model = submit::model(&value.model)?;
    let accepted = submit::accept(model, value.protein_sequence.as_deref(), &value.inputs, &value.parameters)?;
    let ligands = ligands(&value, accepted.designs)?;
    let submission = Submission {
        uid: caller.uid,
        claimed_tier: caller.claimed_tier,
        batch: false,
        name: submit::name(value.job_name, "/job_name")?,
        model,
        accepted,
        priority: Priority::Normal,
        strategy: Strategy::Parallel,
        max_concurrent: None,
        max_cost_usd: submit::budget(value.max_cost_usd)?,
        source: Source::Api,
    };
    let repeatable = submit::repeatable(key, digest);
    let run = submit::submit(&world.submitting(), submission, ligands, OnInvalid::Reject, repeatable).await?;
    let location = format!("/api/v1/jobs/{}", run.job_id);
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], Json(views::job(&run, None))))
}

/// The same, under the name older clients know.
#[utoipa::path(post, path = "/api/v1/jobs/submit", tag = "older clients", params(IdempotencyKey), request_body = PredictRequest,
    responses((status = 202, body = JobView, headers(("Location" = String))), Refusals))]
async fn submit_job(
    caller: Caller,
    world: State<World>,
    key: IdempotencyKey,
    body: Body<PredictRequest>,
) -> Result<(StatusCode, [(header::HeaderName, String); 1], Json<JobView>)> {
    predict(caller, world, key, body).await
}

/// The one ligand of a prediction; a design has none.
fn ligands(request: &PredictRequest, designs: Option<u32>) -> Result<Ligands> {
    match (&request.ligand_smiles, designs) {
        (None, Some(1)) => Ok(Ligands::Designs(1)),
        (None, Some(count)) => {
            let reason = format!("{count} designs are a batch: send them to /api/v1/predict/batch");
            Err(Problem::field("/inputs", reason))
        }
        (Some(_), Some(_)) => Err(Problem::field("/ligand_smiles", "this model designs binders and takes no ligand")),
        (Some(smiles), None) => {
            let name = request.ligand_name.clone().or_else(|| Some("ligand".into()));
            Ok(Ligands::One(LibraryRow { row: 1, name, smiles: smiles.clone() }))
        }
        (None, None) => Err(Problem::field("/ligand_smiles", "is missing")),
    }
}

#[cfg(test)]
mod tests;
