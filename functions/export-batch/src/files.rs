//! Which object holds which format, and what to do where it is not there yet. The files of a batch with all its results
//! never change: they are made once. Those of a cancelled batch hold what there is at the moment, under other names.

use crate::{archive, pipe, records, table};
use axum::http::StatusCode;
use domain::{BatchResults, ResultRow, Run};
use futures::StreamExt;
use platform::{BlobPath, Blobs, Docs, PutOptions, blobs::Chunks};
use serde::Deserialize;
use service::{
    Problem, Result, places,
    runs::{exports, results},
};
use utoipa::{IntoParams, ToSchema};

/// When to ask again for a batch that has not ended, in seconds.
const AGAIN: u64 = 30;

/// What is asked for.
#[derive(Clone, Copy, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ExportQuery {
    #[param(inline)]
    pub format: Format,
}

/// What a batch can be taken away as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// A table, for spreadsheets.
    Csv,
    /// Every row, and the figures of the batch.
    Json,
    /// The tables and every structure.
    Zip,
    /// A table, for data frames.
    Parquet,
    /// The ligands with their scores, for chemistry programs.
    Sdf,
    /// The rows of the library that were not run, as a table.
    Rejected,
}

impl Format {
    /// The name of the file, below the run's results.
    pub fn file(self, run: &Run) -> String {
        let name = match self {
            Format::Csv => "results.csv",
            Format::Json => "batch_results.json",
            Format::Zip => "results.zip",
            Format::Parquet => "results.parquet",
            Format::Sdf => "results.sdf",
            Format::Rejected => return "rejected.csv".to_owned(),
        };
        if has_all(run) { name.to_owned() } else { format!("partial-{name}") }
    }

    fn content_type(self) -> &'static str {
        match self {
            Format::Csv | Format::Rejected => "text/csv",
            Format::Json => "application/json",
            Format::Zip => "application/zip",
            Format::Parquet => "application/vnd.apache.parquet",
            Format::Sdf => "chemical/x-mdl-sdfile",
        }
    }
}

/// True where the rows can no longer change.
fn has_all(run: &Run) -> bool {
    run.results.is_some()
}

/// Where the format lies.
fn place(run: &Run, format: Format) -> platform::Result<BlobPath> {
    match run.results.filter(|_| format != Format::Rejected) {
        Some(token) => places::final_result(&run.uid, &run.job_id, token, &format.file(run)),
        None => places::result(&run.uid, &run.job_id, &format.file(run)),
    }
}

/// The object that holds the format, made now if need be. A batch that has not ended is refused, but for the rows it
/// rejected, which were known before it began.
pub async fn ready(docs: &Docs, blobs: &Blobs, run: &Run, format: Format) -> Result<BlobPath> {
    let path = place(run, format)?;
    let lasting = has_all(run) || format == Format::Rejected;
    if lasting && blobs.head(&path).await?.is_some() {
        return Ok(path);
    }
    let rows = async || rows(docs, blobs, run).await;
    let content = match format {
        Format::Csv => whole(exports::results_csv(&rows().await?)?),
        Format::Json => whole(json(&results::batch_results(run, rows().await?))?),
        Format::Parquet => {
            let rows = rows().await?;
            pipe::blocking(move |sink| table::write(&rows, sink))
        }
        Format::Sdf => {
            let rows = rows().await?;
            pipe::blocking(move |sink| records::write(&rows, sink))
        }
        Format::Zip => zip(docs, blobs, run, rows().await?).await?,
        Format::Rejected => {
            exports::write_rejected_csv(blobs, run).await?;
            return Ok(path);
        }
    };
    let options = PutOptions::of_type(format.content_type());
    match blobs.put(&path, content, if lasting { options.create_once() } else { options }).await {
        // Whoever was faster wrote the same.
        Err(platform::Error::AlreadyExists(_)) => {}
        outcome => drop(outcome?),
    }
    Ok(path)
}

/// The rows of a batch that has ended.
async fn rows(docs: &Docs, blobs: &Blobs, run: &Run) -> Result<Vec<ResultRow>> {
    if !run.status.is_final() {
        let detail = format!("the batch has not ended; meanwhile read /api/v1/batches/{}/results", run.job_id);
        return Err(Problem::conflict(detail).retry_after(AGAIN));
    }
    Ok(results::all(docs, blobs, run).await?)
}

/// The archive, after the tables that go into it.
async fn zip(docs: &Docs, blobs: &Blobs, run: &Run, rows: Vec<ResultRow>) -> Result<Chunks> {
    let mut parts = vec![];
    for (format, folder) in [(Format::Csv, ""), (Format::Json, "summary/"), (Format::Rejected, "")] {
        match Box::pin(ready(docs, blobs, run, format)).await {
            // A batch whose library could not be read has no list of rejected rows.
            Err(problem) if format == Format::Rejected && problem.status() == StatusCode::NOT_FOUND => {}
            made => parts.push((format!("{folder}{}", format.file(run)), made?)),
        }
    }
    parts.extend(archive::structures(run, &rows)?);
    Ok(archive::chunks(blobs.clone(), run.completed_at, parts))
}

fn whole(bytes: Vec<u8>) -> Chunks {
    futures::stream::once(async { Ok(bytes.into()) }).boxed()
}

fn json(results: &BatchResults) -> platform::Result<Vec<u8>> {
    Ok(serde_json::to_vec_pretty(results)?)
}
