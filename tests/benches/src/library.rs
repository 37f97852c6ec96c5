//! Part d: a library from its upload to its last planned shard, through `on-library-uploaded` and `plan-run`.

use crate::{
    Outcome,
    http::requests::SEQUENCE,
    place::{Place, now},
    readme::{ASKED, Part, asked, grown, short},
    step::{Step, step},
};
use domain::{Run, Uid};
use platform::{BlobPath, PutOptions, Query, Versioned, docs};
use service::{events, places};
use std::fmt::Write;

const SIZES: [u32; 3] = [100_000, 300_000, 1_000_000];
/// Seconds and MiB for the largest one.
const AT_MOST: (f64, f64) = (10.0, 256.0);

/// What a molecule is put together from: substituent, ring, joint, middle, ring, substituent.
const PARTS: [[&str; 10]; 6] = [
    ["F", "Cl", "CO", "CC", "N#C", "CN(C)", "OC(=O)", "FC(F)(F)", "CS(=O)(=O)", "C1CC1"],
    [
        "c1ccc(cc1)",
        "c1cccc(c1)",
        "c1ccnc(c1)",
        "c1csc(n1)",
        "c1ccc2c(c1)[nH]cc2",
        "c1cc(n[nH]1)",
        "C1CCN(CC1)",
        "c1nc2ccccc2n1",
        "C1CCC(CC1)",
        "c1noc(C)c1",
    ],
    [
        "C(=O)N",
        "C(=O)NC",
        "S(=O)(=O)N",
        "CC(=O)N",
        "NC(=O)N",
        "OC[C@H](O)CN",
        "CN(C)C(=O)",
        "C(=O)N1CCN(CC1)",
        "C(=O)N[C@@H](C)",
        "C/C=C/",
    ],
    ["C", "CC", "CCC", "c1ccc(cc1)", "c1cccc(c1)", "C1CCC(CC1)", "CCO", "Cc1ccc(cc1)", "c1cc(on1)", "Cc1nc(cs1)"],
    [
        "c1ccc(cc1)",
        "c1cccc(c1)",
        "c1ccnc(c1)",
        "c1ccsc1",
        "C1CCN(CC1)",
        "c1cc2ccccc2c(c1)",
        "C1CCOC(C1)",
        "c1cnn(c1)",
        "c1c[nH]c2ccc(cc12)",
        "N1CCC(CC1)",
    ],
    ["F", "Cl", "OC", "CC", "C#N", "N(C)C", "C(=O)O", "C(F)(F)F", "S(=O)(=O)C", "C1CC1"],
];
/// The digit of a molecule's number that picks each part.
const DIGITS: [u32; 6] = [4, 0, 1, 2, 3, 5];

pub async fn measure() -> Outcome<Part> {
    let (mut rows, mut totals) = (vec![], vec![]);
    for size in SIZES {
        let (judged, planned, run) = screen(size).await?;
        let shards = run.plan.as_ref().map_or(0, |plan| plan.shards);
        for (what, step) in [("on-library-uploaded", judged), ("plan-run", planned)] {
            let seconds = short(step.time.as_secs_f64());
            let cells = [what.to_owned(), size.to_string(), run.items.to_string(), shards.to_string(), seconds];
            rows.push(cells.into_iter().chain([short(step.cpu), short(step.peak)]).collect());
        }
        totals.push((judged.time + planned.time, judged.peak.max(planned.peak)));
    }
    let (time, peak) = *totals.last().ok_or("nothing was measured")?;
    let mut part = Part::new('d');
    let time = asked("a million rows, from the upload to the last shard planned", AT_MOST.0, time.as_secs_f64(), "s");
    part.table(&ASKED, &[time, asked("peak memory, the larger of both functions", AT_MOST.1, peak, "MiB")]);
    part.table(&["", "rows", "run", "shards", "time, s", "CPU, s", "peak, MiB"], &rows);
    part.note(&grown(totals.into_iter().map(|(_, peak)| peak)));
    Ok(part)
}

/// Uploads a library of so many rows and plans its screen.
async fn screen(rows: u32) -> Outcome<(Step, Step, Run)> {
    let place = Place::new()?;
    let (environment, store) = (place.environment()?, place.store()?);
    let (docs, blobs, uid) = (store.docs(), store.blobs(), Uid::named("u1".to_owned())?);
    place.account(&store, &uid).await?;
    let put = async |name: &str, content: String| {
        let path = BlobPath::new(places::UPLOADS, format!("u1/screen/{name}"))?;
        Outcome::Ok(blobs.put_bytes(&path, content, PutOptions::default()).await?)
    };
    put("target.fasta", format!(">target\n{SEQUENCE}\n")).await?;
    let library = put("library.csv", library(rows)?).await?;
    let event = events::encode_object_event("e1", &library, "");
    let judged = step("on-library-uploaded", &environment, event).await?;
    let run = docs.query::<Run>(&Query::collection(places::jobs(&uid))).await?.pop().ok_or("there is no run")?;
    let body = docs.get::<docs::Body>(&run.path).await?.value;
    let event = events::encode_document_event("e2", &run.path, None, Some(&body), now());
    let planned = step("plan-run", &environment, event).await?;
    let run: Versioned<Run> = docs.get(&run.path).await?;
    if !run.value.plan.as_ref().is_some_and(|plan| plan.ready) {
        return Err(format!("the run was not planned: {:?}", run.value.error).into());
    }
    Ok((judged, planned, run.value))
}

/// Molecules of which nearly all differ; of each hundred rows two are salts, one is broken, and some repeat another one.
fn library(rows: u32) -> Outcome<String> {
    let mut text = String::from("smiles,name\n");
    for row in 0..u64::from(rows) {
        // A step prime to the number of molecules visits each once, in no order.
        let molecule = if row % 100 == 7 { row - 1 } else { row } * 387_421 % 1_000_000;
        for (parts, place) in PARTS.iter().zip(DIGITS) {
            text.push_str(parts[(molecule / 10_u64.pow(place) % 10) as usize]);
        }
        text.push_str(match row % 100 {
            3 => ".Cl",
            4 => ".[Na+].[Cl-]",
            5 => "(",
            _ => "",
        });
        writeln!(text, ",Z{row:09}")?;
    }
    Ok(text)
}
