//! Part b: submitting a prediction, beside a FastAPI service that does the same, both on one Firestore emulator and one
//! store of objects.

use crate::{
    Outcome,
    http::requests::SEQUENCE,
    load::{AS_ANSWERED, Figures, Request, expect, load, send},
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

/// Requests that are measured, and those sent before anything is.
const REQUESTS: usize = 400;
const BEFORE: usize = 300;
/// Requests a second that both services can answer, between which they mostly sleep.
const FEW_A_SECOND: f64 = 10.0;
/// How many times our processor time the other service has to take.
const TIMES: f64 = 8.0;
/// When a user comes back of whom our service no longer takes for granted what their runs hold.
const LATER: Duration = Duration::from_secs(61);
/// What is sent: by users who never came before, by a few one after the other, as scripts of theirs would, and by users
/// who came before.
const LOADS: [Load; 5] = [
    Load { whose: "each of a new user", users: REQUESTS, rate: AS_ANSWERED, came_before: false },
    Load { whose: "of 20 users in turn", users: 20, rate: AS_ANSWERED, came_before: false },
    Load { whose: "each of a user who came before", users: REQUESTS, rate: AS_ANSWERED, came_before: true },
    Load { whose: "each of a new user, 10 a second", users: REQUESTS, rate: FEW_A_SECOND, came_before: false },
    Load { whose: "of 20 users in turn, 10 a second", users: 20, rate: FEW_A_SECOND, came_before: false },
];

/// So many users send `REQUESTS` at this rate, who did the same before or not.
struct Load {
    whose: &'static str,
    users: usize,
    rate: f64,
    came_before: bool,
}

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
    for service in [&ours, &fastapi] {
        send_all(service, FEW_A_SECOND, &requests(&place, "warming", "", (BEFORE, BEFORE))?).await?;
        clear(&firestore).await?;
    }
    for load in &LOADS {
        for service in [&ours, &fastapi] {
            found.push(measured(load, service, &place, &firestore).await?);
            clear(&firestore).await?;
        }
    }
    let mut part = Part::new('b');
    let pairs: Vec<_> = found.chunks_exact(2).zip(LOADS).collect();
    let share = |pair: &[Found]| pair[0].figures.cpu / pair[1].figures.cpu;
    let asked_for = pairs.iter().map(|(pair, load)| {
        let what = format!("processor time of a submission, {}, in those of FastAPI", load.whose);
        asked(&what, 1.0 / TIMES, share(pair), "×")
    });
    part.table(&ASKED, &asked_for.collect::<Vec<_>>());
    let rows = pairs.iter().flat_map(|(pair, load)| {
        [
            row(&format!("submit-prediction, {}", load.whose), &pair[0]),
            row(&format!("FastAPI, {}", load.whose), &pair[1]),
        ]
    });
    let rows: Vec<_> = rows.collect();
    let head = ["", "CPU, ms", "CPU of the emulator, ms", "answered a second", "p50, ms", "p99, ms", "resident, MiB"];
    part.table(&head, &rows);
    let times: Vec<_> = pairs.iter().map(|(pair, _)| format!("{:.1}", 1.0 / share(pair))).collect();
    part.note(&format!(
        "{REQUESTS} submissions each, after {BEFORE} that were not measured; where nothing else is said, as fast as they \
         are answered. FastAPI takes {} times the processor time.",
        times.join(", ")
    ));
    Ok(part)
}

fn row(name: &str, found: &Found) -> Vec<String> {
    let milliseconds = |time: Duration| format!("{:.1}", time.as_secs_f64() * 1000.0);
    let Figures { cpu, answered, p50, p99 } = found.figures;
    let cells = [name.to_owned(), short(cpu * 1000.0), short(found.emulator * 1000.0), short(answered)];
    cells.into_iter().chain([milliseconds(p50), milliseconds(p99), short(found.mib)]).collect()
}

async fn measured(asked: &Load, service: &Service, place: &Place, firestore: &Emulator) -> Outcome<Found> {
    let &Load { whose, users, rate, came_before } = asked;
    if came_before {
        send_all(service, rate, &requests(place, whose, "first", (REQUESTS, users))?).await?;
        tokio::time::sleep(LATER).await;
    }
    let before = cpu(firestore.id())?;
    let requests = requests(place, whose, "then", (REQUESTS, users))?;
    let (figures, answers) = load(service.address, service.id(), rate, &requests).await?;
    let emulator = (cpu(firestore.id())? - before) / REQUESTS as f64;
    expect(whose, 202, &answers)?;
    Ok(Found { figures, emulator, mib: memory(service.id())?.0 })
}

async fn send_all(service: &Service, rate: f64, requests: &[Request]) -> Outcome<()> {
    let answers: Vec<_> = send(service.address, rate, requests).await?.into_iter().map(|(_, answer)| answer).collect();
    expect("what is not measured", 202, &answers)
}

/// Takes every document out of the emulator, which slows down with what it holds.
async fn clear(firestore: &Emulator) -> Outcome<()> {
    let documents = format!("http://{}/emulator/v1/projects/bench/databases/(default)/documents", firestore.address);
    reqwest::Client::new().delete(documents).send().await?.error_for_status()?;
    Ok(())
}

/// So many submissions of so many users of this name in turn, each under a key of its own.
fn requests(place: &Place, name: &str, keys: &str, (count, users): (usize, usize)) -> Outcome<Vec<Request>> {
    let body = json!({"model": "boltz2", "protein_sequence": SEQUENCE, "ligand_smiles": "CC(=O)Oc1ccccc1C(=O)O",
        "job_name": "aspirin", "parameters": {"seed": 1}});
    let body = body.to_string();
    let name = name.replace([' ', ','], "-");
    let request = |number: usize| {
        let bearer = format!("Bearer {}", place.token(&format!("{name}-{}", number % users))?);
        let key = format!("{keys} {number}");
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
