//! Documents in Firestore.

use crate::{PROJECT, on, trial};
use emulators::Emulator;
use libtest_mimic::Trial;
use platform::{
    Clock, Collection, Docs, Error, Number, conformance,
    google::{self, Endpoint},
};
use serde_json::{Value, json};

pub fn trials(emulator: Option<&Emulator>) -> Vec<Trial> {
    vec![
        on(emulator, "firestore_passes_the_suite_of_documents", |address| async move {
            conformance::docs(&docs(&address), "suite").await;
        }),
        on(emulator, "an_expiry_is_a_timestamp_for_firestore_and_the_same_text_for_us", an_expiry),
        on(emulator, "an_aggregate_counts_documents_that_lack_a_summed_field", an_aggregate),
        trial("a_firestore_that_does_not_answer_is_unavailable_and_no_panic", || async {
            let nowhere = Collection::root("c").doc("d");
            let found = docs("127.0.0.1:1").find::<Value>(&nowhere).await;
            assert!(matches!(found, Err(Error::Unavailable { .. })), "{found:?}");
        }),
    ]
}

fn docs(address: &str) -> Docs {
    google::docs(PROJECT, "(default)", Some(Endpoint::new(address)), &Clock::system())
}

async fn an_expiry(address: String) {
    let path = Collection::root("expiring").doc("one");
    let written = json!({"expire_at": "2030-01-02T03:04:05.678Z", "note": "2030-01-02T03:04:05.678Z"});
    docs(&address).create(&path, &written).await.unwrap();
    assert_eq!(docs(&address).get::<Value>(&path).await.unwrap().value, written);
    let url = format!("http://{address}/v1/projects/{PROJECT}/databases/(default)/documents/{path}");
    let raw: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
    assert_eq!(raw["fields"]["expire_at"]["timestampValue"], "2030-01-02T03:04:05.678Z");
    assert_eq!(raw["fields"]["note"]["stringValue"], "2030-01-02T03:04:05.678Z");
}

async fn an_aggregate(address: String) {
    let docs = docs(&address);
    let all = Collection::root("partial");
    docs.create(&all.doc("with"), &json!({"n": 2, "half": 0.5})).await.unwrap();
    docs.create(&all.doc("without"), &json!({"n": 3})).await.unwrap();
    let numbers = [Number::Count, Number::Sum("n"), Number::Sum("half")];
    let found = docs.aggregate(&platform::Query::collection(all), numbers).await.unwrap();
    assert_eq!(found, [2.0, 5.0, 0.5]);
}
