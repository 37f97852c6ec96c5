//! `omtx-hub screen`: drops a library and its target where a user would, watches the run, shows the hits and fetches the
//! exports through the API.

use crate::{Cloud, LOCAL_USER, serve};
use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    http::{Request, StatusCode, header},
};
use clap::Args;
use comfy_table::{CellAlignment, Table, presets};
use domain::{JobId, Run, Status, Uid};
use indicatif::{ProgressBar, ProgressStyle};
use platform::PutOptions;
use serde::de::DeserializeOwned;
use service::{
    places,
    runs::screen::{self, Screen},
};
use std::{error::Error, path::PathBuf, time::Duration};
use tower::ServiceExt;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// How often the run's document is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// Hits shown in the terminal.
const SHOWN: usize = 20;
/// What is fetched, by format, and the file it becomes.
const EXPORTS: [(&str, &str); 6] = [
    ("csv", "results.csv"),
    ("json", "batch_results.json"),
    ("parquet", "results.parquet"),
    ("sdf", "results.sdf"),
    ("zip", "results.zip"),
    ("rejected", "rejected.csv"),
];

/// A screen of a library against a target.
#[derive(Args)]
pub struct ScreenArgs {
    /// CSV, TSV or SMI, each also gzipped.
    library: PathBuf,
    /// The target's sequence.
    #[arg(long, value_name = "FASTA")]
    target: PathBuf,
    /// A model from `GET /api/v1/models`.
    #[arg(long, default_value = "boltz2")]
    model: String,
    /// Writes the exports into this folder.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Runs the screen to its end. True if it completed.
pub async fn screen(cloud: &Cloud, args: &ScreenArgs) -> Outcome<bool> {
    let client = Client::new(cloud).await?;
    let job_id = drop_files(cloud, args).await?;
    let run = watch(cloud, &job_id).await?;
    report(&client, &run).await?;
    if let Some(folder) = args.out.as_ref().filter(|_| run.results.is_some()) {
        std::fs::create_dir_all(folder)?;
        for (format, file) in EXPORTS {
            let content = client.download(&format!("/api/v1/batches/{job_id}/export?format={format}")).await?;
            std::fs::write(folder.join(file), content)?;
        }
        println!("exports: {}", folder.display());
    }
    Ok(run.status == Status::Completed)
}

/// Target and settings first, the library last: it starts the screen.
async fn drop_files(cloud: &Cloud, args: &ScreenArgs) -> Outcome<JobId> {
    let missing = |path: &PathBuf| format!("cannot read {}", path.display());
    let target = std::fs::read(&args.target).map_err(|error| format!("{}: {error}", missing(&args.target)))?;
    let library = std::fs::read(&args.library).map_err(|error| format!("{}: {error}", missing(&args.library)))?;
    let file_name = args.library.file_name().ok_or("the library has no name")?.to_string_lossy();
    let (uid, folder) = (Uid::named(LOCAL_USER.to_owned())?, cloud.world.ids.next());
    let place = |file: &str| places::upload(&uid, &folder, file);
    let blobs = &cloud.world.blobs;
    let settings = Screen {
        model: Some(args.model.clone()),
        batch_name: Some(file_name.chars().take(200).collect()),
        ..Screen::default()
    };
    blobs.put_json(&place("screen.yaml")?, &settings, PutOptions::default()).await?;
    blobs.put_bytes(&place("target.fasta")?, target, PutOptions::of_type("text/plain")).await?;
    let library = blobs.put_bytes(&place(&format!("library-{file_name}"))?, library, PutOptions::default()).await?;
    Ok(screen::job_id(&library.path, library.generation)?)
}

/// Shows progress until the run has ended.
async fn watch(cloud: &Cloud, job_id: &JobId) -> Outcome<Run> {
    let uid = Uid::named(LOCAL_USER.to_owned())?;
    let bar = ProgressBar::new(0);
    bar.set_style(ProgressStyle::with_template("{msg:12} [{wide_bar}] {pos}/{len} ligands  {elapsed}")?);
    loop {
        if let Some(run) = cloud.world.docs.find::<Run>(&places::job(&uid, job_id)).await? {
            let run = run.value;
            bar.set_length(run.items.into());
            bar.set_position((run.progress.completed + run.progress.failed).into());
            bar.set_message(run.status.as_str());
            if run.status.is_final() {
                bar.finish();
                return Ok(run);
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn report(client: &Client, run: &Run) -> Outcome<()> {
    println!();
    let Some(summary) = &run.summary else {
        let reason = run.error.as_ref().map_or_else(String::new, |error| format!(": {}", error.message));
        println!("{} {}{reason}", run.job_id, run.status.as_str());
        return Ok(());
    };
    let path = format!("/api/v1/batches/{}/results?limit={SHOWN}", run.job_id);
    let page: Page = client.json(&path).await?;
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_header(["rank", "ligand", &run.ranking.score, "affinity", "pIC50", "confidence", "note"]);
    let number = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.3}"));
    for row in &page.results {
        let note = row.error.as_ref().map_or("", |error| error.message.as_str());
        table.add_row([
            row.rank.map_or_else(|| "–".to_owned(), |rank| rank.to_string()),
            row.ligand_name.clone(),
            number(row.score(&run.ranking.score)),
            number(row.affinity),
            number(row.pic50),
            number(row.confidence),
            note.to_owned(),
        ]);
    }
    for column in [0, 2, 3, 4, 5] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    println!("{table}");
    if page.total as usize > page.results.len() {
        println!("… and {} more", page.total as usize - page.results.len());
    }
    println!("affinity is log10(IC50 in µM): lower is stronger");
    let (completed, failed) = (summary.completed_jobs, summary.failed_jobs);
    println!(
        "{} {}: {completed} completed, {failed} failed, {} rejected",
        run.job_id,
        run.status.as_str(),
        run.rejected
    );
    if run.simulated == Some(true) {
        println!("SIMULATED: a stand-in made these values from a hash of the input; they say nothing about binding");
    }
    Ok(())
}

/// A page of results as a client reads it.
#[derive(serde::Deserialize)]
struct Page {
    results: Vec<domain::ResultRow>,
    total: u64,
}

/// A client of the API, without a socket.
struct Client {
    router: Router,
    key: String,
}

impl Client {
    async fn new(cloud: &Cloud) -> Outcome<Self> {
        let world = &cloud.world;
        let key = cloud.access.api_key(&world.docs, LOCAL_USER, &world.clock, &world.ids).await?;
        Ok(Client { router: serve::http(cloud), key })
    }

    async fn get(&self, path: &str) -> Outcome<(StatusCode, Option<String>, Bytes)> {
        let request = Request::get(path).header(service::api_key::API_KEY, &self.key).body(Body::empty())?;
        let response = self.router.clone().oneshot(request).await?;
        let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
        let (status, location) = (response.status(), location.map(str::to_owned));
        Ok((status, location, to_bytes(response.into_body(), usize::MAX).await?))
    }

    async fn json<T: DeserializeOwned>(&self, path: &str) -> Outcome<T> {
        let (status, _, body) = self.get(path).await?;
        if !status.is_success() {
            return Err(format!("GET {path}: {status} {}", String::from_utf8_lossy(&body)).into());
        }
        Ok(serde_json::from_slice(&body)?)
    }

    /// Follows the redirect to the signed link.
    async fn download(&self, path: &str) -> Outcome<Bytes> {
        let (status, location, body) = self.get(path).await?;
        let Some(location) = location.filter(|_| status == StatusCode::SEE_OTHER) else {
            return Err(format!("GET {path}: {status} {}", String::from_utf8_lossy(&body)).into());
        };
        let link = url::Url::parse(&location)?;
        let inside = format!("{}?{}", link.path(), link.query().unwrap_or_default());
        let (status, _, content) = self.get(&inside).await?;
        if status.is_success() { Ok(content) } else { Err(format!("{path}: {status}").into()) }
    }
}
