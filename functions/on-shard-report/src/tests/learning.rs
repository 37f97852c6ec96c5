//! What finished shards teach.

use super::*;
use domain::{Learned, Timing};

/// A worker's last report of a shard, changed by hand; the event of it arrives.
async fn taught(bench: &Bench, run: &Run, shard: u32, change: impl FnOnce(&mut Report)) {
    let path = bench.final_report(run, shard, 1).await;
    let mut report: Report = bench.world.blobs.get_json(&path, 1 << 20).await.unwrap();
    report.gpu_seconds = 500.0;
    report.timing = Some(Timing { device: "l4".into(), load_seconds: Some(90.0), starts: 1 });
    change(&mut report);
    bench.world.blobs.put_json(&path, &report, PutOptions::default()).await.unwrap();
    assert_eq!(reported(bench, &path).await, StatusCode::NO_CONTENT);
}

async fn learned(bench: &Bench) -> Option<Learned> {
    bench.world.docs.find(&places::profile("boltz2")).await.unwrap().map(|learned| learned.value)
}

#[tokio::test]
async fn a_finished_shard_teaches_and_the_next_submission_is_planned_by_it() {
    let bench = Bench::new().await;
    let (run, _) = bench.running("u1", 7).await;
    taught(&bench, &run, 0, |_| {}).await;
    assert_eq!(learned(&bench).await.unwrap().shards, 1);
    let next = bench.submit("u1", 7).await;
    assert!(next.plan.unwrap().gpu_seconds > run.plan.unwrap().gpu_seconds + 20.0, "three ligands took 410 s");
}

#[tokio::test]
async fn what_a_stand_in_made_or_something_else_than_the_gpu_teaches_nothing() {
    let bench = Bench::new().await;
    type Change = fn(&mut Report);
    let changes: [(&str, Change); 6] = [
        ("simulated", |report| report.outcomes[1].simulated = true),
        ("cached", |report| report.outcomes[1].cached = true),
        ("a CPU", |report| report.timing.as_mut().unwrap().device = "cpu".into()),
        ("started again", |report| report.timing.as_mut().unwrap().starts = 2),
        ("failed", |report| report.outcomes[0] = Outcome::failed(1, ItemError::new("out_of_memory", "too large"))),
        ("a worker that does not measure", |report| report.timing = None),
    ];
    for (what, change) in changes {
        let (run, _) = bench.running("u1", 7).await;
        taught(&bench, &run, 0, change).await;
        assert!(bench.shard(&run, 0).await.done && learned(&bench).await.is_none(), "{what}");
    }
}

#[tokio::test]
async fn many_shards_at_once_write_what_they_teach_once_a_second_and_none_is_kept_waiting() {
    let bench = Bench::new().await;
    let (run, _) = bench.running("u1", 7).await;
    tokio::join!(taught(&bench, &run, 0, |_| {}), taught(&bench, &run, 1, |_| {}));
    assert_eq!(learned(&bench).await.unwrap().shards, 1);
    bench.wait(1);
    taught(&bench, &run, 2, |_| {}).await;
    assert_eq!((learned(&bench).await.unwrap().shards, bench.run(&run).await.status), (2, Status::Aggregating));
}

#[tokio::test]
async fn a_report_told_again_teaches_nothing_again() {
    let bench = Bench::new().await;
    let (run, _) = bench.running("u1", 7).await;
    taught(&bench, &run, 0, |_| {}).await;
    let before = learned(&bench).await;
    bench.wait(10);
    let path = BlobPath::new(places::REPORTS, bench.shard(&run, 0).await.report.unwrap()).unwrap();
    assert_eq!(reported(&bench, &path).await, StatusCode::NO_CONTENT);
    assert_eq!(learned(&bench).await, before);
}
