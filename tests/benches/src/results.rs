//! Parts e and f: the results of a batch, written by `aggregate-run` and told page by page by `get-results`.

use crate::{
    Outcome,
    load::{Request, expect, load, send},
    made_up,
    place::{Place, now},
    process::{Service, memory},
    readme::{ASKED, Part, asked, grown, short},
    step::{Step, step},
};
use domain::{Run, Status};
use platform::docs;
use serde_json::{Value, json};
use service::{events, places};

const SIZES: [u32; 3] = [100_000, 300_000, MILLION];
const MILLION: u32 = 1_000_000;
/// Seconds and MiB for the largest one.
const AT_MOST: (f64, f64) = (15.0, 256.0);
/// Milliseconds of processor time for a page.
const PAGE_AT_MOST: f64 = 20.0;
/// Pages of each kind, spread over all rows, and how many are asked for in a second.
const PAGES: u64 = 40;
const PAGES_PER_SECOND: f64 = 20.0;

/// What pages are asked for: in words, and in a query.
const KINDS: [(&str, &str); 7] = [
    ("by rank, 100 rows", "limit=100"),
    ("by rank, 500 rows", "limit=500"),
    ("by another score, 100 rows", "limit=100&sort=iptm_score"),
    ("by another score, 500 rows", "limit=500&sort=iptm_score"),
    ("turned, 100 rows", "limit=100&sort=affinity&order=desc"),
    ("within a range, 100 rows", "limit=100&sort=ligand_iptm&min=0.25&max=0.75"),
    ("failed, 100 rows", "limit=100&status=failed"),
];

/// Both parts, since the pages are those of the results just written.
pub async fn measure() -> Outcome<[Part; 2]> {
    let (mut rows, mut steps, mut pages) = (vec![], vec![], None);
    for size in SIZES {
        let place = Place::new()?;
        let step = aggregated(&place, size).await?;
        let seconds = step.time.as_secs_f64();
        rows.push(vec![size.to_string(), short(seconds), short(step.cpu), short(step.peak), short(place.size()?)]);
        steps.push(step);
        pages = if size == MILLION { Some(read(&place).await?) } else { None };
    }
    let last = steps.last().ok_or("nothing was measured")?;
    let mut written = Part::new('e');
    let time = asked("a million results aggregated", AT_MOST.0, last.time.as_secs_f64(), "s");
    written.table(&ASKED, &[time, asked("peak memory", AT_MOST.1, last.peak, "MiB")]);
    written.table(&["rows", "time, s", "CPU, s", "peak, MiB", "data folder, MiB"], &rows);
    written.note(&grown(steps.iter().map(|step| step.peak)));
    let pages = pages.ok_or("no page was read")?;
    Ok([written, pages])
}

/// Makes up a batch and lets `aggregate-run` write its results.
async fn aggregated(place: &Place, ligands: u32) -> Outcome<Step> {
    let store = place.store()?;
    let docs = store.docs();
    place.account(&store, &made_up::user()?).await?;
    let run = made_up::run(ligands, &json!({}))?;
    made_up::write(&docs, &store.blobs(), &run).await?;
    let path = places::job(&run.uid, &run.job_id);
    let body = docs.get::<docs::Body>(&path).await?.value;
    let event = events::encode_document_event("e1", &path, None, Some(&body), now());
    let step = step("aggregate-run", &place.environment()?, event).await?;
    let run = docs.get::<Run>(&path).await?.value;
    if run.status != Status::Completed {
        return Err(format!("the run is {:?}: {:?}", run.status, run.error).into());
    }
    Ok(step)
}

/// Reads pages of every kind.
async fn read(place: &Place) -> Outcome<Part> {
    let run = made_up::run(1, &json!({}))?;
    let (token, path) = (place.token("u1")?, format!("/api/v1/batches/{}/results", run.job_id));
    let service = Service::function("get-results", &place.environment()?)?;
    let (mut rows, mut worst) = (vec![], 0.0f64);
    for (name, query) in KINDS {
        let first = [Request::new("GET", &format!("{path}?{query}"), &token, None)];
        let answer = send(service.address, 1.0, &first).await?.pop().ok_or("no answer")?.1;
        let total = serde_json::from_slice::<Value>(&answer.body)?["total"].as_u64().ok_or("a page without a total")?;
        let page = |n: u64| {
            let path = format!("{path}?{query}&cursor={}", total * n / PAGES);
            Request::new("GET", &path, &token, None)
        };
        let requests: Vec<_> = (0..PAGES).map(page).collect();
        let (figures, answers) = load(service.address, service.id(), PAGES_PER_SECOND, &requests).await?;
        expect("get-results", 200, &answers)?;
        worst = worst.max(figures.cpu * 1000.0);
        let times = [figures.p50, figures.p99].map(|time| format!("{:.1}", time.as_secs_f64() * 1000.0));
        rows.push([name.to_owned(), short(figures.cpu * 1000.0)].into_iter().chain(times).collect());
    }
    let mut part = Part::new('f');
    part.table(
        &ASKED,
        &[asked("processor time of a page out of a million rows, the dearest kind", PAGE_AT_MOST, worst, "ms")],
    );
    part.table(&["pages", "CPU, ms", "p50, ms", "p99, ms"], &rows);
    part.note(&format!("`get-results` held {:.0} MiB at most.", memory(service.id())?.1));
    Ok(part)
}
