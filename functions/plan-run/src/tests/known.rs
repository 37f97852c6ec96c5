//! Ligands whose results the user has already: what is taken over, what is not, and what it costs.

use super::*;
use domain::{OutcomeStatus, ResultRow, ShardState};
use platform::BlobPath;
use service::{
    runs::{reports, reuse},
    testing::user,
};

/// A batch of so many ligands that has ended, with the structures its results name.
async fn ended(bench: &Bench, name: &str, ligands: u32) -> Run {
    let run = bench.finished(name, ligands).await;
    for index in 1..=ligands {
        let path = structure(&run, index);
        bench.world.blobs.put_bytes(&path, format!("data_{index}"), PutOptions::default()).await.unwrap();
    }
    run
}

fn structure(run: &Run, index: u32) -> BlobPath {
    places::item_file(&run.uid, &run.job_id, index, 1, "structure.cif").unwrap()
}

/// Lets the planner hear of the run until nothing changes.
async fn heard(bench: &Bench, run: &Run) -> Run {
    loop {
        let before = bench.run(run).await;
        let event = created(bench, run).await;
        assert_eq!(bench.tell(FUNCTION, event).await, StatusCode::NO_CONTENT);
        let after = bench.run(run).await;
        if after == before {
            return after;
        }
    }
}

async fn shard_states(bench: &Bench, run: &Run) -> Vec<(ShardState, u32)> {
    let mut states = vec![];
    for shard in 0..run.plan.as_ref().unwrap().all_shards() {
        let shard = bench.shard(run, shard).await;
        states.push((shard.state, shard.items));
    }
    states
}

/// A row without what tells runs apart.
fn values(row: &ResultRow) -> ResultRow {
    let (job_id, provenance) = Default::default();
    ResultRow { job_id, provenance, rank: None, cached: false, files: Default::default(), ..row.clone() }
}

#[tokio::test]
async fn of_known_and_new_ligands_only_the_new_ones_are_run_and_paid_for() {
    let bench = Bench::new().await;
    let whole = bench.submit("u2", 105).await;
    let first = ended(&bench, "u1", 100).await;
    let again = heard(&bench, &bench.submit("u1", 105).await).await;
    let plan = again.plan.clone().unwrap();
    assert_eq!((again.items, again.cached, plan.items, plan.known.items()), (105, 100, 5, 100));
    assert!(again.charged_gpu_seconds < whole.charged_gpu_seconds && again.charged_gpu_seconds > 0.0);
    let states = shard_states(&bench, &again).await;
    let of = |state| states.iter().filter(|shard| shard.0 == state).map(|shard| shard.1).sum::<u32>();
    assert_eq!((of(ShardState::Done), of(ShardState::Pending)), (100, 5));
    assert_eq!((again.status, again.progress.completed, again.progress.percent), (Status::Queued, 100, 95.2));
    let rows = bench.rows(&again).await;
    assert!(rows.len() == 100 && rows.iter().all(|row| row.cached));
    let mut before: Vec<_> = bench.rows(&first).await.iter().map(values).collect();
    let mut after: Vec<_> = rows.iter().map(values).collect();
    for rows in [&mut before, &mut after] {
        rows.sort_by_key(|row| row.row);
    }
    assert_eq!(before, after);
}

/// A batch of so many molecules, no two the same: ethers, amines and thioethers of two chains.
async fn library(bench: &Bench, ligands: usize) -> Run {
    let chain = |length: usize| "C".repeat(length);
    let pairs = (1..=27).flat_map(|short| (short..=27).map(move |long| (short, long)));
    let molecules = pairs.flat_map(|(a, b)| ["O", "N", "S"].map(|bridge| format!("{}{bridge}{}", chain(a), chain(b))));
    let rows: Vec<_> = molecules.take(ligands).map(|smiles| serde_json::json!({"smiles": smiles})).collect();
    let body = serde_json::json!({"model": "boltz2", "protein_sequence": SEQUENCE, "ligands": rows});
    let batch: BatchRequest = serde_json::from_value(body).unwrap();
    let Asked { submission, ligands, on_invalid } = batch.read(&bench.caller("u1"), &bench.world.settings).unwrap();
    submit::submit(&bench.world.submitting(), submission, ligands, on_invalid, None).await.unwrap()
}

/// Workers run every shard that waits, a minute each, and the results are written; the run, and how many items they ran.
async fn run_to_its_end(bench: &Bench, run: &Run) -> (Run, usize) {
    let mut ran = 0;
    for shard in 0..run.plan.as_ref().unwrap().all_shards() {
        if bench.shard(run, shard).await.done {
            continue;
        }
        bench.launch(run, &[shard]).await;
        bench.claim(run, shard).await;
        for index in bench.items(run, shard).await {
            bench.world.blobs.put_bytes(&structure(run, index), "data_", PutOptions::default()).await.unwrap();
            ran += 1;
        }
        bench.final_report(run, shard, 1).await;
        shards::refresh(&bench.world, &run.uid, &run.job_id, shard).await.unwrap();
    }
    shards::evaluate(&bench.world, &run.uid, &run.job_id).await.unwrap();
    (bench.finish(&bench.run(run).await).await, ran)
}

#[tokio::test]
async fn a_thousand_ligands_and_then_fifty_more_take_gpus_for_fifty() {
    let bench = Bench::with(|settings| settings.limits = false).await;
    let first = heard(&bench, &library(&bench, 1000).await).await;
    let (first, ran) = run_to_its_end(&bench, &first).await;
    assert_eq!((ran, first.cached, first.progress.completed), (1000, 0, 1000));
    let second = heard(&bench, &library(&bench, 1050).await).await;
    assert_eq!((second.cached, second.progress.completed), (1000, 1000));
    let to_run = second.plan.as_ref().unwrap().shards;
    let estimates = (first.cost.estimated_usd.unwrap(), second.cost.estimated_usd.unwrap());
    assert!(estimates.1 < 0.1 * estimates.0, "{estimates:?}");
    let (second, ran) = run_to_its_end(&bench, &second).await;
    assert_eq!((ran, second.cached, second.progress.completed), (50, 1000, 1050));
    assert_eq!(second.cost.gpu_seconds, 60.0 * f64::from(to_run), "what these fifty took");
    let third = heard(&bench, &library(&bench, 1050).await).await;
    let (third, ran) = run_to_its_end(&bench, &third).await;
    assert_eq!((ran, third.cost.gpu_seconds, third.progress.completed), (0, 0.0, 1050));
}

#[tokio::test]
async fn a_run_of_known_ligands_only_ends_without_a_worker() {
    let bench = Bench::new().await;
    ended(&bench, "u1", 7).await;
    let again = heard(&bench, &bench.submit("u1", 7).await).await;
    assert_eq!((again.status, again.dispatchable, again.cost.gpu_seconds), (Status::Aggregating, false, 0.0));
    assert_eq!((again.cached, again.charged_gpu_seconds, again.cost.estimated_usd), (7, 0.0, Some(0.0)));
    let again = bench.finish(&again).await;
    assert_eq!((again.status, again.summary.as_ref().unwrap().completed_jobs), (Status::Completed, 7));
    assert!(bench.rows(&bench.run(&again).await).await.iter().all(|row| row.cached));
}

#[tokio::test]
async fn one_prediction_is_answered_by_a_batch_and_a_batch_by_one_prediction() {
    let bench = Bench::new().await;
    let batch = ended(&bench, "u1", 1).await;
    let single = heard(&bench, &bench.predict("u1").await).await;
    assert_eq!((single.cached, single.status), (1, Status::Aggregating));
    let row = bench.rows(&bench.finish(&single).await).await.remove(0);
    assert_eq!((row.cached, row.provenance["computed_by"].as_str()), (true, batch.job_id.child(1).as_str()));
    service_purges(&bench, &batch).await;
    let again = heard(&bench, &bench.submit("u1", 2).await).await;
    assert_eq!(again.cached, 1);
    let row = bench.rows(&again).await.remove(0);
    assert_eq!(row.provenance["computed_by"], batch.job_id.child(1), "who computed it, not who copied it");
}

/// What purging a run removes.
async fn service_purges(bench: &Bench, run: &Run) {
    let gone = runs::cancel_or_purge(&bench.world, &bench.caller(run.uid.as_str()), &run.job_id, true).await.unwrap();
    assert!(gone.is_none());
}

#[tokio::test]
async fn a_purge_of_the_first_run_takes_nothing_from_the_second() {
    let bench = Bench::new().await;
    let first = ended(&bench, "u1", 7).await;
    let again = heard(&bench, &bench.submit("u1", 7).await).await;
    let again = bench.finish(&again).await;
    service_purges(&bench, &first).await;
    for index in 1..=7 {
        let found = runs::rows::one(&bench.world.docs, &bench.world.blobs, &again, index).await.unwrap();
        let row = found.unwrap().1.unwrap();
        let structure = places::own_artifact(&again.uid, &again.job_id, &row.files["cif"]).unwrap();
        let content = bench.world.blobs.get(&structure, 100).await.unwrap();
        assert_eq!(content, format!("data_{index}"), "the structure of the same ligand");
    }
    let third = bench.submit("u1", 7).await;
    assert_eq!(third.cached, 7, "the copies answer as well");
    service_purges(&bench, &again).await;
    assert_eq!(bench.submit("u1", 7).await.cached, 0);
    let left = bench.world.blobs.list(places::ARTIFACTS, "u1/cache/", None, 10).await.unwrap();
    assert!(left.is_empty(), "{left:?}");
    let third = heard(&bench, &third).await;
    let plan = third.plan.as_ref().unwrap();
    assert_eq!((third.cached, third.status, plan.known.gone), (0, Status::Queued, plan.known.shards()));
    assert!(third.dispatchable && third.charged_gpu_seconds > 0.0, "all of it is run after all");
    assert!(shard_states(&bench, &third).await.iter().all(|(state, _)| *state == ShardState::Pending));
}

#[tokio::test]
async fn a_worker_runs_only_what_is_gone() {
    let bench = Bench::new().await;
    let first = ended(&bench, "u1", 7).await;
    let again = bench.submit("u1", 7).await;
    bench.world.blobs.delete(&structure(&first, 3)).await.unwrap();
    let again = heard(&bench, &again).await;
    assert_eq!((again.cached, again.progress.completed, again.status), (6, 6, Status::Queued));
    bench.launch(&again, &[0]).await;
    let attempt = bench.claim(&again, 0).await;
    assert_eq!(attempt, 1, "the first worker's");
    let known = reports::earlier_outcomes(&bench.world.blobs, &again.uid, &again.job_id, 0).await.unwrap();
    let known: Vec<_> = known.into_iter().filter(|(_, outcome)| outcome.status == OutcomeStatus::Completed).collect();
    assert_eq!(known.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [1, 2, 4, 5, 6, 7]);
}

#[tokio::test]
async fn nobody_is_answered_with_anothers_results_or_with_those_to_another_question() {
    let bench = Bench::new().await;
    ended(&bench, "u1", 3).await;
    assert_eq!(bench.submit("u2", 3).await.cached, 0);
    assert_eq!(bench.submit("u1", 3).await.cached, 3);
    let asked = async |parameters| {
        let ligands: Vec<_> = (1..=3).map(|n| serde_json::json!({"smiles": smiles(n)})).collect();
        let body = serde_json::json!({"model": "boltz2", "protein_sequence": SEQUENCE, "ligands": ligands,
            "parameters": parameters});
        let batch: BatchRequest = serde_json::from_value(body).unwrap();
        let Asked { submission, ligands, on_invalid } = batch.read(&bench.caller("u1"), &bench.world.settings).unwrap();
        submit::submit(&bench.world.submitting(), submission, ligands, on_invalid, None).await.unwrap().cached
    };
    assert_eq!(asked(serde_json::json!({"seed": 1})).await, 3, "the default, written out");
    assert_eq!(asked(serde_json::json!({"seed": 2})).await, 0);
}

#[tokio::test]
async fn failed_items_are_tried_again() {
    let bench = Bench::new().await;
    let (run, _) = bench.running("u1", 3).await;
    for shard in 0..3 {
        let error = domain::ItemError::new("out_of_memory", "too large");
        let outcome = |index| match index {
            2 => domain::Outcome::failed(index, error.clone()),
            _ => service::testing::completed(&run, index, 1),
        };
        let outcomes = bench.items(&run, shard).await.into_iter().map(outcome).collect();
        bench.report(&run, shard, 1, true, outcomes).await;
        shards::refresh(&bench.world, &run.uid, &run.job_id, shard).await.unwrap();
    }
    shards::evaluate(&bench.world, &run.uid, &run.job_id).await.unwrap();
    bench.finish(&bench.run(&run).await).await;
    assert_eq!(bench.submit("u1", 3).await.cached, 2);
}

#[tokio::test]
async fn a_stand_ins_values_answer_only_where_it_would_be_asked_again() {
    let mut bench = Bench::new().await;
    let run = bench.aggregating("u1", 3).await;
    let question = run.question.clone().unwrap();
    bench.finish(&run).await;
    let real = places::answered_by(&run.uid, &question, false, &run.job_id).unwrap();
    let simulated = places::answered_by(&run.uid, &question, true, &run.job_id).unwrap();
    bench.world.blobs.copy(&real, &simulated).await.unwrap();
    bench.world.blobs.delete(&real).await.unwrap();
    assert_eq!(bench.submit("u1", 3).await.cached, 0);
    bench.set(|settings| settings.simulated_models = vec!["boltz2".into()]);
    assert_eq!(bench.submit("u1", 3).await.cached, 3);
    bench.world.blobs.copy(&simulated, &real).await.unwrap();
    reuse::withdraw(&bench.world.blobs, &run.uid, &run.job_id, run.question.as_deref()).await.unwrap();
    assert_eq!(bench.submit("u1", 3).await.cached, 0);
}

#[tokio::test]
async fn planning_known_ligands_twice_at_once_or_again_makes_the_same_shards() {
    let bench = Bench::new().await;
    ended(&bench, "u1", 7).await;
    let run = bench.submit("u1", 9).await;
    let (a, b) = (created(&bench, &run).await, created(&bench, &run).await);
    let (a, b) = tokio::join!(bench.tell(FUNCTION, a), bench.tell(FUNCTION, b));
    assert_eq!((a, b), (StatusCode::NO_CONTENT, StatusCode::NO_CONTENT));
    let planned = bench.run(&run).await;
    let states = shard_states(&bench, &planned).await;
    // As if it had died before the last step.
    let waiting = |run: &mut Run| run.plan.as_mut().is_some_and(|plan| std::mem::take(&mut plan.ready));
    bench.change(&run, waiting).await;
    bench
        .world
        .docs
        .commit(vec![Write::Delete { path: places::shard(&run.uid, &run.job_id, 2), version: None }])
        .await
        .unwrap();
    let again = heard(&bench, &run).await;
    assert_eq!(shard_states(&bench, &again).await, states);
    assert_eq!((again.cached, again.progress), (7, planned.progress));
    assert_eq!(
        bench.world.docs.find::<Run>(&places::job(&user("u1"), &run.job_id)).await.unwrap().unwrap().value,
        again
    );
}

#[tokio::test]
async fn what_was_listed_for_another_library_is_not_taken_over() {
    let bench = Bench::new().await;
    ended(&bench, "u1", 3).await;
    let run = bench.submit("u1", 3).await;
    let library = places::library(&run.uid, &run.job_id).unwrap();
    let text = String::from_utf8(bench.world.blobs.get(&library, 1 << 20).await.unwrap().to_vec()).unwrap();
    let other = text.replacen("\"CO\"", "\"CN\"", 1);
    assert_ne!(other, text);
    bench.world.blobs.put_bytes(&library, other, PutOptions::default()).await.unwrap();
    let run = heard(&bench, &run).await;
    assert_eq!((run.cached, run.status), (2, Status::Queued));
}

/// A batch of these ligands that has ended.
async fn ended_with(bench: &Bench, smiles: &[&str]) -> Run {
    let run = bench.plan(&bench.submit_these("u1", smiles).await).await;
    let run = bench.reported(bench.begun(run).await.0).await;
    bench.finish(&run).await
}

#[tokio::test]
async fn a_molecule_is_known_however_it_is_written_and_its_stereoisomers_and_isomers_are_not() {
    let bench = Bench::new().await;
    ended_with(&bench, &["OCC", "C[C@H](N)C(=O)O", "c1ccccc1O", "CCCO"]).await;
    let cached = async |smiles: &[&str]| bench.submit_these("u1", smiles).await.cached;
    assert_eq!(cached(&["CCO", "N[C@@H](C)C(O)=O", "Oc1ccccc1", "C(C)CO"]).await, 4, "other spellings");
    assert_eq!(cached(&["C[C@@H](N)C(=O)O", "CC(N)C(=O)O", "CC(C)O", "CCN"]).await, 0, "other molecules");
    let mixed = bench.submit_these("u1", &["CCN", "CCO", "C[C@@H](N)C(=O)O", "OCCC"]).await;
    assert_eq!((mixed.items, mixed.cached, mixed.plan.unwrap().items), (4, 2, 2));
}

#[tokio::test]
async fn a_large_run_answers_however_many_small_ones_came_after_it() {
    let bench = Bench::new().await;
    ended_with(&bench, &["CCO", "CCCO", "CCCCO"]).await;
    for carbons in 1..=40 {
        bench.wait(1);
        ended_with(&bench, &[&format!("{}N", "C".repeat(carbons))]).await;
    }
    assert_eq!(bench.submit_these("u1", &["CCO", "CCCO", "CCCCO"]).await.cached, 3);
}
