//! Which object holds which format, and what to do where it is not there yet. The files of a set of results never
//! change: they are made once, as streams, however many rows there are. A batch that was cancelled gets a set of what
//! there is, and another one when there is more.

use crate::{archive, records, table};
use axum::http::StatusCode;
use domain::Run;
use platform::{BlobPath, Blobs, PutOptions, blobs::Chunks};
use serde::Deserialize;
use service::{
    Problem, Result, World, places,
    runs::{
        exports, pipe,
        results::{self, Folder},
    },
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
    /// The name of the object.
    fn name(self) -> &'static str {
        match self {
            Format::Csv => "results.csv",
            Format::Json => "batch_results.json",
            Format::Zip => "results.zip",
            Format::Parquet => "results.parquet",
            Format::Sdf => "results.sdf",
            Format::Rejected => "rejected.csv",
        }
    }

    /// The name of the file as users have it.
    pub fn file(self, run: &Run) -> String {
        let whole = run.results.is_some() || self == Format::Rejected;
        if whole { self.name().to_owned() } else { format!("partial-{}", self.name()) }
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

/// The object that holds the format, made now if need be. A batch that has not ended is refused, but for the rows it
/// rejected, which were known before it began.
pub async fn ready(world: &World, run: &Run, format: Format) -> Result<BlobPath> {
    if format == Format::Rejected {
        return rejected(&world.blobs, run).await;
    }
    let folder = match run.results {
        Some(token) => Folder::of_token(run, token),
        None if run.status.is_final() => results::partial(&world.docs, &world.blobs, &world.ids, run).await?,
        None => {
            let detail = format!("the batch has not ended; meanwhile read /api/v1/batches/{}/results", run.job_id);
            return Err(Problem::conflict(detail).retry_after(AGAIN));
        }
    };
    made(&world.blobs, run, &folder, format).await
}

async fn rejected(blobs: &Blobs, run: &Run) -> Result<BlobPath> {
    let path = places::result(&run.uid, &run.job_id, &Format::Rejected.file(run))?;
    if blobs.head(&path).await?.is_none() {
        exports::write_rejected_csv(blobs, run).await?;
    }
    Ok(path)
}

/// The object in a folder of results that holds the format, made from its rows if it is not there.
async fn made(blobs: &Blobs, run: &Run, folder: &Folder, format: Format) -> Result<BlobPath> {
    let path = folder.file(format.name())?;
    if blobs.head(&path).await?.is_some() {
        return Ok(path);
    }
    let layout = folder.layout(blobs).await?;
    let rows = folder.rows(blobs).await?;
    let other = layout.other_scores.clone();
    let content = match format {
        Format::Csv => pipe::blocking(move |sink| exports::write_csv(rows, &other, sink)),
        Format::Json => {
            results::write_listing(blobs, run, folder, &layout).await?;
            return Ok(path);
        }
        Format::Parquet => pipe::blocking(move |sink| table::write(rows, &other, sink)),
        Format::Sdf => pipe::blocking(move |sink| records::write(rows, sink)),
        Format::Zip => zip(blobs, run, folder, layout.rows()).await?,
        Format::Rejected => return rejected(blobs, run).await,
    };
    match blobs.put(&path, content, PutOptions::of_type(format.content_type()).create_once()).await {
        // Whoever was faster wrote the same.
        Err(platform::Error::AlreadyExists(_)) => {}
        outcome => drop(outcome?),
    }
    Ok(path)
}

/// The archive, after the tables that go into it.
async fn zip(blobs: &Blobs, run: &Run, folder: &Folder, rows: u64) -> Result<Chunks> {
    let mut tables = vec![];
    for (format, below) in [(Format::Csv, ""), (Format::Json, "summary/")] {
        let path = Box::pin(made(blobs, run, folder, format)).await?;
        tables.push((format!("{below}{}", format.file(run)), path));
    }
    match rejected(blobs, run).await {
        // A batch whose library could not be read has no list of rejected rows.
        Err(problem) if problem.status() == StatusCode::NOT_FOUND => {}
        path => tables.push((Format::Rejected.file(run), path?)),
    }
    Ok(archive::chunks(blobs.clone(), run.clone(), tables, folder.clone(), rows))
}
