//! Part c: from the start of a binary to its first answer, and the memory that it then holds. The configuration is that
//! of Google Cloud, which nobody has talked to yet.

use crate::{
    Outcome,
    process::{Environment, Service, binary, median, memory},
    readme::{ASKED, Part, asked},
};
use hub::ALL;
use service::{Function, Trigger, Work};
use std::{fs, path::Path};

/// Starts of each.
const STARTS: usize = 15;
/// In milliseconds and MiB.
const AT_MOST: (f64, f64) = (15.0, 20.0);

/// What was found of one binary: milliseconds and MiB in the middle, and the slowest start.
struct Found {
    milliseconds: f64,
    slowest: f64,
    mib: f64,
}

pub fn measure() -> Outcome<Part> {
    let image = binary("hub")?;
    let (mut rows, mut worst) = (vec![], (0.0f64, 0.0f64));
    for function in ALL.iter().filter(|function| matches!(function.work, Work::Service(_))) {
        let own = binary(function.name)?;
        let megabytes = fs::metadata(&own)?.len() as f64 / 1e6;
        let (own, of_image) = (starts(&own, &[])?, starts(&image, &[function.name])?);
        if function.trigger == Trigger::Http {
            for found in [&own, &of_image] {
                worst = (worst.0.max(found.milliseconds), worst.1.max(found.mib));
            }
        }
        let mut cells = vec![function.name.to_owned(), trigger(function).to_owned(), format!("{megabytes:.1}")];
        for found in [own, of_image] {
            cells.push(format!("{:.1} ({:.1})", found.milliseconds, found.slowest));
            cells.push(format!("{:.1}", found.mib));
        }
        rows.push(cells);
    }
    let mut part = Part::new('c');
    let what = ["start to first answer, the slowest HTTP function", "resident memory, the largest HTTP function"];
    part.table(&ASKED, &[asked(what[0], AT_MOST.0, worst.0, "ms"), asked(what[1], AT_MOST.1, worst.1, "MiB")]);
    let megabytes = fs::metadata(&image)?.len() as f64 / 1e6;
    part.note(&format!(
        "Medians of {STARTS} starts, in brackets the slowest; from the function's own binary and from `hub`, the \
         {megabytes:.1} MB of all functions in one that the image holds. `predict-worker`, a job, answers nobody."
    ));
    let head = ["", "called by", "own binary, MB", "start, ms", "MiB", "start of `hub`, ms", "MiB"];
    part.table(&head, &rows);
    Ok(part)
}

fn starts(program: &Path, arguments: &[&str]) -> Outcome<Found> {
    let (mut times, mut sizes) = (vec![], vec![]);
    for _ in 0..STARTS {
        let service = Service::start(program, arguments, &environment(), "/healthz")?;
        times.push(service.started_in.as_secs_f64() * 1000.0);
        sizes.push(memory(service.id())?.0);
    }
    let slowest = times.iter().copied().fold(0.0, f64::max);
    Ok(Found { milliseconds: median(times), slowest, mib: median(sizes) })
}

fn environment() -> Environment {
    let settings = [
        ("DOCS_URL", "firestore://project/(default)"),
        ("BLOBS_URL", "gs://prefix-"),
        ("BUS_URL", "pubsub://project"),
        ("EXECUTIONS_URL", "run://project/us-central1"),
        ("TOKEN_ISSUER", "https://securetoken.google.com/project"),
        ("TOKEN_AUDIENCE", "project"),
        ("TOKEN_KEYS", r#"{"keys":[]}"#),
        ("RUST_LOG", "off"),
    ];
    settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

fn trigger(function: &Function) -> &'static str {
    match function.trigger {
        Trigger::Http => "clients",
        Trigger::DocumentWritten { .. } => "documents",
        Trigger::ObjectFinalized { .. } => "objects",
        Trigger::Message { .. } => "messages",
        Trigger::Schedule { .. } => "the clock",
        Trigger::Job => "an execution",
    }
}
