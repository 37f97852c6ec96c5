use super::*;
use domain::{Run, Source};
use serde_json::json;
use service::{
    runs::submit,
    testing::{Bench, Reply, SEQUENCE, smiles},
};

fn batch(ligands: u32, changes: Value) -> Value {
    let ligands: Vec<_> = (1..=ligands).map(|n| json!({"smiles": smiles(n)})).collect();
    let mut body = json!({"model": "boltz2", "protein_sequence": SEQUENCE, "ligands": ligands});
    for (name, value) in changes.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

async fn ask(bench: &Bench, body: &Value) -> Reply {
    bench.post(FUNCTION, "u1", "/api/v1/estimate", None, body).await
}

/// The run that a submission of this body makes.
async fn submitted(bench: &Bench, body: &Value) -> Run {
    let batch: BatchRequest = serde_json::from_value(body.clone()).unwrap();
    let Asked { submission, ligands, on_invalid } = batch.read(&bench.caller("u1"), &bench.world.settings).unwrap();
    submit::submit(&bench.world.submitting(), submission, ligands, on_invalid, None).await.unwrap()
}

#[tokio::test]
async fn an_estimate_is_the_plan_of_the_submission_that_follows_with_every_strategy() {
    let bench = Bench::new().await;
    for (place, strategy) in ["sequential", "adaptive", "parallel"].into_iter().enumerate() {
        let body = batch(30, json!({"strategy": strategy, "on_invalid": "skip", "max_concurrent": 2}));
        let told = ask(&bench, &body).await.body;
        let run = submitted(&bench, &body).await;
        let plan = run.plan.unwrap();
        let mine = &told["strategies"][place];
        assert_eq!((mine["strategy"].as_str(), told["strategy"].as_str()), (Some(strategy), Some(strategy)));
        assert_eq!((&mine["shards"], &mine["gpu_seconds"]), (&json!(plan.shards), &json!(plan.gpu_seconds)));
        assert_eq!((&mine["usd"], &mine["seconds"]), (&json!(run.cost.estimated_usd), &json!(plan.seconds)));
        assert_eq!((&told["accepted_rows"], &told["cached_rows"]), (&json!(run.items), &json!(0)));
    }
}

#[tokio::test]
async fn what_the_user_has_already_is_counted_and_costs_nothing() {
    let bench = Bench::new().await;
    bench.finished("u1", 30).await;
    let body = batch(33, json!({"strategy": "sequential"}));
    let told = ask(&bench, &body).await.body;
    assert_eq!((&told["accepted_rows"], &told["cached_rows"]), (&json!(33), &json!(30)));
    let run = submitted(&bench, &body).await;
    let mine = &told["strategies"][0];
    assert_eq!((run.cached, run.plan.as_ref().unwrap().items), (30, 3));
    assert_eq!(mine["gpu_seconds"], json!(run.plan.unwrap().gpu_seconds));
    assert_eq!(mine["usd"], json!(run.cost.estimated_usd));
    let anew = bench.post(FUNCTION, "u2", "/api/v1/estimate", None, &body).await.body;
    assert_eq!(anew["cached_rows"], 0);
    assert!(anew["strategies"][0]["usd"].as_f64().unwrap() > 2.0 * mine["usd"].as_f64().unwrap());
    let known = ask(&bench, &batch(30, json!({}))).await.body;
    for strategy in known["strategies"].as_array().unwrap() {
        assert_eq!(
            (&strategy["shards"], &strategy["usd"], &strategy["refusal"]),
            (&json!(0), &json!(0.0), &Value::Null)
        );
        assert_eq!((&strategy["start_seconds"], &strategy["finish_seconds"]), (&Value::Null, &json!(0.0)));
    }
    assert_eq!(known["strategies"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn nothing_is_written() {
    let bench = Bench::new().await;
    bench.happened().await;
    assert_eq!(ask(&bench, &batch(3, json!({}))).await.status, 200);
    assert!(bench.happened().await.is_empty() && bench.runs("u1").await.is_empty());
}

#[tokio::test]
async fn what_a_submission_would_be_refused_for_is_told_and_not_refused() {
    let bench = Bench::new().await;
    let mut bad = batch(3, json!({}));
    bad["ligands"][1]["smiles"] = json!("C(");
    let told = ask(&bench, &bad).await.body;
    assert_eq!((&told["accepted_rows"], &told["rejected_rows"]), (&json!(2), &json!(1)));
    assert_eq!(told["rejected"][0]["row"], 2);
    assert!(told["strategies"][0]["refusal"].as_str().unwrap().contains("/ligands/1: row 2"));
    bad["on_invalid"] = json!("skip");
    assert!(ask(&bench, &bad).await.body["strategies"][0]["refusal"].is_null());
    let dear = ask(&bench, &batch(30, json!({"max_cost_usd": 0.01}))).await.body;
    assert!(dear["strategies"][1]["refusal"].as_str().unwrap().contains("estimated to cost"));
    let none = json!({"model": "boltz2", "protein_sequence": SEQUENCE, "ligands": [{"smiles": "C("}]});
    assert_eq!(ask(&bench, &none).await.body["strategies"], json!([]));
}

#[tokio::test]
async fn the_queue_is_part_of_when_it_ends() {
    let bench = Bench::new().await;
    let free = ask(&bench, &batch(3, json!({}))).await.body["strategies"][2].clone();
    assert_eq!(free["start_seconds"], 0.0);
    assert!((free["finish_seconds"].as_f64().unwrap() - free["seconds"].as_f64().unwrap()).abs() < 1.0, "{free}");
    let ahead = bench.planned("u2", 30).await;
    bench.launch(&ahead, &[0, 1, 2]).await;
    let busy = ask(&bench, &batch(3, json!({}))).await.body["strategies"][2].clone();
    let wait = ahead.plan.unwrap().shard_seconds();
    assert!((busy["start_seconds"].as_f64().unwrap() - wait).abs() < 1.0, "{busy}");
    assert!(busy["finish_seconds"].as_f64().unwrap() > wait);
    assert_eq!(busy["usd"], free["usd"]);
}

#[tokio::test]
async fn one_prediction_is_estimated_in_its_own_lane() {
    let bench = Bench::new().await;
    let body = json!({"model": "boltz2", "protein_sequence": SEQUENCE, "ligand_smiles": "CCO"});
    let told = ask(&bench, &body).await.body;
    assert_eq!((told["lane"].as_str(), &told["accepted_rows"]), (Some("interactive"), &json!(1)));
    let run = bench.predict("u1").await;
    assert_eq!((&told["strategies"][2]["shards"], &run.source), (&json!(1), &Source::Api));
}

#[tokio::test]
async fn a_wrong_body_is_refused_like_a_submission() {
    let bench = Bench::new().await;
    let reply = ask(&bench, &batch(1, json!({"strategy": "hasty"}))).await;
    assert_eq!((reply.status, reply.pointers()), (422, vec!["/strategy"]));
    let reply = ask(&bench, &json!({"model": "boltz2", "ligand_smiles": "CCO", "ligands": []})).await;
    assert_eq!((reply.status, reply.pointers()), (422, vec!["/ligands"]));
    let reply = ask(&bench, &batch(1, json!({"model": "alphafold"}))).await;
    assert_eq!((reply.status, reply.pointers()), (422, vec!["/model"]));
}

#[tokio::test]
async fn under_its_key_the_same_request_is_answered_again_and_another_refused() {
    let bench = Bench::new().await;
    let post = async |body: &Value| bench.post(FUNCTION, "u1", "/api/v1/estimate", Some("k"), body).await;
    let first = post(&batch(3, json!({}))).await;
    let again = post(&batch(3, json!({}))).await;
    assert_eq!((first.status, again.status, &again.body), (200, 200, &first.body));
    assert_eq!(post(&batch(4, json!({}))).await.status, 422);
    assert_eq!(bench.post(FUNCTION, "u2", "/api/v1/estimate", Some("k"), &batch(4, json!({}))).await.status, 200);
}

#[tokio::test]
async fn of_one_user_two_libraries_are_read_at_once() {
    let bench = Bench::new().await;
    bench.put(service::places::UPLOADS, "u1/a/library.csv", "smiles,name\nCCO,ethanol\n").await;
    let body = json!({"model": "boltz2", "protein_sequence": SEQUENCE, "library": "gs://uploads/u1/a/library.csv"});
    let hold = || bench.world.limiter.hold(&bench.caller("u1").uid, service::Held::Libraries).unwrap();
    let (one, two) = (hold(), hold());
    let refused = ask(&bench, &body).await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, "5"));
    assert_eq!(ask(&bench, &batch(1, json!({}))).await.status, 200, "rows of a request are at hand");
    drop((one, two));
    for _ in 0..3 {
        assert_eq!(ask(&bench, &body).await.status, 200, "one after the other");
    }
}

#[tokio::test]
async fn what_loading_and_lost_tasks_waste_is_told_with_every_strategy() {
    let bench = Bench::new().await;
    let told = ask(&bench, &batch(30, json!({}))).await.body;
    let waste = |place: usize| told["strategies"][place]["waste"].as_f64().unwrap();
    assert!(waste(0) > 0.0 && waste(0) < waste(2) && waste(2) < 0.5, "loading once wastes least: {told}");
    bench.finished("u1", 30).await;
    let known = ask(&bench, &batch(30, json!({}))).await.body;
    assert!(known["strategies"][0]["waste"].is_null(), "no GPU, no waste: {known}");
}
