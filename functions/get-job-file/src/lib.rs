//! `GET /api/v1/jobs/{job_id}/files/{kind}`: a redirect to one file of one prediction. What the model wrote is linked as
//! it is; a PDB file it did not write is made from its mmCIF once, on first request.

use axum::{extract::State, response::Redirect};
use domain::{JobId, JobRef, JobType, ResultRow, Run};
use platform::{BlobPath, Blobs, Docs, Error, PutOptions};
use serde::Deserialize;
use service::{
    Downloads, Function, Path, Problem, Refusals, Result, World, places,
    runs::{self, exports, rows, views},
};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

pub const FUNCTION: Function = Function::http("get-job-file", router);

/// The largest mmCIF that is read, in bytes. One that fits a PDB file, of 99,999 records, has about a tenth of this.
const CIF_LIMIT: u64 = 64 * 1024 * 1024;
/// When to ask again for a file of a job that has not ended, in seconds.
const AGAIN: u64 = 10;

fn router() -> OpenApiRouter<World> {
    OpenApiRouter::new().routes(routes!(get_job_file))
}

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Kind {
    /// The structure as mmCIF.
    Cif,
    /// The structure as PDB.
    Pdb,
    /// The result row.
    Json,
}

/// A file of a single prediction, or of one item of a batch.
#[utoipa::path(get, path = "/api/v1/jobs/{job_id}/files/{kind}", tag = "jobs",
    params(("job_id" = String, Path), ("kind" = inline(Kind), Path)),
    responses((status = 303, description = "The file is at `Location`, for fifteen minutes",
        headers(("Location" = String, description = "Signed link"))), Refusals))]
async fn get_job_file(
    Downloads(caller): Downloads,
    State(docs): State<Docs>,
    State(blobs): State<Blobs>,
    Path((id, kind)): Path<(JobRef, Kind)>,
) -> Result<Redirect> {
    let run = runs::find(&docs, &caller, id.run()).await?.value;
    let index = index(&id, &run)?;
    let row = rows::one(&docs, &blobs, &run, index).await?.and_then(|(_, row)| row);
    let row = row.ok_or_else(|| no_result(&id, &run))?;
    let name = row.job_id.clone();
    let (file, ending) = match kind {
        Kind::Cif => (written(&run, &row, "cif")?, "cif"),
        Kind::Pdb => (pdb(&blobs, &run, index, &row).await?, "pdb"),
        Kind::Json => (json(&blobs, &run, index, row).await?, "json"),
    };
    Ok(exports::redirect(&blobs, &file, &format!("{name}.{ending}")).await?)
}

/// The 1-based index of the item that is asked for.
fn index(id: &JobRef, run: &Run) -> Result<u32> {
    match id {
        JobRef::Run(_) if run.job_type == JobType::Individual => Ok(1),
        JobRef::Child(child) if child.index <= run.items => Ok(child.index),
        JobRef::Child(child) => Err(Problem::not_found(child.batch.child(child.index))),
        JobRef::Run(batch) => Err(Problem::conflict(format!(
            "a batch has no structure of its own: ask for one of its items, e.g. {}, or for \
             /api/v1/batches/{batch}/export?format=zip",
            batch.child(1)
        ))),
    }
}

fn no_result(id: &JobRef, run: &Run) -> Problem {
    if run.status.is_final() {
        return Problem::not_found(format!("a result of {}", name(id)));
    }
    Problem::conflict("the prediction has not ended").retry_after(AGAIN)
}

fn name(id: &JobRef) -> String {
    match id {
        JobRef::Run(id) => JobId::to_string(id),
        JobRef::Child(child) => child.batch.child(child.index),
    }
}

/// A file that the model wrote.
fn written(run: &Run, row: &ResultRow, kind: &str) -> Result<BlobPath> {
    let name = row.files.get(kind).ok_or_else(|| Problem::not_found(format!("a {kind} file of {}", row.job_id)))?;
    Ok(places::own_artifact(&run.uid, &run.job_id, name)?)
}

/// The model's own PDB file, or else the one made from its mmCIF.
async fn pdb(blobs: &Blobs, run: &Run, index: u32, row: &ResultRow) -> Result<BlobPath> {
    if row.files.contains_key("pdb") {
        return written(run, row, "pdb");
    }
    let made = places::item_download(&run.uid, &run.job_id, index, "structure.pdb")?;
    let cif = written(run, row, "cif")?;
    if blobs.head(&made).await?.is_some() {
        return Ok(made);
    }
    let refused = |reason: &dyn std::fmt::Display| {
        Problem::invalid(format!("{reason}; the mmCIF is at /api/v1/jobs/{}/files/cif", row.job_id))
    };
    let cif = match blobs.get(&cif, CIF_LIMIT).await {
        Err(Error::Invalid(_)) => return Err(refused(&"the structure is too large for a PDB file")),
        outcome => outcome?,
    };
    let converting = tokio::task::spawn_blocking(move || chem::cif_to_pdb(&String::from_utf8_lossy(&cif)));
    let pdb = converting.await.map_err(Problem::internal)?.map_err(|error| refused(&error))?;
    match blobs.put_bytes(&made, pdb, PutOptions::of_type("chemical/x-pdb").create_once()).await {
        Err(Error::AlreadyExists(_)) => {}
        outcome => drop(outcome?),
    }
    Ok(made)
}

/// The result row as clients see it.
async fn json(blobs: &Blobs, run: &Run, index: u32, row: ResultRow) -> Result<BlobPath> {
    let made = places::item_download(&run.uid, &run.job_id, index, "result.json")?;
    blobs.put_json(&made, &views::shown(row), PutOptions::default()).await?;
    Ok(made)
}

#[cfg(test)]
mod tests;
