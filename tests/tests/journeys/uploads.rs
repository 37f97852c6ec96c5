//! Libraries that are dropped into the bucket: the screen starts by itself, whenever its parts arrive and however often
//! the cloud tells of them.

use crate::{id, start};
use futures::future::join_all;
use journeys::{
    Hub,
    inputs::{demo_bytes, library, target},
};
use platform::{BlobPath, Method, ObjectMeta, PutOptions};
use serde_json::{Value, json};
use service::{events::encode_object_event, places, serve};
use std::time::Duration;
use tower::ServiceExt;

async fn drop_file(hub: &Hub, name: &str, content: Vec<u8>) -> ObjectMeta {
    let path = BlobPath::new(places::UPLOADS, name).unwrap();
    hub.cloud.world.blobs.put_bytes(&path, content, PutOptions::default()).await.unwrap()
}

async fn batches(hub: &Hub) -> Vec<Value> {
    let list = hub.client.get("/api/v1/batches").await.json(200);
    list["batches"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_library_sent_to_an_upload_link_is_screened_by_itself() {
    let hub = start(&[]).await;
    let wanted = json!({"file_name": "hits.csv", "protein_sequence": target(), "batch_name": "my hits",
        "parameters": {"seed": 7}});
    let object = hub.client.upload(&wanted, &library(3)).await;
    let batch = hub.client.batch_ends(&id(&hub.client.batch_of(&object).await)).await;
    assert_eq!((&batch["status"], &batch["completed_jobs"]), (&json!("completed"), &json!(3)));
    assert_eq!((&batch["batch_name"], &batch["parameters"]["seed"]), (&json!("my hits"), &json!(7)));
}

#[tokio::test]
async fn a_link_takes_no_more_than_it_was_signed_for() {
    let hub = start(&[]).await;
    let (blobs, path) = (&hub.cloud.world.blobs, BlobPath::new(places::UPLOADS, "local/x/five.csv").unwrap());
    let link = blobs.link(&path, Method::Put { most: 5 }, Duration::from_secs(60), None).await.unwrap();
    let send = async |range: Option<&str>, content: &[u8]| {
        let headers = range.map_or(json!({}), |range| json!({"x-goog-content-length-range": range}));
        hub.client.put(&json!({"upload_url": link, "headers": headers}), content).await.status
    };
    assert_eq!(send(Some("0,5"), b"123456").await, 400, "too large");
    assert_eq!(send(None, b"1").await, 400, "without what it was signed with");
    assert_eq!(send(Some("0,6"), b"123456").await, 403, "with something else");
    assert!(blobs.head(&path).await.unwrap().is_none(), "and nothing was written");
    assert_eq!(send(Some("0,5"), b"12345").await, 200);
}

#[tokio::test]
async fn a_library_waits_for_its_target() {
    let hub = start(&[]).await;
    drop_file(&hub, "local/march/hits.csv", library(2)).await;
    hub.settled().await;
    assert!(batches(&hub).await.is_empty(), "there is nothing to screen against");
    drop_file(&hub, "local/march/target.fasta", demo_bytes("pdl1.fasta")).await;
    let batch = hub.client.batch_of("local/march/hits.csv").await;
    let batch = hub.client.batch_ends(&id(&batch)).await;
    assert_eq!((&batch["status"], &batch["completed_jobs"]), (&json!("completed"), &json!(2)));
    hub.settled().await;
    assert_eq!(batches(&hub).await.len(), 1);
}

#[tokio::test]
async fn an_upload_told_of_many_times_is_one_screen() {
    let hub = start(&[]).await;
    drop_file(&hub, "local/twice/target.fasta", demo_bytes("pdl1.fasta")).await;
    let meta = drop_file(&hub, "local/twice/hits.csv", library(2)).await;
    let function = hub::ALL.iter().find(|function| function.name == "on-library-uploaded").unwrap();
    let router = serve(function.routes().unwrap(), hub.cloud.world.clone());
    let tell = || router.clone().oneshot(encode_object_event("again", &meta, ""));
    for answer in join_all((0..5).map(|_| tell())).await {
        assert_eq!(answer.unwrap().status(), 204);
    }
    let batch = id(&hub.client.batch_of("local/twice/hits.csv").await);
    assert_eq!(hub.client.batch_ends(&batch).await["completed_jobs"], 2);
    assert_eq!(tell().await.unwrap().status(), 204, "also long after the end");
    hub.settled().await;
    assert_eq!(batches(&hub).await.len(), 1);
    assert_eq!(hub.client.rows(&batch).await.len(), 2);
    assert!(hub.cloud.store.dead(10).await.unwrap().is_empty());
}

#[tokio::test]
async fn the_same_name_written_again_is_another_screen() {
    let hub = start(&[]).await;
    drop_file(&hub, "local/april/target.fasta", demo_bytes("pdl1.fasta")).await;
    drop_file(&hub, "local/april/hits.csv", library(2)).await;
    hub.settled().await;
    drop_file(&hub, "local/april/hits.csv", library(3)).await;
    hub.settled().await;
    let mut sizes: Vec<_> = batches(&hub).await.iter().map(|batch| batch["total_jobs"].as_u64().unwrap()).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [2, 3]);
}

#[tokio::test]
async fn an_upload_that_cannot_be_screened_becomes_a_failed_batch_that_says_why() {
    let hub = start(&[]).await;
    let cases: [(&str, &str, Vec<u8>, &str); 4] = [
        ("screen.yaml", "model: alphafold", library(2), "alphafold"),
        ("screen.yaml", "modle: boltz2", library(2), "modle"),
        ("target.fasta", ">a\nMKTB\n", library(2), "target.fasta"),
        ("target.fasta", ">a\nMKTAYIAKQRQISFVKSHFSRQ\n", b"\x00\x01\x02".to_vec(), ""),
    ];
    for (case, (beside, content, library, word)) in cases.into_iter().enumerate() {
        drop_file(&hub, &format!("local/{case}/{beside}"), content.into()).await;
        let library = drop_file(&hub, &format!("local/{case}/hits.csv"), library).await;
        let batch = hub.client.batch_of(library.path.name()).await;
        assert_eq!(batch["status"], "failed", "{batch}");
        assert!(batch["error"]["message"].as_str().unwrap().contains(word), "{word}: {}", batch["error"]);
    }
}
