use super::*;
use domain::{Account, RepairKind, ShardState, Status};
use serde_json::{Value, json};
use service::testing::{Bench, Reply, user};

/// A bench whose `u2` is an operator.
async fn bench() -> Bench {
    let bench = Bench::new().await;
    let mut account = bench.world.docs.get::<Account>(&places::account(&user("u2"))).await.unwrap();
    account.value.roles = Some(vec![domain::Role::Admin]);
    bench.world.docs.replace(&account).await.unwrap();
    bench
}

async fn ask(bench: &Bench, name: &str, body: Value) -> Reply {
    bench.post(FUNCTION, name, "/api/v1/system/repair", None, &body).await
}

fn kinds(reply: &Reply) -> Vec<RepairKind> {
    let repairs = reply.body["repairs"].as_array().unwrap().iter();
    repairs.map(|repair| serde_json::from_value(repair["kind"].clone()).unwrap()).collect()
}

#[tokio::test]
async fn one_run_is_mended_at_once_whose_execution_ended_unheard() {
    let bench = bench().await;
    let (run, execution) = bench.running("u1", 7).await;
    bench.end(&execution).await;
    let reply = ask(&bench, "u2", json!({"uid": "u1", "job_id": run.job_id})).await;
    assert_eq!((reply.status, kinds(&reply)), (200, vec![RepairKind::TakenBack; 3]));
    assert_eq!(bench.shard(&run, 0).await.state, ShardState::Pending);
    assert_eq!(bench.published(places::DISPATCH).await, 1);
}

#[tokio::test]
async fn all_silent_runs_are_mended_and_those_that_are_well_are_left_alone() {
    let bench = bench().await;
    let lost = bench.submit("u1", 2).await;
    bench.wait(60);
    let fresh = bench.submit("u1", 2).await;
    let reply = ask(&bench, "u2", json!({})).await;
    assert_eq!((reply.status, kinds(&reply)), (200, vec![RepairKind::ToldAgain]));
    assert_eq!((bench.run(&lost).await.nudges, bench.run(&fresh).await.nudges), (1, 0));
    assert_eq!(kinds(&ask(&bench, "u2", json!({})).await), []);
}

#[tokio::test]
async fn a_hundred_repairs_of_one_run_neither_count_nor_end_it() {
    let bench = bench().await;
    let run = bench.submit("u1", 2).await;
    for _ in 0..100 {
        let reply = ask(&bench, "u2", json!({"uid": "u1", "job_id": run.job_id})).await;
        assert_eq!((reply.status, kinds(&reply)), (200, vec![]), "nothing is wrong with it yet");
    }
    assert_eq!(bench.run(&run).await, run);
    for _ in 0..100 {
        bench.wait(60);
        let reply = ask(&bench, "u2", json!({"uid": "u1", "job_id": run.job_id})).await;
        assert_eq!((reply.status, kinds(&reply)), (200, vec![RepairKind::ToldAgain]));
    }
    assert_eq!((bench.run(&run).await.status, bench.run(&run).await.nudges), (Status::Queued, 0));
}

#[tokio::test]
async fn an_ended_run_is_not_touched() {
    let bench = bench().await;
    let run = bench.finished("u1", 2).await;
    let reply = ask(&bench, "u2", json!({"uid": "u1", "job_id": run.job_id})).await;
    assert_eq!((reply.status, kinds(&reply)), (200, vec![]));
    assert_eq!((bench.run(&run).await, run.status), (run.clone(), Status::Completed));
}

#[tokio::test]
async fn who_is_no_operator_repairs_nothing_and_half_a_name_is_refused() {
    let bench = bench().await;
    let run = bench.submit("u1", 2).await;
    bench.wait(60);
    assert_eq!(ask(&bench, "u1", json!({})).await.status, 403);
    assert_eq!(ask(&bench, "u2", json!({"job_id": run.job_id})).await.pointers(), ["/uid"]);
    assert_eq!(ask(&bench, "u2", json!({"uid": "u2", "job_id": run.job_id})).await.status, 404);
    assert_eq!(bench.run(&run).await, run);
}

#[tokio::test]
async fn a_repair_sent_again_under_its_key_is_answered_as_the_first_time_and_done_once() {
    let bench = bench().await;
    let lost = bench.submit("u1", 2).await;
    let ask = async |body: Value| bench.post(FUNCTION, "u2", "/api/v1/system/repair", Some("k"), &body).await;
    bench.wait(60);
    let first = ask(json!({})).await;
    bench.wait(60);
    let again = ask(json!({})).await;
    assert_eq!((kinds(&first), &again.body), (vec![RepairKind::ToldAgain], &first.body));
    assert_eq!(bench.run(&lost).await.nudges, 1);
    assert_eq!(ask(json!({"uid": "u1", "job_id": lost.job_id})).await.status, 422);
}
