//! Which object holds which format, and what to do where it is not there yet. The files of a batch with all its results
//! never change: they are made once. Those of a cancelled batch hold what there is at the moment, under other names.

use crate::{archive, pipe, records, table};
use domain::{ResultRow, Run};
use futures::StreamExt;
use platform::{BlobPath, Blobs, Docs, PutOptions, blobs::Chunks};
use serde::Deserialize;
use service::{
    Problem, Result, places,
    runs::{exports, results},
};
use std::sync::Arc;
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
    run.summary.is_some()
}

/// The object that holds the format, made now if need be. A batch that has not ended is refused, but for the rows it
/// rejected, which were known before it began.
pub async fn ready(docs: &Docs, blobs: &Blobs, run: &Run, format: Format) -> Result<BlobPath> {
    let path = places::result(&run.uid, &run.job_id, &format.file(run))?;
    let lasting = has_all(run) || format == Format::Rejected;
    if lasting && blobs.head(&path).await?.is_some() {
        return Ok(path);
    }
    if format == Format::Rejected {
        exports::write_rejected_csv(blobs, run).await?;
        return Ok(path);
    }
    if !run.status.is_final() {
        let detail = format!("the batch has not ended; meanwhile read /api/v1/batches/{}/results", run.job_id);
        return Err(Problem::conflict(detail).retry_after(AGAIN));
    }
    let rows = Arc::new(results::all(docs, blobs, run).await?);
    let content = match format {
        Format::Zip => zip(blobs, run, rows).await?,
        format => content(format, run, rows)?,
    };
    put(blobs, run, format, content).await
}

/// Writes the object, create-once where it lasts: whoever was faster wrote the same.
async fn put(blobs: &Blobs, run: &Run, format: Format, content: Chunks) -> Result<BlobPath> {
    let path = places::result(&run.uid, &run.job_id, &format.file(run))?;
    let options = PutOptions::of_type(format.content_type());
    let options = if has_all(run) { options.create_once() } else { options };
    match blobs.put(&path, content, options).await {
        Err(platform::Error::AlreadyExists(_)) => {}
        outcome => drop(outcome?),
    }
    Ok(path)
}

fn content(format: Format, run: &Run, rows: Arc<Vec<ResultRow>>) -> platform::Result<Chunks> {
    let whole = |bytes: Vec<u8>| futures::stream::once(async { Ok(bytes.into()) }).boxed();
    Ok(match format {
        Format::Parquet => pipe::blocking(move |sink| table::write(&rows, sink)),
        Format::Sdf => pipe::blocking(move |sink| records::write(&rows, sink)),
        Format::Json => whole(serde_json::to_vec_pretty(&results::batch_results(run, rows.to_vec()))?),
        Format::Csv | Format::Rejected | Format::Zip => whole(exports::results_csv(&rows)?),
    })
}

/// The archive, after the files it holds beside the structures.
async fn zip(blobs: &Blobs, run: &Run, rows: Arc<Vec<ResultRow>>) -> Result<Chunks> {
    let mut parts = vec![];
    for (format, folder) in [(Format::Csv, ""), (Format::Json, "summary/")] {
        let path = places::result(&run.uid, &run.job_id, &format.file(run))?;
        if !has_all(run) || blobs.head(&path).await?.is_none() {
            put(blobs, run, format, content(format, run, rows.clone())?).await?;
        }
        parts.push((format!("{folder}{}", format.file(run)), path));
    }
    let rejected = places::result(&run.uid, &run.job_id, &Format::Rejected.file(run))?;
    if blobs.head(&rejected).await?.is_none() {
        exports::write_rejected_csv(blobs, run).await?;
    }
    parts.push((Format::Rejected.file(run), rejected));
    parts.extend(archive::structures(run, &rows)?);
    Ok(archive::chunks(blobs.clone(), run.completed_at, parts))
}
