use super::*;
use axum::{body::Body, http::Request};
use domain::{Run, Status, Tier};
use platform::{BlobPath, PutOptions};
use service::testing::{Bench, SEQUENCE, post_event, router as served, user};
use std::io::Write;

const LIBRARY: &str = "name,smiles\nethanol,CCO\npropanol,CCCO\nbroken,C(\n";

/// Writes a file and delivers its event.
async fn upload(bench: &Bench, name: &str, text: &str) -> BlobPath {
    let path = bench.put(places::UPLOADS, name, text).await;
    tell(bench, &path).await;
    path
}

async fn tell(bench: &Bench, path: &BlobPath) {
    let event = bench.object_event(path).await;
    assert_eq!(bench.tell(FUNCTION, event).await, StatusCode::NO_CONTENT, "{path}");
}

fn fasta() -> String {
    format!(">target\n{SEQUENCE}\n")
}

async fn only(bench: &Bench, user: &str) -> Run {
    let mut runs = bench.runs(user).await;
    assert_eq!(runs.len(), 1, "{runs:?}");
    runs.remove(0)
}

/// The failed run that says what is wrong with a folder.
async fn refusal(files: &[(&str, &str)]) -> (String, String) {
    let bench = Bench::new().await;
    for (name, text) in files {
        upload(&bench, &format!("u1/screen/{name}"), text).await;
    }
    let run = only(&bench, "u1").await;
    assert_eq!(
        (run.status, run.completed_at, run.plan.is_some_and(|plan| plan.ready)),
        (Status::Failed, Some(bench.now()), false)
    );
    assert_eq!(run.name.as_deref(), Some("screen/library.csv"), "its owner can tell which upload it was");
    let error = run.error.unwrap();
    (error.code, error.message)
}

#[tokio::test]
async fn a_library_and_then_its_target_are_a_screen() {
    let bench = Bench::new().await;
    upload(&bench, "u1/abl1/library.csv", LIBRARY).await;
    assert!(bench.runs("u1").await.is_empty(), "it waits for its target");
    upload(&bench, "u1/abl1/target.fasta", &fasta()).await;
    let run = only(&bench, "u1").await;
    assert_eq!((run.status, run.items, run.rejected, run.model.as_str()), (Status::Queued, 2, 1, "boltz2"));
    assert_eq!(
        (run.source, run.name.as_deref()),
        (Source::Upload("u1/abl1/library.csv".into()), Some("abl1/library.csv"))
    );
    assert_eq!(run.input["protein_sequence"], SEQUENCE);
}

#[tokio::test]
async fn a_library_that_cannot_be_taken_in_keeps_no_other_of_its_folder_waiting() {
    let bench = Bench::new().await;
    let broken = bench.put(places::UPLOADS, "u1/abl1/a.csv", LIBRARY).await;
    bench.put(places::UPLOADS, "u1/abl1/b.csv", LIBRARY).await;
    let generation = bench.world.blobs.head(&broken).await.unwrap().unwrap().generation;
    let unreadable = places::job(&user("u1"), &job_id(&broken, generation).unwrap());
    bench.world.docs.create(&unreadable, &serde_json::json!({"status": "no run"})).await.unwrap();
    let target = bench.put(places::UPLOADS, "u1/abl1/target.fasta", &fasta()).await;
    let event = bench.object_event(&target).await;
    assert_eq!(bench.tell(FUNCTION, event).await, StatusCode::INTERNAL_SERVER_ERROR, "it is told again");
    let runs = bench.world.docs.readable::<Run>(&platform::Query::collection(places::jobs(&user("u1")))).await;
    let sources: Vec<_> = runs.unwrap().into_iter().map(|run| run.value.source).collect();
    assert_eq!(sources, [Source::Upload("u1/abl1/b.csv".into())]);
}

#[tokio::test]
async fn a_library_that_disappears_between_its_event_and_its_reading_is_a_failed_run_that_says_so() {
    let bench = Bench::new().await;
    let library = bench.put(places::UPLOADS, "u1/screen/library.csv", LIBRARY).await;
    let target = bench.put(places::UPLOADS, "u1/screen/target.fasta", &fasta()).await;
    let blobs = &bench.world.blobs;
    let (library, target) = (blobs.head(&library).await.unwrap().unwrap(), blobs.head(&target).await.unwrap());
    let settings = read(blobs, None, target.as_ref()).await.unwrap();
    blobs.delete(&library.path).await.unwrap();
    for _ in 0..2 {
        start(&bench.world, &user("u1"), &library, settings.clone()).await.unwrap();
    }
    let run = only(&bench, "u1").await;
    let error = run.error.unwrap();
    assert_eq!((run.status, run.name.as_deref()), (Status::Failed, Some("screen/library.csv")));
    let told = (error.code.as_str(), error.message.as_str());
    assert_eq!(told, ("unreadable_library", "it was removed or replaced before it was read"));
}

#[tokio::test]
async fn a_target_and_then_its_library_are_the_same_screen() {
    let bench = Bench::new().await;
    upload(&bench, "u1/abl1/target.fasta", &fasta()).await;
    assert!(bench.runs("u1").await.is_empty());
    upload(&bench, "u1/abl1/library.csv", LIBRARY).await;
    assert_eq!(only(&bench, "u1").await.items, 2);
}

#[tokio::test]
async fn settings_without_a_target_wait_for_it_in_whatever_order_files_come() {
    let settings = "batch_name: kinase panel\nparameters: {seed: 7}\n";
    let files = [("library.csv", LIBRARY), ("screen.yaml", settings), ("target.fasta", &fasta())];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let bench = Bench::new().await;
        for file in order {
            let (name, text) = files[file];
            bench.put(places::UPLOADS, &format!("u1/abl1/{name}"), text).await;
        }
        for file in order {
            tell(&bench, &BlobPath::new(places::UPLOADS, format!("u1/abl1/{}", files[file].0)).unwrap()).await;
        }
        let run = only(&bench, "u1").await;
        assert_eq!((run.status, run.name.as_deref()), (Status::Queued, Some("kinase panel")), "{order:?}");
        assert_eq!(run.parameters["seed"], 7);
    }
    let bench = Bench::new().await;
    for (name, text) in [files[0], files[1]] {
        upload(&bench, &format!("u1/abl1/{name}"), text).await;
    }
    assert!(bench.runs("u1").await.is_empty(), "the target is still on its way");
    upload(&bench, "u1/abl1/target.fasta", &fasta()).await;
    assert_eq!(only(&bench, "u1").await.status, Status::Queued);
}

#[tokio::test]
async fn settings_may_say_everything_a_submission_may() {
    let bench = Bench::new().await;
    let settings = format!(
        "model: chai1\ninputs:\n  chains:\n  - {{type: protein, sequence: {SEQUENCE}}}\npriority: high\n\
         strategy: parallel\nmax_concurrent: 2\nbatch_name: ABL1\n"
    );
    upload(&bench, "u1/abl1/screen.yaml", &settings).await;
    upload(&bench, "u1/abl1/library.csv", LIBRARY).await;
    let run = only(&bench, "u1").await;
    assert_eq!((run.status, run.model.as_str(), run.name.as_deref()), (Status::Queued, "chai1", Some("ABL1")));
    assert_eq!((run.priority, run.max_concurrent), (domain::Priority::High, Some(2)));
}

#[tokio::test]
async fn an_event_told_twice_or_at_once_is_one_run() {
    let bench = Bench::new().await;
    let library = bench.put(places::UPLOADS, "u1/abl1/library.csv", LIBRARY).await;
    let target = bench.put(places::UPLOADS, "u1/abl1/target.fasta", &fasta()).await;
    tokio::join!(tell(&bench, &library), tell(&bench, &target), tell(&bench, &library));
    let run = only(&bench, "u1").await;
    let now = bench.now();
    let running = bench.change(&run, |run| run.start(now)).await;
    bench.wait(60);
    tell(&bench, &library).await;
    tell(&bench, &target).await;
    assert_eq!(only(&bench, "u1").await, running, "a late event leaves it as it is");
}

#[tokio::test]
async fn the_same_name_uploaded_again_is_a_second_run() {
    let bench = Bench::new().await;
    upload(&bench, "u1/abl1/target.fasta", &fasta()).await;
    upload(&bench, "u1/abl1/library.csv", LIBRARY).await;
    upload(&bench, "u1/abl1/library.csv", LIBRARY).await;
    assert_eq!(bench.runs("u1").await.len(), 2);
}

/// Cancels and purges a run as its owner would.
async fn purge(bench: &Bench, run: &Run) {
    let now = bench.now();
    bench.change(run, |run| run.cancel(now)).await;
    service::runs::cancel_or_purge(&bench.world, &bench.caller("u1"), &run.job_id, true).await.unwrap();
}

#[tokio::test]
async fn a_purged_screen_is_not_brought_back_by_any_event_of_its_folder() {
    let bench = Bench::new().await;
    let target = upload(&bench, "u1/abl1/target.fasta", &fasta()).await;
    let library = upload(&bench, "u1/abl1/library.csv", LIBRARY).await;
    let late = bench.object_event(&library).await;
    let purged = only(&bench, "u1").await;
    purge(&bench, &purged).await;
    assert_eq!(bench.tell(FUNCTION, late).await, StatusCode::NO_CONTENT);
    tell(&bench, &target).await;
    upload(&bench, "u1/abl1/more.csv", LIBRARY).await;
    assert_ne!(only(&bench, "u1").await.job_id, purged.job_id);
}

#[tokio::test]
async fn a_handler_that_a_purge_has_overtaken_brings_nothing_back() {
    let bench = Bench::new().await;
    upload(&bench, "u1/abl1/target.fasta", &fasta()).await;
    let library = upload(&bench, "u1/abl1/library.csv", LIBRARY).await;
    let purged = only(&bench, "u1").await;
    purge(&bench, &purged).await;
    let ports = bench.world.submitting();
    let row = chem::LibraryRow { row: 1, name: None, smiles: "CCO".into() };
    let slow = screen::bare(&purged.uid, &library);
    let late = intake::submit_upload(&ports, slow, purged.job_id.clone(), Ligands::Rows(vec![row])).await.unwrap();
    assert!(late.is_none() && bench.runs("u1").await.is_empty());
    let left = bench.world.blobs.list(places::ARTIFACTS, "u1/", None, 10).await.unwrap();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn purging_a_screen_leaves_a_newer_library_of_its_name() {
    let bench = Bench::new().await;
    upload(&bench, "u1/abl1/target.fasta", &fasta()).await;
    upload(&bench, "u1/abl1/library.csv", LIBRARY).await;
    let first = only(&bench, "u1").await;
    let newer = bench.put(places::UPLOADS, "u1/abl1/library.csv", "name,smiles\nethanol,CCO\n").await;
    purge(&bench, &first).await;
    tell(&bench, &newer).await;
    assert_eq!(only(&bench, "u1").await.items, 1);
}

#[tokio::test]
async fn each_library_of_a_folder_is_a_screen_of_its_own() {
    let bench = Bench::new().await;
    bench.put(places::UPLOADS, "u1/abl1/a.csv", LIBRARY).await;
    bench.put(places::UPLOADS, "u1/abl1/b.smi", "CCO ethanol\n").await;
    bench.put(places::UPLOADS, "u1/abl1/deeper/c.smi", "CCO ethanol\n").await;
    bench.put(places::UPLOADS, "u1/abl10/d.smi", "CCO ethanol\n").await;
    upload(&bench, "u1/abl1/target.fasta", &fasta()).await;
    let mut items: Vec<_> = bench.runs("u1").await.into_iter().map(|run| run.items).collect();
    items.sort_unstable();
    assert_eq!(items, [1, 2]);
}

#[tokio::test]
async fn a_folder_that_is_no_screen_is_a_failed_run_that_says_why() {
    let target = fasta();
    let said = async |files: &[(&str, &str)], code: &str, words: &str| {
        let (found, message) = refusal(files).await;
        assert_eq!(found, code, "{message}");
        assert!(message.contains(words), "{message}");
    };
    let library = ("library.csv", LIBRARY);
    let good = ("target.fasta", target.as_str());
    said(&[("screen.yaml", "model: [boltz2"), library], "unreadable_screen", "screen.yaml").await;
    said(&[("screen.yaml", "modell: boltz2"), good, library], "unreadable_screen", "modell").await;
    said(&[("screen.yaml", "model: alphafold"), good, library], "invalid_screen", "chai1").await;
    said(&[("screen.yaml", "parameters: {seed: x}"), good, library], "invalid_screen", "/parameters/seed").await;
    said(&[("screen.yaml", "max_concurrent: 0"), good, library], "invalid_screen", "/max_concurrent").await;
    said(&[("target.fasta", ">a\nMKTAY1IAKQRQISF\n"), library], "unreadable_screen", "target.fasta").await;
    said(&[("target.fasta", ">a\nMKT\n"), library], "unreadable_screen", "target.fasta").await;
    let two = format!("{target}{target}");
    said(&[("target.fasta", &two), library], "unreadable_screen", "2 sequences").await;
    said(&[good, ("library.csv", "")], "unreadable_library", "").await;
    said(&[good, ("library.csv", "name,smiles\nx,C(\ny,Q\n")], "no_valid_ligand", "2 rows").await;
    said(&[("screen.yaml", "on_invalid: reject"), good, library], "invalid_rows", "row 3").await;
    said(&[("screen.yaml", "max_cost_usd: 0.0001"), good, library], "over_budget", "US dollars").await;
}

#[tokio::test]
async fn what_lies_outside_a_users_folders_is_ignored() {
    let bench = Bench::new().await;
    upload(&bench, "library.csv", LIBRARY).await;
    upload(&bench, "u1/library.csv", LIBRARY).await;
    upload(&bench, "u1/target.fasta", &fasta()).await;
    upload(&bench, ".x/abl1/library.csv", LIBRARY).await;
    bench.put(places::UPLOADS, "u1/abl1/target.fasta", &fasta()).await;
    let elsewhere = bench.put(places::ARTIFACTS, "u1/abl1/library.csv", LIBRARY).await;
    tell(&bench, &elsewhere).await;
    assert!(bench.runs("u1").await.is_empty());
}

#[tokio::test]
async fn a_screen_belongs_to_the_user_whose_folder_it_is() {
    let bench = Bench::new().await;
    bench.put(places::UPLOADS, "u1/abl1/target.fasta", &fasta()).await;
    upload(&bench, "u2/abl1/library.csv", LIBRARY).await;
    assert!(bench.runs("u2").await.is_empty(), "another user's target is none");
    upload(&bench, "u2/abl1/target.fasta", &fasta()).await;
    assert_eq!(only(&bench, "u2").await.uid, user("u2"));
    assert!(bench.runs("u1").await.is_empty());
}

#[tokio::test]
async fn a_library_deleted_before_its_event_came_is_no_run() {
    let bench = Bench::new().await;
    bench.put(places::UPLOADS, "u1/abl1/target.fasta", &fasta()).await;
    let library = bench.put(places::UPLOADS, "u1/abl1/library.csv", LIBRARY).await;
    let event = bench.object_event(&library).await;
    bench.world.blobs.delete(&library).await.unwrap();
    assert_eq!(bench.tell(FUNCTION, event).await, StatusCode::NO_CONTENT);
    assert!(bench.runs("u1").await.is_empty());
}

#[tokio::test]
async fn a_bucket_that_is_not_ours_and_what_is_no_event_are_refused() {
    let mut bench = Bench::with(|settings| settings.bucket_prefix = "hub-".into()).await;
    bench.put(places::UPLOADS, "u1/abl1/target.fasta", &fasta()).await;
    upload(&bench, "u1/abl1/library.csv", LIBRARY).await;
    let library = BlobPath::new(places::UPLOADS, "u1/abl1/library.csv").unwrap();
    let ours = bench.object_event(&library).await;
    bench.set(|settings| settings.bucket_prefix = "other-".into());
    assert_eq!(bench.tell(FUNCTION, ours).await, StatusCode::BAD_REQUEST);
    let request = Request::post("/").body(Body::from("{}")).unwrap();
    assert_eq!(post_event(served(FUNCTION, &bench.world), request).await, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_library_its_owners_limits_leave_no_room_for_says_so_and_stays() {
    let bench = Bench::new().await;
    bench.change_account("u1", |account| account.tier = Some(Tier::Default)).await;
    upload(&bench, "u1/abl1/target.fasta", &fasta()).await;
    upload(&bench, "u1/abl1/first.csv", LIBRARY).await;
    let second = upload(&bench, "u1/abl1/second.csv", LIBRARY).await;
    tell(&bench, &second).await;
    let runs = bench.runs("u1").await;
    let failed: Vec<_> = runs.iter().filter_map(|run| run.error.as_ref()).collect();
    assert_eq!((runs.len(), failed.len()), (2, 1), "one screen at a time");
    assert_eq!(failed[0].code, "limit_exceeded");
    assert!(failed[0].message.contains("concurrent_batches") && failed[0].message.contains("the file was kept"));
    assert!(bench.world.blobs.head(&second).await.unwrap().is_some());
    assert_eq!(bench.account("u1").await.batches.used, 1, "what is refused is not counted");
}

#[tokio::test]
async fn a_library_with_more_ligands_than_the_tier_allows_is_not_read_to_its_end() {
    let bench = Bench::new().await;
    bench.change_account("u1", |account| account.tier = Some(Tier::Default)).await;
    upload(&bench, "u1/abl1/target.fasta", &fasta()).await;
    let row = |n: u32| (0..11).map(|bit| if n & (1 << bit) == 0 { 'C' } else { 'N' }).collect::<String>();
    let large: String = (0..1501).map(|n| format!("F{}Cl\n", row(n))).collect();
    upload(&bench, "u1/abl1/large.smi", &large).await;
    let error = only(&bench, "u1").await.error.unwrap();
    assert_eq!(error.code, "limit_exceeded");
    assert!(error.message.contains("ligands_per_batch of the tier default is 1500"), "{}", error.message);
}

#[tokio::test]
async fn a_file_that_was_made_to_grow_is_not_decompressed_to_its_end() {
    let bench = Bench::new().await;
    upload(&bench, "u1/abl1/target.fasta", &fasta()).await;
    let mut small = flate2::write::GzEncoder::new(vec![], flate2::Compression::best());
    small.write_all(b"name,smiles\nethanol,CCO\n").unwrap();
    for _ in 0..32 {
        small.write_all(&[b'\n'; 1 << 20]).unwrap();
    }
    let small = small.finish().unwrap();
    assert!(small.len() < 64 * 1024, "{} bytes", small.len());
    let path = BlobPath::new(places::UPLOADS, "u1/abl1/bomb.csv.gz").unwrap();
    bench.world.blobs.put_bytes(&path, small, PutOptions::default()).await.unwrap();
    tell(&bench, &path).await;
    let error = only(&bench, "u1").await.error.unwrap();
    assert_eq!(error.code, "unreadable_library");
    assert!(error.message.contains("200 times its size when decompressed"), "{}", error.message);
}

#[tokio::test]
async fn a_library_that_vanishes_before_it_is_read_leaves_a_failed_run_that_says_so() {
    let bench = Bench::new().await;
    let library = bench.put(places::UPLOADS, "u1/abl1/library.csv", "smiles,name\nCCO,ethanol\n").await;
    let meta = bench.world.blobs.head(&library).await.unwrap().unwrap();
    bench.world.blobs.delete(&library).await.unwrap();
    let settings = Screen { protein_sequence: Some("MKTAYIAKQR".into()), ..Screen::default() };
    start(&bench.world, &Uid::named("u1".to_owned()).unwrap(), &meta, Ok(settings)).await.unwrap();
    let runs = bench.runs("u1").await;
    let error = runs[0].error.as_ref().unwrap();
    assert_eq!((runs.len(), error.code.as_str()), (1, "unreadable_library"));
    assert!(error.message.contains("removed"), "{}", error.message);
}
