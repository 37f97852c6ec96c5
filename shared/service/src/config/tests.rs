use super::*;

fn environment(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// What is told of an environment that is not right.
fn told(pairs: &[(&str, &str)]) -> String {
    match Config::read(&environment(pairs)) {
        Ok(_) => panic!("it must not start"),
        Err(error) => error.to_string(),
    }
}

const TOKENS: [(&str, &str); 3] =
    [("TOKEN_ISSUER", "https://issuer"), ("TOKEN_AUDIENCE", "omtx"), ("TOKEN_KEYS", r#"{"keys":[]}"#)];

#[test]
fn everything_that_is_missing_is_said_at_once() {
    let text = told(&[("BLOBS_URL", "file:/x"), ("PORT", "eighty"), ("GPU_CAPACITY", "many")]);
    let names = ["DOCS_URL", "BUS_URL", "EXECUTIONS_URL", "STORAGE_URL", "LINK_KEY", "TOKEN_ISSUER", "TOKEN_AUDIENCE"];
    for name in names.into_iter().chain(["TOKEN_KEYS", "PORT", "GPU_CAPACITY"]) {
        assert!(text.contains(&format!("{name} is")), "{name} in {text}");
    }
    assert!(!text.contains("BLOBS_URL"), "it is right: {text}");
}

#[test]
fn a_url_of_the_wrong_kind_is_told_with_the_right_kinds() {
    let wrong = ["redis://x", "firestore://", "firestore://p", "firestore://p/d/x", "gs://b", "file:", "nonsense"];
    for url in wrong {
        let text = told(&[("DOCS_URL", url)]);
        assert!(text.contains("DOCS_URL is") && text.contains("firestore://PROJECT/DATABASE"), "{url}: {text}");
    }
    assert!(told(&[("BUS_URL", "pubsub://p/x")]).contains("BUS_URL is"));
}

#[tokio::test]
async fn one_folder_serves_all_four_ports() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("file:{}", folder.path().display());
    let mut pairs = TOKENS.to_vec();
    pairs.extend([("STORE_URL", url.as_str()), ("STORAGE_URL", "http://127.0.0.1:1/storage/"), ("LINK_KEY", "key")]);
    let world = Config::read(&environment(&pairs)).unwrap().world().unwrap();
    let path = platform::Collection::root("c").doc("d");
    world.docs.create(&path, &serde_json::json!({})).await.unwrap();
    world.bus.publish("t", platform::Message::default()).await.unwrap();
    let folders = std::fs::read_dir(folder.path()).unwrap().count();
    assert!(folders > 0, "it is on disk");
}

#[cfg(not(feature = "google"))]
#[test]
fn a_program_built_without_google_cloud_says_so() {
    let text = told(&[("DOCS_URL", "firestore://p/(default)"), ("TOKEN_KEYS_URL", "https://keys")]);
    assert!(text.contains("DOCS_URL needs Google Cloud"), "{text}");
    assert!(text.contains("TOKEN_KEYS_URL is https://keys/"), "{text}");
}

#[cfg(feature = "google")]
#[test]
fn on_google_cloud_nothing_is_touched_before_the_first_request() {
    let mut pairs = TOKENS[..2].to_vec();
    pairs.extend([
        ("DOCS_URL", "firestore://p/(default)"),
        ("BLOBS_URL", "gs://omtx-test-"),
        ("BUS_URL", "pubsub://p"),
        ("EXECUTIONS_URL", "run://p/us-central1"),
        ("TOKEN_KEYS_URL", "https://keys.invalid/jwk"),
        ("FIRESTORE_EMULATOR_HOST", "127.0.0.1:1"),
        ("BUCKET_PREFIX", "other-"),
    ]);
    let config = Config::read(&environment(&pairs)).unwrap();
    assert_eq!(config.settings.bucket_prefix, "omtx-test-", "events name the buckets that objects are in");
    assert!(config.world().is_ok(), "what cannot be reached is found out later");
}
