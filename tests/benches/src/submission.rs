//! Part b: submitting a prediction, beside a FastAPI service that does the same, both on one Firestore emulator and one
//! store of objects.

use crate::{
    Outcome,
    http::requests::SEQUENCE,
    load::{Figures, Request, expect, load, send},
    place::Place,
    process::{Aside, Environment, Service, binary, cpu, memory},
    readme::{ASKED, Part, asked, root, short},
};
use emulators::{Emulator, Sdk};
use serde_json::json;
use std::{
    fs,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

/// Requests that are measured, those sent before them, and how many a second.
const REQUESTS: usize = 1000;
const BEFORE: usize = 300;
const RATE: f64 = 40.0;
/// How many times our processor time the other service has to take.
const TIMES: f64 = 8.0;
/// Questions that a submission asks Firestore: the account, the key, a count, a sum, what was learned of the model, and
/// the commit.
const ROUND_TRIPS: u32 = 6;

/// What was found of one service.
struct Found {
    figures: Figures,
    /// Processor time of the emulator for one request, in seconds.
    emulator: f64,
    mib: f64,
}

pub async fn measure() -> Outcome<Part> {
    let _aside = Aside::step()?;
    let sdk = Sdk::find().ok_or("the Google Cloud SDK with its Firestore emulator is not installed")?;
    let place = Place::new()?;
    let firestore = sdk.firestore(None)?;
    let buckets = ["uploads", "artifacts", "reports"].map(|name| format!("bench-{name}")).to_vec();
    let options = gcs_server::Options { address: ([127, 0, 0, 1], 0).into(), buckets, subscribers: vec![] };
    let objects = gcs_server::Server::start(options).await?;
    let environment = environment(&place, &firestore, &objects.url)?;
    let ours = Service::on_one_cpu(&binary("submit-prediction")?, &[], &environment, "/healthz")?;
    let python = python()?;
    let arguments =
        ["service:app", "--host", "127.0.0.1", "--port", "{port}", "--no-access-log", "--log-level=warning"];
    let fastapi = Service::on_one_cpu(&python.join("bin/uvicorn"), &arguments, &environment, "/healthz")?;
    // The emulator is a Java program: both services warm it up before either is measured.
    let mut found = vec![];
    for (name, service) in [("ours", &ours), ("fastapi", &fastapi)] {
        let warming = requests(&place, &format!("{name}-first"), BEFORE)?;
        let answers: Vec<_> = send(service.address, RATE, &warming).await?.into_iter().map(|(_, a)| a).collect();
        expect(name, 202, &answers)?;
    }
    for (name, service) in [("ours", &ours), ("fastapi", &fastapi)] {
        found.push(measured(&place, name, service, &firestore).await?);
    }
    let [ours, theirs] = &found[..] else { return Err("two services are compared".into()) };
    let mut part = Part::new('b');
    let share = ours.figures.cpu / theirs.figures.cpu;
    part.table(&ASKED, &[asked("processor time of a submission, in those of FastAPI", 1.0 / TIMES, share, "×")]);
    let rows = [("submit-prediction", ours), ("FastAPI", theirs)].map(|(name, found)| {
        let milliseconds = |time: Duration| format!("{:.1}", time.as_secs_f64() * 1000.0);
        let Figures { cpu, p50, p99 } = found.figures;
        let cells = [name.to_owned(), short(cpu * 1000.0), short(found.emulator * 1000.0)];
        let cells = cells.into_iter().chain([milliseconds(p50), milliseconds(p99), short(found.mib)]);
        cells.collect::<Vec<_>>()
    });
    part.table(&["", "CPU, ms", "CPU of the emulator, ms", "p50, ms", "p99, ms", "resident, MiB"], &rows);
    part.note(&format!(
        "{REQUESTS} submissions at {RATE} a second, after {BEFORE} that were not measured; FastAPI takes {:.1} times the \
         processor time. Both ask Firestore {ROUND_TRIPS} times over gRPC; ours also lists what earlier runs have answers in Cloud Storage.",
        1.0 / share
    ));
    Ok(part)
}

async fn measured(place: &Place, name: &str, service: &Service, firestore: &Emulator) -> Outcome<Found> {
    let requests = requests(place, name, REQUESTS)?;
    let before = cpu(firestore.id())?;
    let (figures, answers) = load(service.address, service.id(), RATE, &requests).await?;
    let emulator = (cpu(firestore.id())? - before) / REQUESTS as f64;
    expect(name, 202, &answers)?;
    Ok(Found { figures, emulator, mib: memory(service.id())?.0 })
}

/// A submission each of so many users, under a key.
fn requests(place: &Place, name: &str, count: usize) -> Outcome<Vec<Request>> {
    let body = json!({"model": "boltz2", "protein_sequence": SEQUENCE, "ligand_smiles": "CC(=O)Oc1ccccc1C(=O)O",
        "job_name": "aspirin", "parameters": {"seed": 1}});
    let body = body.to_string();
    let request = |user: usize| {
        let bearer = format!("Bearer {}", place.token(&format!("{name}-{user}"))?);
        let key = format!("key-{user}");
        let headers = [("authorization", &*bearer), ("content-type", "application/json"), ("idempotency-key", &key)];
        Ok(Request::bytes("POST", "/api/v1/predict", &headers, body.as_bytes()))
    };
    (0..count).map(request).collect()
}

fn environment(place: &Place, firestore: &Emulator, objects: &str) -> Outcome<Environment> {
    let settings = [
        ("DOCS_URL", "firestore://bench/(default)".to_owned()),
        ("BLOBS_URL", "gs://bench-".to_owned()),
        ("BUS_URL", "pubsub://bench".to_owned()),
        ("EXECUTIONS_URL", "run://bench/us-central1".to_owned()),
        ("FIRESTORE_EMULATOR_HOST", firestore.address.to_string()),
        ("STORAGE_EMULATOR_HOST", objects.to_owned()),
        ("LIMITS", "off".to_owned()),
        ("RUST_LOG", "warn".to_owned()),
        ("PYTHONPATH", root().join("tests/benches/fastapi").display().to_string()),
        ("PYTHONDONTWRITEBYTECODE", "1".to_owned()),
    ];
    let settings = settings.into_iter().chain(place.access.environment()?);
    Ok(settings.map(|(name, value)| (name.to_owned(), value)).collect())
}

/// The folder of the FastAPI service's Python, made where it is not yet, beside the binaries.
fn python() -> Outcome<PathBuf> {
    let folder = binary("benches-python")?;
    let wanted = root().join("tests/benches/fastapi/requirements.txt");
    let noted = folder.join("installed.txt");
    if fs::read(&noted).is_ok_and(|noted| fs::read(&wanted).is_ok_and(|wanted| noted == wanted)) {
        return Ok(folder);
    }
    let begun = Instant::now();
    done(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    done(Command::new(folder.join("bin/pip")).args(["install", "--quiet", "-r"]).arg(&wanted))?;
    fs::copy(&wanted, &noted)?;
    println!("installed the FastAPI service's packages in {:.0} s", begun.elapsed().as_secs_f64());
    Ok(folder)
}

fn done(command: &mut Command) -> Outcome<()> {
    let status = command.status()?;
    if status.success() { Ok(()) } else { Err(format!("{command:?} ended with {status}").into()) }
}
