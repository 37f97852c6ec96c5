//! A worker's report from any bytes: what is taken over speaks for this shard and of no item twice, and never leaves a
//! shard in a state that it cannot have.
#![no_main]

use async_trait::async_trait;
use domain::{JobId, Shard, Timestamp, Uid};
use futures::{StreamExt, executor::block_on, stream};
use libfuzzer_sys::fuzz_target;
use platform::{
    BlobPath, Blobs, Error, Method, ObjectMeta, PutOptions, Result,
    blobs::{BlobsCore, Chunks},
};
use service::runs::reports::{earlier_outcomes, newest};
use std::{collections::BTreeMap, ops::Range, sync::Arc, time::Duration};
use url::Url;

const INPUT: &str = include_str!("shard-input.json");
const ITEMS: u32 = 3;

/// A bucket with one report, and the input of the shard.
struct OneReport(Vec<u8>);

fn meta(path: &BlobPath, size: usize) -> ObjectMeta {
    ObjectMeta {
        path: path.clone(),
        generation: 1,
        size: size as u64,
        content_type: String::new(),
        metadata: BTreeMap::new(),
        crc32c: 0,
        created_at: chrono::DateTime::UNIX_EPOCH,
    }
}

#[async_trait]
impl BlobsCore for OneReport {
    async fn put(&self, path: &BlobPath, _: Chunks, _: PutOptions) -> Result<ObjectMeta> {
        Err(Error::AlreadyExists(path.to_string()))
    }

    async fn read(&self, path: &BlobPath, _: Option<Range<u64>>) -> Result<(ObjectMeta, Chunks)> {
        let content = if path.bucket() == "reports" { self.0.clone() } else { INPUT.as_bytes().to_vec() };
        Ok((meta(path, content.len()), stream::once(async { Ok(content.into()) }).boxed()))
    }

    async fn head(&self, _: &BlobPath) -> Result<Option<ObjectMeta>> {
        Ok(None)
    }

    async fn list(&self, bucket: &str, prefix: &str, _: Option<&str>, _: u32) -> Result<Vec<ObjectMeta>> {
        Ok(vec![meta(&BlobPath::new(bucket, format!("{prefix}00000001.json"))?, self.0.len())])
    }

    async fn copy(&self, from: &BlobPath, _: &BlobPath) -> Result<ObjectMeta> {
        Err(Error::NotFound(from.to_string()))
    }

    async fn delete(&self, _: &BlobPath) -> Result<()> {
        Ok(())
    }

    async fn link(&self, path: &BlobPath, _: Method, _: Duration, _: Option<&str>) -> Result<Url> {
        Err(Error::NotFound(path.to_string()))
    }
}

fuzz_target!(|data: &[u8]| {
    let blobs = Blobs::new(Arc::new(OneReport(data.to_vec())));
    let uid = Uid::named("u1".to_owned()).expect("an id");
    let job = JobId::try_from("batch_0123456789abcdefghjkmnpq".to_owned()).expect("an id");
    let now = Timestamp::from(chrono::DateTime::UNIX_EPOCH);
    let mut shard = Shard { attempt: 1, ..Shard::new(0, ITEMS, now) };
    if let Some((name, report)) = block_on(newest(&blobs, &uid, &job, &shard)).expect("every answer of the bucket is one") {
        let last = report.last;
        if shard.accept(&report, &name, now) {
            assert!(shard.completed + shard.failed <= ITEMS);
            assert_eq!(shard.done, last);
            assert!(!last || shard.completed + shard.failed == ITEMS, "done without every item");
            assert!(!shard.accept(&report, &name, now), "the same report is no news");
            let text = serde_json::to_string(&shard).expect("a document");
            let read: Shard = serde_json::from_str(&text).expect("the document");
            assert_eq!(read, shard);
        }
    }
    let _ = block_on(earlier_outcomes(&blobs, &uid, &job, 0));
});
