use super::*;
use domain::{JobType, Lane, Tier};
use serde_json::{Value, json};
use service::testing::{Bench, Reply, SEQUENCE};

const PATH: &str = "/api/v1/predict";

fn prediction() -> Value {
    json!({"model": "boltz2", "protein_sequence": SEQUENCE, "ligand_smiles": "OCC", "job_name": "ethanol",
           "parameters": {"seed": 7}})
}

/// The prediction with other members.
fn with(changes: Value) -> Value {
    let mut body = prediction();
    for (name, value) in changes.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

#[tokio::test]
async fn a_prediction_is_accepted_and_says_where_it_is() {
    let bench = Bench::new().await;
    let reply = bench.post(FUNCTION, "u1", PATH, None, &prediction()).await;
    assert_eq!(reply.status, 202, "{reply:?}");
    assert_eq!(reply.headers["location"], format!("/api/v1/jobs/{}", reply.text("/job_id")));
    assert_eq!((reply.text("/job_type"), reply.text("/status")), ("individual", "queued"));
    assert_eq!((reply.text("/job_name"), reply.text("/queue/lane")), ("ethanol", "interactive"));
    assert_eq!((reply.text("/input/ligand_smiles"), &reply.body["parameters"]["seed"]), ("OCC", &json!(7)));
    let run = &bench.runs("u1").await[0];
    assert_eq!((run.items, run.job_type, run.lane), (1, JobType::Individual, Lane::Interactive));
}

#[tokio::test]
async fn a_request_sent_again_with_its_key_is_one_job_under_either_path() {
    let bench = Bench::new().await;
    let first = bench.post(FUNCTION, "u1", PATH, Some("k1"), &prediction()).await;
    let again = bench.post(FUNCTION, "u1", "/api/v1/jobs/submit", Some("k1"), &prediction()).await;
    assert_eq!((again.status, &again.body), (202, &first.body));
    let other = bench.post(FUNCTION, "u1", PATH, Some("k1"), &with(json!({"parameters": {"seed": 8}}))).await;
    assert_eq!((other.status, bench.runs("u1").await.len()), (422, 1));
}

#[tokio::test]
async fn every_wrong_field_is_named() {
    let bench = Bench::new().await;
    let cases = [
        (json!({"ligand_smiles": null}), "/ligand_smiles"),
        (json!({"ligand_smiles": "C("}), "/ligand_smiles"),
        (json!({"model": "alphafold"}), "/model"),
        (json!({"protein_sequence": "MKT"}), "/protein_sequence"),
        (json!({"job_name": "two\nlines"}), "/job_name"),
        (json!({"max_cost_usd": 0.0001}), "/max_cost_usd"),
        (json!({"parameters": {"seed": -1}}), "/parameters/seed"),
        (json!({"ligands": []}), "/ligands"),
    ];
    for (change, pointer) in cases {
        let reply = bench.post(FUNCTION, "u1", PATH, None, &with(change.clone())).await;
        assert_eq!((reply.status, reply.pointers()), (422, vec![pointer]), "{change} {reply:?}");
    }
    assert!(bench.runs("u1").await.is_empty());
}

#[tokio::test]
async fn a_limit_that_leaves_no_room_is_told_in_the_body_and_in_the_fields() {
    let bench = Bench::new().await;
    bench.change_account("u1", |account| account.tier = Some(Tier::Default)).await;
    let submit = async || bench.post(FUNCTION, "u1", PATH, None, &prediction()).await;
    let fields = |reply: &Reply| {
        let names = ["ratelimit-limit", "x-ratelimit-limit", "ratelimit-remaining", "ratelimit-reset", "retry-after"];
        names.map(|name| reply.header(name).to_owned())
    };
    assert_eq!((submit().await.status, submit().await.status), (202, 202));
    let refused = submit().await;
    assert_eq!((refused.status, refused.body["retry_after"].clone()), (429, json!(60)));
    assert_eq!(fields(&refused), ["2", "2", "0", "60", "60"], "of the predictions at once, not of the requests");
    let limit =
        json!({"name": "concurrent_jobs", "tier": "default", "limit": 2, "used": 2, "wanted": 1, "resets_at": null});
    assert_eq!(refused.body["limit"], limit);
    for run in bench.runs("u1").await {
        let spent = |run: &mut domain::Run| {
            run.cost.gpu_seconds = 1790.0;
            run.cancel(service::testing::start())
        };
        bench.change(&run, spent).await;
    }
    let spent = submit().await;
    assert_eq!((spent.status, spent.header("retry-after")), (402, ""), "waiting for the month to end is no retry");
    let left = bench.now().next_month().seconds_since(bench.now()).to_string();
    assert_eq!(fields(&spent)[..4], ["60", "60", "0", &left]);
    assert_eq!(
        (&spent.body["limit"]["name"], &spent.body["limit"]["used"]),
        (&json!("gpu_minutes_per_month"), &json!(60))
    );
}
