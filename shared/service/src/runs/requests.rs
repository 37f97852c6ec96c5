//! What clients send to ask for runs, and how it is read: by the functions that start runs, and by the one that only
//! says what they would cost.

use super::{
    library::Ligands,
    submit::{self, OnInvalid, Submission},
};
use crate::{Caller, Problem, Result, Settings, places};
use chem::LibraryRow;
use domain::{Priority, Source, Strategy, Uid};
use platform::BlobPath;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

/// A request that was read: what to run, on which ligands, and what becomes of bad rows.
pub struct Asked {
    pub submission: Submission,
    pub ligands: Ligands,
    pub on_invalid: OnInvalid,
}

/// One ligand of a batch.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LigandInput {
    pub name: Option<String>,
    pub smiles: String,
}

/// A batch.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchRequest {
    /// A name from `GET /api/v1/models`.
    #[schema(example = "boltz2")]
    pub model: String,
    /// The target, where the model takes one protein: 10 to 2,000 of the twenty standard letters.
    pub protein_sequence: Option<String>,
    pub ligands: Option<Vec<LigandInput>>,
    /// Instead of `ligands`: a file of the caller's own in the uploads bucket, `gs://BUCKET/USER/…`.
    pub library: Option<String>,
    #[schema(max_length = 200)]
    pub batch_name: Option<String>,
    #[serde(default)]
    pub priority: Priority,
    #[serde(default)]
    pub strategy: Strategy,
    /// GPUs to use at once, at most.
    #[schema(minimum = 1)]
    pub max_concurrent: Option<u32>,
    #[serde(default)]
    pub on_invalid: OnInvalid,
    /// In US dollars. A batch that is estimated to cost more is refused; one that has come to cost as much while it runs is
    /// stopped, and ends with the results it has.
    pub max_cost_usd: Option<f64>,
    /// What else the model takes, by its own schema.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub inputs: Value,
    #[serde(default)]
    #[schema(value_type = Object)]
    pub parameters: Value,
}

/// One prediction.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PredictRequest {
    /// A name from `GET /api/v1/models`.
    #[schema(example = "boltz2")]
    pub model: String,
    /// The target, where the model takes one protein: 10 to 2,000 of the twenty standard letters.
    pub protein_sequence: Option<String>,
    #[schema(example = "CC(=O)Oc1ccccc1C(=O)O")]
    pub ligand_smiles: Option<String>,
    pub ligand_name: Option<String>,
    #[schema(max_length = 200)]
    pub job_name: Option<String>,
    /// What else the model takes, by its own schema.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub inputs: Value,
    #[serde(default)]
    #[schema(value_type = Object)]
    pub parameters: Value,
    /// In US dollars. A prediction that is estimated to cost more is refused; one that has come to cost as much while it runs
    /// is stopped, and has failed.
    pub max_cost_usd: Option<f64>,
}

impl BatchRequest {
    /// Reads the caller's request; every wrong field is named.
    pub fn read(self, caller: &Caller, settings: &Settings) -> Result<Asked> {
        let model = submit::model(&self.model)?;
        let accepted = submit::accept(model, self.protein_sequence.as_deref(), &self.inputs, &self.parameters)?;
        let ligands = of_batch(self.ligands, self.library, accepted.designs, &caller.uid, settings)?;
        let submission = Submission {
            uid: caller.uid.clone(),
            account: Some(caller.known.clone()),
            claimed_tier: caller.claimed_tier,
            batch: true,
            name: submit::name(self.batch_name, "/batch_name")?,
            model,
            accepted,
            priority: self.priority,
            strategy: self.strategy,
            max_concurrent: submit::concurrency(self.max_concurrent)?,
            max_cost_usd: submit::budget(self.max_cost_usd)?,
            source: Source::Api,
        };
        Ok(Asked { submission, ligands, on_invalid: self.on_invalid })
    }
}

impl PredictRequest {
    /// Reads the caller's request; every wrong field is named.
    pub fn read(self, caller: &Caller) -> Result<Asked> {
        let model = submit::model(&self.model)?;
        let accepted = submit::accept(model, self.protein_sequence.as_deref(), &self.inputs, &self.parameters)?;
        let ligands = of_prediction(&self, accepted.designs)?;
        let submission = Submission {
            uid: caller.uid.clone(),
            account: Some(caller.known.clone()),
            claimed_tier: caller.claimed_tier,
            batch: false,
            name: submit::name(self.job_name, "/job_name")?,
            model,
            accepted,
            priority: Priority::Normal,
            strategy: Strategy::Parallel,
            max_concurrent: None,
            max_cost_usd: submit::budget(self.max_cost_usd)?,
            source: Source::Api,
        };
        Ok(Asked { submission, ligands, on_invalid: OnInvalid::Reject })
    }
}

fn of_batch(
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
    let path = address.strip_prefix(&bucket).and_then(|name| places::own_upload(uid, name).ok());
    path.ok_or_else(|| Problem::field("/library", format!("takes an object of your own: {bucket}{uid}/…")))
}

/// The one ligand of a prediction; a design has none.
fn of_prediction(request: &PredictRequest, designs: Option<u32>) -> Result<Ligands> {
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
