use super::*;
use serde_json::json;
use service::testing::Bench;

const SEQUENCE: &str = "GSHMEAVKLLQEAGYTWRDN";

async fn ask(bench: &Bench, body: Value) -> (u16, Value) {
    let reply = bench.post(FUNCTION, "u1", "/api/v1/uploads", None, &body).await;
    (reply.status, reply.body)
}

#[tokio::test]
async fn a_link_leads_into_the_users_own_folder_with_the_settings_beside_it() {
    let bench = Bench::new().await;
    let body = json!({"file_name": "hits.csv.gz", "protein_sequence": SEQUENCE, "batch_name": " march ", "on_invalid": "reject"});
    let (status, upload) = ask(&bench, body).await;
    assert_eq!((status, &upload["method"]), (201, &"PUT".into()));
    let object = upload["object"].as_str().unwrap();
    let (folder, file) = object.rsplit_once('/').unwrap();
    assert!(
        folder.starts_with("u1/") && file == "hits.csv.gz" && upload["upload_url"].as_str().unwrap().contains(file)
    );
    assert_eq!(upload["headers"], json!({"x-goog-content-length-range": "0,1073741824"}));
    assert_eq!(upload["expires_at"], json!(bench.now().plus_seconds(900)), "a quarter of an hour");
    let settings = BlobPath::new(places::UPLOADS, format!("{folder}/screen.yaml")).unwrap();
    let screen: Screen = bench.world.blobs.get_json(&settings, 10_000).await.unwrap();
    assert_eq!((screen.batch_name.as_deref(), screen.on_invalid), (Some("march"), Some(OnInvalid::Reject)));
}

#[tokio::test]
async fn what_could_not_be_screened_gets_no_link_and_writes_nothing() {
    let bench = Bench::new().await;
    for (wrong, pointer) in [
        (json!({"file_name": "../library.csv", "protein_sequence": SEQUENCE}), "/file_name"),
        (json!({"file_name": "a/b.csv", "protein_sequence": SEQUENCE}), "/file_name"),
        (json!({"file_name": "screen.yaml", "protein_sequence": SEQUENCE}), "/file_name"),
        (json!({"file_name": "", "protein_sequence": SEQUENCE}), "/file_name"),
        (json!({"file_name": "l.csv", "protein_sequence": "MKT1"}), "/protein_sequence"),
        (json!({"file_name": "l.csv", "protein_sequence": SEQUENCE, "model": "dock"}), "/model"),
        (json!({"file_name": "l.csv", "protein_sequence": SEQUENCE, "max_cost_usd": 0}), "/max_cost_usd"),
        (json!({"file_name": "l.csv", "protein_sequence": SEQUENCE, "parameters": {"steps": 3}}), "/parameters/steps"),
    ] {
        let (status, body) = ask(&bench, wrong).await;
        assert_eq!((status, &body["errors"][0]["pointer"]), (422, &pointer.into()), "{body}");
    }
    assert!(bench.world.blobs.list(places::UPLOADS, "", None, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_request_sent_again_with_its_key_leads_to_the_same_object() {
    let bench = Bench::new().await;
    let body = json!({"file_name": "hits.csv", "protein_sequence": SEQUENCE});
    let post = async |key, body: &Value| bench.post(FUNCTION, "u1", "/api/v1/uploads", Some(key), body).await;
    let first = post("k", &body).await;
    bench.wait(60);
    let again = post("k", &body).await;
    assert_eq!((again.status, again.text("/object")), (201, first.text("/object")));
    assert_ne!(again.text("/expires_at"), first.text("/expires_at"), "the link is a new one");
    assert_ne!(post("k2", &body).await.text("/object"), first.text("/object"));
    assert_eq!(post("k", &json!({"file_name": "l.csv", "protein_sequence": SEQUENCE})).await.status, 422);
    let kept = bench.world.docs.query::<Value>(&platform::Query::group("idempotency")).await.unwrap();
    assert!(kept.iter().all(|kept| !kept.value.to_string().contains("signature")), "no link is kept");
}

#[tokio::test]
async fn what_the_token_claims_is_noted_for_the_file_that_comes_without_one() {
    let bench = Bench::new().await;
    let mut caller = bench.caller("new");
    for tier in [domain::Tier::Premium, domain::Tier::Default] {
        caller.claimed_tier = Some(tier);
        quota::note_tier(&bench.world.docs, &caller).await.unwrap();
        assert_eq!(bench.account("new").await.tier(None), tier);
    }
}
