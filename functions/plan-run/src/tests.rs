use super::*;
use axum::{body::Body as HttpBody, http::Request};
use platform::{Write, docs::Body};
use service::{
    runs::{
        requests::{Asked, BatchRequest},
        submit,
    },
    testing::{Bench, SEQUENCE, post_event, router as served, smiles},
};

mod known;

async fn created(bench: &Bench, run: &Run) -> Request<HttpBody> {
    bench.document_event(&places::job(&run.uid, &run.job_id)).await
}

/// Every shard's document and the indices of its items.
async fn shards_of(bench: &Bench, run: &Run) -> Vec<(Shard, Vec<u32>)> {
    let mut found = vec![];
    for shard in 0..run.plan.as_ref().unwrap().shards {
        found.push((bench.shard(run, shard).await, bench.items(run, shard).await));
    }
    found
}

async fn planned(bench: &Bench) -> Run {
    let run = bench.submit("u1", 7).await;
    let event = created(bench, &run).await;
    assert_eq!(bench.tell(FUNCTION, event).await, StatusCode::NO_CONTENT);
    bench.run(&run).await
}

async fn count(bench: &Bench, run: &Run) -> u64 {
    bench.world.docs.count(&Query::collection(places::shards(&run.uid, &run.job_id))).await.unwrap()
}

#[tokio::test]
async fn every_ligand_is_in_one_shard_and_the_dispatcher_is_woken() {
    let bench = Bench::new().await;
    let run = planned(&bench).await;
    let shards = shards_of(&bench, &run).await;
    assert_eq!(shards.iter().map(|(shard, _)| shard.items).collect::<Vec<_>>(), [3, 2, 2]);
    let items: Vec<_> = shards.into_iter().flat_map(|(_, items)| items).collect();
    assert_eq!(items, [1, 2, 3, 4, 5, 6, 7]);
    assert!(run.dispatchable && run.plan.unwrap().ready && run.status == Status::Queued);
    assert_eq!(bench.published(places::DISPATCH).await, 1);
}

#[tokio::test]
async fn a_single_prediction_is_one_shard_of_one() {
    let bench = Bench::new().await;
    let run = bench.predict("u1").await;
    let event = created(&bench, &run).await;
    bench.tell(FUNCTION, event).await;
    let shards = shards_of(&bench, &run).await;
    assert_eq!((shards.len(), shards[0].1.as_slice()), (1, [1].as_slice()));
}

#[tokio::test]
async fn the_event_told_again_leaves_a_shard_that_a_worker_holds_as_it_is() {
    let bench = Bench::new().await;
    let run = bench.submit("u1", 7).await;
    let (first, again) = (created(&bench, &run).await, created(&bench, &run).await);
    bench.tell(FUNCTION, first).await;
    bench.launch(&run, &[0]).await;
    bench.claim(&run, 0).await;
    let before = (bench.run(&run).await, shards_of(&bench, &run).await);
    assert_eq!(bench.tell(FUNCTION, again).await, StatusCode::NO_CONTENT);
    assert_eq!((bench.run(&run).await, shards_of(&bench, &run).await), before);
}

#[tokio::test]
async fn planning_twice_at_once_makes_the_same_shards_as_once() {
    let (once, twice) = (Bench::new().await, Bench::new().await);
    let expected = planned(&once).await;
    let run = twice.submit("u1", 7).await;
    let (a, b) = (created(&twice, &run).await, created(&twice, &run).await);
    let (a, b) = tokio::join!(twice.tell(FUNCTION, a), twice.tell(FUNCTION, b));
    assert_eq!((a, b), (StatusCode::NO_CONTENT, StatusCode::NO_CONTENT));
    assert_eq!(shards_of(&twice, &run).await, shards_of(&once, &expected).await);
    assert_eq!(count(&twice, &run).await, 3);
    assert!(twice.run(&run).await.dispatchable);
}

#[tokio::test]
async fn a_planning_that_died_half_way_is_finished_by_the_next() {
    let (whole, died) = (Bench::new().await, Bench::new().await);
    let expected = planned(&whole).await;
    let run = died.submit("u1", 7).await;
    let shard = |k: u32, items: u32| Shard::new(k, items, died.now());
    died.world.docs.create(&places::shard(&run.uid, &run.job_id, 1), &shard(1, 2)).await.unwrap();
    let half_written = places::shard_input(&run.uid, &run.job_id, 0).unwrap();
    died.world.blobs.put_bytes(&half_written, "{}", PutOptions::default()).await.unwrap();
    let event = created(&died, &run).await;
    assert_eq!(died.tell(FUNCTION, event).await, StatusCode::NO_CONTENT);
    assert_eq!(shards_of(&died, &run).await, shards_of(&whole, &expected).await);
    assert!(died.run(&run).await.dispatchable);
}

#[tokio::test]
async fn what_an_interrupted_planning_wrote_is_not_written_again() {
    let bench = Bench::new().await;
    let run = planned(&bench).await;
    let waiting = |run: &mut Run| run.plan.as_mut().is_some_and(|plan| std::mem::take(&mut plan.ready));
    let run = bench.change(&run, waiting).await;
    let inputs: Vec<_> = (0..3).map(|shard| places::shard_input(&run.uid, &run.job_id, shard).unwrap()).collect();
    bench.world.blobs.delete(&inputs[1]).await.unwrap();
    let generations = async || {
        let mut found = vec![];
        for input in &inputs {
            found.push(bench.world.blobs.head(input).await.unwrap().map(|meta| meta.generation));
        }
        found
    };
    let before = generations().await;
    let event = created(&bench, &run).await;
    assert_eq!(bench.tell(FUNCTION, event).await, StatusCode::NO_CONTENT);
    let after = generations().await;
    assert_eq!(((after[0], after[2]), after[1].is_some()), ((before[0], before[2]), true));
    assert!(bench.run(&run).await.plan.unwrap().ready);
}

#[tokio::test]
async fn a_run_cancelled_before_its_event_came_is_not_planned() {
    let bench = Bench::new().await;
    let run = bench.submit("u1", 7).await;
    let late = created(&bench, &run).await;
    let now = bench.now();
    let run = bench.change(&run, |run| run.cancel(now)).await;
    let cancelled = created(&bench, &run).await;
    for event in [late, cancelled] {
        assert_eq!(bench.tell(FUNCTION, event).await, StatusCode::NO_CONTENT);
    }
    assert_eq!((count(&bench, &run).await, bench.run(&run).await), (0, run));
}

#[tokio::test]
async fn a_run_that_is_purged_or_never_had_a_plan_is_left_alone() {
    let bench = Bench::new().await;
    let run = bench.submit("u1", 2).await;
    let run = bench.change(&run, |run| run.plan.take().is_some()).await;
    let event = created(&bench, &run).await;
    assert_eq!(bench.tell(FUNCTION, event).await, StatusCode::NO_CONTENT);
    assert!(!bench.run(&run).await.dispatchable);
    let event = created(&bench, &run).await;
    let gone = Write::Delete { path: places::job(&run.uid, &run.job_id), version: None };
    bench.world.docs.commit(vec![gone]).await.unwrap();
    assert_eq!(bench.tell(FUNCTION, event).await, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_library_shorter_than_its_plan_is_an_error_and_no_short_run() {
    let bench = Bench::new().await;
    let run = bench.submit("u1", 7).await;
    let path = places::library(&run.uid, &run.job_id).unwrap();
    let text = String::from_utf8(bench.world.blobs.get(&path, 1 << 20).await.unwrap().to_vec()).unwrap();
    let short: Vec<_> = text.lines().take(6).collect();
    bench.world.blobs.put_bytes(&path, short.join("\n"), PutOptions::default()).await.unwrap();
    let event = created(&bench, &run).await;
    assert!(bench.tell(FUNCTION, event).await.is_server_error());
    let run = bench.run(&run).await;
    assert!(!run.dispatchable && !run.plan.unwrap().ready);
}

#[tokio::test]
async fn what_is_no_document_event_is_refused() {
    let bench = Bench::new().await;
    let request = Request::post("/").body(HttpBody::from("{}")).unwrap();
    assert_eq!(post_event(served(FUNCTION, &bench.world), request).await, StatusCode::BAD_REQUEST);
    let event = bench.object_event(&bench.put(places::REPORTS, "x", "x").await).await;
    assert_eq!(bench.tell(FUNCTION, event).await, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_document_that_is_no_run_is_an_error() {
    let bench = Bench::new().await;
    let path = platform::Collection::root("users").doc("u1").collection("jobs").doc("j");
    let body = Body::from_iter([("status".to_owned(), "queued".into())]);
    bench.world.docs.create(&path, &body).await.unwrap();
    let event = bench.document_event(&path).await;
    assert!(bench.tell(FUNCTION, event).await.is_server_error());
}

#[tokio::test]
async fn what_is_planned_of_a_run_that_was_purged_meanwhile_is_removed() {
    let bench = Bench::new().await;
    let run = bench.submit("u1", 7).await;
    let library = places::library(&run.uid, &run.job_id).unwrap();
    let event = bench.document_event(&places::job(&run.uid, &run.job_id)).await;
    let kept = bench.world.blobs.get(&library, 1 << 20).await.unwrap();
    write_shards(&bench.world, &run).await.unwrap();
    let path = places::job(&run.uid, &run.job_id);
    bench.world.docs.commit(vec![Write::Delete { path, version: None }]).await.unwrap();
    bench.world.blobs.put_bytes(&library, kept, PutOptions::default()).await.unwrap();
    plan(&bench.world, run.clone()).await.unwrap();
    assert_eq!(bench.tell(FUNCTION, event).await, StatusCode::NO_CONTENT);
    let shards = Query::collection(places::shards(&run.uid, &run.job_id));
    let objects = bench.world.blobs.list(places::ARTIFACTS, &places::run_prefix(&run.uid, &run.job_id), None, 9).await;
    assert_eq!((bench.world.docs.count(&shards).await.unwrap(), objects.unwrap().len()), (0, 0));
}

#[tokio::test]
async fn ligands_of_like_size_share_shards_and_every_one_is_still_found_by_its_index() {
    let bench = Bench::new().await;
    let run = bench.submit("u1", 60).await;
    let group = |most_atoms, items, shards| Group { most_atoms, items, shards };
    // The ligand of index n has n + 1 heavy atoms.
    let groups = [group(15, 14, 3), group(35, 20, 4), group(128, 26, 6)];
    let run = bench.change(&run, |run| {
        let plan = run.plan.as_mut().unwrap();
        (plan.shards, plan.groups) = (13, groups.to_vec());
        true
    });
    let run = run.await;
    let library = places::library(&run.uid, &run.job_id).unwrap();
    let text = String::from_utf8(bench.world.blobs.get(&library, 1 << 20).await.unwrap().to_vec()).unwrap();
    let shuffled: Vec<_> = (0..60).map(|n| text.lines().nth(n * 7 % 60).unwrap()).collect();
    let renumbered = shuffled.iter().zip(1..).map(|(line, index)| {
        let item: Item = serde_json::from_str(line).unwrap();
        serde_json::to_string(&Item { index, ..item }).unwrap() + "\n"
    });
    bench.world.blobs.put_bytes(&library, renumbered.collect::<String>(), PutOptions::default()).await.unwrap();
    let event = created(&bench, &run).await;
    assert_eq!(bench.tell(FUNCTION, event).await, StatusCode::NO_CONTENT);
    let run = bench.run(&run).await;
    let mut seen = vec![];
    for (shard, items) in shards_of(&bench, &run).await {
        assert_eq!(shard.items as usize, items.len());
        assert!(items.is_sorted(), "in the order of the library");
        let group = [0..3, 3..7, 7..13].iter().position(|shards| shards.contains(&shard.shard)).unwrap();
        for index in items {
            let found = runs::rows::one(&bench.world.docs, &bench.world.blobs, &run, index).await.unwrap();
            let item = found.unwrap().0;
            assert_eq!(
                (item.index, groups.iter().position(|g| item.heavy_atoms <= g.most_atoms)),
                (index, Some(group))
            );
            seen.push(index);
        }
    }
    seen.sort_unstable();
    assert_eq!(seen, (1..=60).collect::<Vec<_>>());
    let beyond = runs::rows::one(&bench.world.docs, &bench.world.blobs, &run, 61).await.unwrap();
    assert!(beyond.is_none());
}

#[tokio::test]
async fn the_targets_alignment_is_one_object_that_every_shard_uses() {
    let bench = Bench::new().await;
    let alignment = format!(">target\n{SEQUENCE}\n>hit\n{}\n", SEQUENCE.replace('K', "R"));
    let ligands: Vec<_> = (1..=7).map(|n| serde_json::json!({"smiles": smiles(n)})).collect();
    let body = serde_json::json!({"model": "boltz2", "protein_sequence": SEQUENCE, "ligands": ligands,
        "strategy": "parallel", "inputs": {"msa": alignment}});
    let batch: BatchRequest = serde_json::from_value(body).unwrap();
    let Asked { submission, ligands, on_invalid } = batch.read(&bench.caller("u1"), &bench.world.settings).unwrap();
    let run = submit::submit(&bench.world.submitting(), submission, ligands, on_invalid, None).await.unwrap();
    let event = created(&bench, &run).await;
    assert_eq!(bench.tell(FUNCTION, event).await, StatusCode::NO_CONTENT);
    let mut holding = vec![];
    let all = places::run_prefix(&run.uid, &run.job_id);
    for object in bench.world.blobs.list(places::ARTIFACTS, &all, None, 100).await.unwrap() {
        let text = String::from_utf8(bench.world.blobs.get(&object.path, 1 << 20).await.unwrap().to_vec()).unwrap();
        holding.extend(text.contains(">hit").then(|| object.path.clone()));
    }
    assert_eq!(holding, [places::input_file(&run.uid, &run.job_id, "msa.a3m").unwrap()]);
    let run = bench.run(&run).await;
    assert_eq!((run.plan.unwrap().shards, run.input_files.as_slice()), (3, ["msa.a3m".to_owned()].as_slice()));
    assert_eq!(run.input["msa"], "msa.a3m", "what the worker stages names the one file, for every ligand");
}
