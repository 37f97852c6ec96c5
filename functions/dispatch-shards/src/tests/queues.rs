//! Who is seen where many wait.

use super::*;
use domain::JobId;

/// Writes down so many more runs like this one that wait, with an hour between them, all older than it.
async fn pile_up(bench: &Bench, run: &Run, count: u32) {
    for n in 0..count {
        let mut older = run.clone();
        older.job_id = JobId::new(run.lane == Lane::Bulk, &format!("{n:024}")).unwrap();
        older.created_at = run.created_at.plus_seconds(u64::from(n));
        bench.world.docs.create(&places::job(&older.uid, &older.job_id), &older).await.unwrap();
    }
}

#[tokio::test]
async fn however_many_batches_one_user_has_waiting_a_prediction_and_other_users_batches_are_started() {
    let bench = Bench::with(|settings| settings.gpu_capacity = 4).await;
    let first = bench.planned("u1", 8).await;
    pile_up(&bench, &first, 520).await;
    bench.wait(1000);
    let (single, other) = (bench.predict("u2").await, bench.planned("u2", 2).await);
    bench.plan(&single).await;
    wake(&bench).await;
    let status = async |run: &Run| bench.run(run).await.status;
    assert_eq!((status(&single).await, status(&other).await), (Status::Running, Status::Running));
    let held = |lease: &Lease| (lease.uid.to_string(), lease.lane, lease.held.len());
    let mut leases: Vec<_> = bench.pool().await.leases.iter().map(held).collect();
    leases.sort();
    let all = [("u1", Lane::Bulk, 2), ("u2", Lane::Interactive, 1), ("u2", Lane::Bulk, 1)];
    assert_eq!(leases, all.map(|(uid, lane, held)| (uid.to_owned(), lane, held)));
}

/// Lets every shard take just what was planned, until the run has started; when that was.
async fn starts(bench: &Bench, run: &Run) -> Timestamp {
    let mut ends = BTreeMap::new();
    loop {
        wake(bench).await;
        if let Some(started) = bench.run(run).await.started_at {
            return started;
        }
        for lease in bench.pool().await.leases {
            let end = lease.granted_at.plus_seconds(lease.shard_seconds.round() as u64);
            ends.extend(lease.held.iter().map(|held| ((places::job(&lease.uid, &lease.job_id), held.shard), end)));
        }
        let next = ends.iter().min_by_key(|(_, end)| **end).map(|(key, _)| key.clone()).unwrap();
        let end = ends.remove(&next).unwrap();
        bench.wait(end.seconds_since(bench.now()).max(0.0) as u64);
        let (path, shard) = next;
        let other = bench.world.docs.get::<Run>(&path).await.unwrap().value;
        bench.claim(&other, shard).await;
        bench.final_report(&other, shard, 1).await;
        shards::refresh(&bench.world, &other.uid, &other.job_id, shard).await.unwrap();
    }
}

#[tokio::test]
async fn a_run_starts_when_it_was_told_that_it_would() {
    let bench = Bench::new().await;
    bench.planned("u1", 30).await;
    wake(&bench).await;
    bench.wait(60);
    for (name, ligands) in [("u2", 18), ("u1", 6), ("u3", 3), ("u2", 1)] {
        bench.planned(name, ligands).await;
        bench.wait(1);
    }
    let last = bench.planned("u2", 2).await;
    let (asked, told) = (bench.now(), queue::standing(&bench.world, &last).await.unwrap());
    assert_eq!(told.position, Some(5));
    let took = starts(&bench, &last).await.seconds_since(asked);
    let told = told.start_seconds.unwrap();
    assert!(took > 100.0 && (took - told).abs() < 10.0, "it was told {told} s, and took {took} s");
}

#[tokio::test]
async fn a_run_that_waits_is_told_its_place_and_when_it_is_to_start() {
    let bench = Bench::new().await;
    let big = bench.planned("u1", 30).await;
    wake(&bench).await;
    bench.wait(60);
    let (next, after) = (bench.planned("u2", 1).await, bench.planned("u2", 1).await);
    let told = async |run: &Run| queue::standing(&bench.world, run).await.unwrap();
    let left = big.plan.as_ref().unwrap().shard_seconds() - 60.0;
    let mut places = vec![];
    for run in [&next, &after] {
        let told = told(run).await;
        assert!((told.start_seconds.unwrap() - left).abs() < 0.01, "{told:?}");
        places.push(told.position.unwrap());
    }
    places.sort_unstable();
    assert_eq!((places.as_slice(), told(&bench.run(&big).await).await.position), ([1, 2].as_slice(), None));
    bench.wait(1);
    let unplanned = bench.submit("u2", 1).await;
    assert_eq!(told(&unplanned).await.position, Some(3), "also while it is being cut into shards");
}
