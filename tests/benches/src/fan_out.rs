//! Part g: a batch of ten thousand shards through every handler there is, with workers that need no time. Documents and
//! objects are embedded; events are brought from memory, so that what is measured is the functions' own.

mod cloud;

use crate::{
    Outcome, made_up,
    place::{Place, now},
    readme::{ASKED, Part, asked, short},
};
use chrono::{DateTime, Utc};
use cloud::{Cloud, Seen};
use platform::PutOptions;
use serde_json::json;
use service::places;
use std::time::Duration;

const SHARDS: u32 = 10_000;
/// Documents for a ligand, at 50 ligands a shard.
const DOCUMENTS_AT_MOST: f64 = 0.05;
/// Seconds from the last report to the completed run.
const COMPLETED_WITHIN: f64 = 2.0;
/// How long a run may take.
const PATIENCE: Duration = Duration::from_secs(400);

pub async fn measure() -> Outcome<Part> {
    let (mut rows, mut asked_for) = (vec![], vec![]);
    for per_shard in [1, made_up::PER_SHARD] {
        let ligands = SHARDS * per_shard;
        let (seen, began) = fan_out(ligands).await?;
        let moment = |at: Option<DateTime<Utc>>| at.ok_or("the run did not come so far");
        let (planned, last) = (moment(seen.planned)?, moment(seen.last_report)?);
        let (aggregating, completed) = (moment(seen.aggregating)?, moment(seen.completed)?);
        let seconds = |from: DateTime<Utc>, to: DateTime<Utc>| (to - from).as_seconds_f64();
        let each = |count: u64| short(count as f64 / f64::from(ligands));
        let what = format!("{SHARDS} shards of {per_shard}");
        if per_shard == made_up::PER_SHARD {
            let documents = seen.documents as f64 / f64::from(ligands);
            asked_for.push(asked("documents for a ligand, at 50 a shard", DOCUMENTS_AT_MOST, documents, ""));
        }
        let waited = seconds(last, completed);
        asked_for.push(asked(&format!("last report to completed, {what}"), COMPLETED_WITHIN, waited, "s"));
        rows.push(vec![
            what,
            each(seen.documents),
            each(seen.writes),
            each(seen.objects),
            short(seconds(began, planned)),
            short(seconds(planned, last)),
            short(seconds(last, aggregating)),
            short(seconds(aggregating, completed)),
        ]);
    }
    let mut part = Part::new('g');
    part.table(&ASKED, &asked_for);
    let head = [
        "",
        "documents a ligand",
        "writes of documents a ligand",
        "objects a ligand",
        "to planned, s",
        "to the last report, s",
        "to all counted, s",
        "to completed, s",
    ];
    part.table(&head, &rows);
    part.note(
        "Objects are inputs, reports and results; the model's own files, which the workers would write, are not.",
    );
    Ok(part)
}

/// Lets a batch go from its document to its results.
async fn fan_out(ligands: u32) -> Outcome<(Seen, DateTime<Utc>)> {
    let place = Place::new()?;
    let store = place.store()?;
    let uid = made_up::user()?;
    place.account(&store, &uid).await?;
    let plan = json!({"shards": SHARDS, "items": ligands, "gpu_seconds": 1.0, "seconds": 1.0, "ready": false});
    let queued = json!({"status": "queued", "started_at": null, "plan": plan});
    let run = made_up::run(ligands, &queued)?;
    let mut lines = vec![];
    for index in 1..=ligands {
        serde_json::to_writer(&mut lines, &made_up::item(index))?;
        lines.push(b'\n');
    }
    let blobs = store.blobs();
    blobs.put_bytes(&places::library(&uid, &run.job_id)?, lines, PutOptions::default()).await?;
    blobs.put_bytes(&places::rejected(&uid, &run.job_id)?, "", PutOptions::default()).await?;
    let cloud = Cloud::new(&store, place.access.verifier(), &run);
    let began = now();
    store.docs().create(&places::job(&uid, &run.job_id), &run).await?;
    let seen = tokio::time::timeout(PATIENCE, cloud.run()).await.map_err(|_| "the batch did not end")??;
    Ok((seen, began))
}
