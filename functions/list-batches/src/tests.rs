use super::*;
use service::testing::Bench;

#[tokio::test]
async fn only_batches_are_listed_whatever_type_is_asked_for() {
    let bench = Bench::new().await;
    let old = bench.submit("u1", 3).await;
    bench.wait(1);
    bench.predict("u1").await;
    bench.submit("u2", 3).await;
    let new = bench.submit("u1", 2).await;
    for query in ["", "?type=individual", "?model=boltz2&status=queued"] {
        let reply = bench.get(FUNCTION, "u1", &format!("/api/v1/batches{query}")).await;
        let batches = reply.body["batches"].as_array().unwrap();
        let ids: Vec<_> = batches.iter().map(|batch| batch["batch_id"].as_str().unwrap()).collect();
        assert_eq!(ids, [new.job_id.as_str(), old.job_id.as_str()], "{query}");
        assert_eq!((&batches[1]["total_jobs"], &reply.body["has_more"]), (&3.into(), &false.into()));
    }
}
