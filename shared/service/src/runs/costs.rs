//! What a run will take, told before it is run: from the model's built-in times, what was learned of them from finished
//! shards, and the library's sizes. A submission is planned by this, and an estimate tells the same.

use super::{library::Sizes, reports::REPORT_LIMIT, shards, submit::Ports};
use crate::{World, chain, places};
use domain::{
    CostProfile, JobId, Learned, MeasuredItem, Measurement, OutcomeStatus, Plan, Planning, Report, Run, Shard,
    SizeClass, Strategy, Timestamp, Uid,
    simulate::{Conditions, boltz_on_l4, simulate},
};
use models::{Accepted, Model};
use platform::{Docs, Result, Versioned};

/// What was learned is written at most this often, in seconds: the document is one for all shards of a model.
const LEARN_EVERY: f64 = 1.0;
/// The part of a shard's items that must have a result for its time to mean something.
const COMPLETED: f64 = 0.8;

/// What was learned of a model. Without it, as where it cannot be read, the built-in times hold.
pub async fn learned(docs: &Docs, model: &dyn Model) -> Option<Learned> {
    match docs.find::<Learned>(&places::profile(model.name())).await {
        Ok(learned) => learned.map(|learned| learned.value),
        Err(error) => {
            tracing::warn!(model = model.name(), error = %chain(&error), "what was learned of the model is not used");
            None
        }
    }
}

/// The same, as it was a moment ago: by what is estimated, a submission is planned.
pub async fn lately_learned(ports: &Ports<'_>, model: &dyn Model) -> Option<Learned> {
    let now = ports.clock.now();
    if let Some(known) = ports.recent.learned(model.name(), now) {
        return known;
    }
    let learned = learned(ports.docs, model).await;
    ports.recent.keep_learned(model.name(), now, learned.clone());
    learned
}

/// The plan of a run of these items.
pub fn plan(
    model: &dyn Model,
    accepted: &Accepted,
    sizes: &Sizes,
    learned: Option<&Learned>,
    strategy: Strategy,
    slots: u32,
) -> Plan {
    let (load_seconds, sizes) = classes(model, accepted, sizes, learned);
    Planning { sizes: &sizes, load_seconds, strategy, slots }.plan()
}

/// The share of the GPU time of these items that predicts nothing new, where their plan is played through with tasks lost
/// as usual; `None` where there is nothing to run.
pub fn waste(
    model: &dyn Model,
    accepted: &Accepted,
    sizes: &Sizes,
    learned: Option<&Learned>,
    strategy: Strategy,
    slots: u32,
) -> Option<f64> {
    let (load_seconds, sizes) = classes(model, accepted, sizes, learned);
    let plan = Planning { sizes: &sizes, load_seconds, strategy, slots }.plan();
    let conditions = Conditions { load_seconds, ..boltz_on_l4(slots) };
    (plan.shards > 0).then(|| simulate(&plan, &sizes, &conditions, 1).waste())
}

/// Seconds to load the model, and the items by size with the time that one of each takes.
fn classes(model: &dyn Model, accepted: &Accepted, sizes: &Sizes, learned: Option<&Learned>) -> (f64, Vec<SizeClass>) {
    let mut load_seconds = 0.0;
    let mut classes = vec![];
    for (most_atoms, class) in &sizes.0 {
        let heavy_atoms = class.heavy_atoms.div_ceil(u64::from(class.ligands.max(1))) as u32;
        let profile = times(model, accepted, heavy_atoms, learned);
        load_seconds = profile.load_seconds;
        classes.push(SizeClass { most_atoms: *most_atoms, items: class.ligands, item_seconds: profile.item_seconds });
    }
    (load_seconds, classes)
}

fn times(model: &dyn Model, accepted: &Accepted, heavy_atoms: u32, learned: Option<&Learned>) -> CostProfile {
    let built_in = model.profile(accepted.target_residues, heavy_atoms, &accepted.parameters);
    learned.map_or(built_in, |learned| learned.correct(built_in, accepted.target_residues, heavy_atoms))
}

/// Lets the model's times learn from a shard that was just found done. Learning is a help and never an obstacle: where
/// another shard taught a moment ago, somebody is faster, or something cannot be read, this shard teaches nothing.
pub async fn learn(world: &World, uid: &Uid, job: &JobId, shard: &Shard) {
    if let Err(error) = try_to_learn(world, uid, job, shard).await
        && !error.is_race()
    {
        tracing::warn!(job.id = %job, shard = shard.shard, error = %chain(&error), "nothing learned from a shard");
    }
}

async fn try_to_learn(world: &World, uid: &Uid, job: &JobId, shard: &Shard) -> Result<()> {
    let Some(run) = world.docs.find::<Run>(&places::job(uid, job)).await?.map(|run| run.value) else { return Ok(()) };
    let Some(model) = models::find(&run.model) else { return Ok(()) };
    let (path, now) = (places::profile(model.name()), Timestamp::from(world.clock.now()));
    let known = world.docs.find::<Learned>(&path).await?;
    let recent = |known: &Versioned<Learned>| now.seconds_since(known.value.updated_at) < LEARN_EVERY;
    if known.as_ref().is_some_and(recent) {
        return Ok(());
    }
    let Some(measured) = measurement(world, &run, model, shard).await? else { return Ok(()) };
    let mut learned = known.as_ref().map_or_else(|| Learned::new(now), |known| known.value.clone());
    if !learned.learn(&measured, now) {
        return Ok(());
    }
    let taught = learned.clone();
    match known {
        Some(known) => world.docs.replace(&Versioned { value: learned, ..known }).await,
        None => world.docs.create(&path, &learned).await,
    }?;
    world.recent.keep_learned(model.name(), world.clock.now(), Some(taught));
    Ok(())
}

/// What a shard's last report tells of times. Nothing where not one undisturbed attempt on the pool's GPUs ran all of it,
/// or where a stand-in made any of its results, or any was taken over.
async fn measurement(world: &World, run: &Run, model: &dyn Model, shard: &Shard) -> Result<Option<Measurement>> {
    let Some(report) = shard.report.as_ref().filter(|_| shard.attempt == 1) else { return Ok(None) };
    let report = places::own_report(&run.uid, report)?;
    let report = world.blobs.get_json::<Report>(&report, REPORT_LIMIT).await?;
    let Some(timing) = report.timing.filter(|timing| timing.device == places::GPU) else { return Ok(None) };
    let items = shards::input(&world.blobs, &run.uid, &run.job_id, shard.shard).await?.items;
    let not_run = report.outcomes.iter().any(|outcome| outcome.simulated || outcome.cached);
    let completed = report.outcomes.iter().filter(|outcome| outcome.status == OutcomeStatus::Completed).count();
    let again = timing.starts as usize > items.len().div_ceil(model.group());
    if not_run || again || (completed as f64) < COMPLETED * items.len() as f64 {
        return Ok(None);
    }
    let built_in = |heavy_atoms| model.profile(run.target_residues, heavy_atoms, &run.parameters);
    let item = |heavy_atoms| MeasuredItem { heavy_atoms, expected_seconds: built_in(heavy_atoms).item_seconds };
    Ok(Some(Measurement {
        target_residues: run.target_residues,
        gpu_seconds: report.gpu_seconds,
        load_seconds: timing.load_seconds,
        expected_load_seconds: built_in(0).load_seconds,
        items: items.iter().map(|known| item(known.heavy_atoms)).collect(),
    }))
}
