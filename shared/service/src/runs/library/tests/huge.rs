//! A bucket whose objects are all a byte larger than a library may be, and in which nothing can be read.

use super::MOST_BYTES;
use async_trait::async_trait;
use chrono::DateTime;
use platform::{
    BlobPath, Error, Method, ObjectMeta, PutOptions, Result,
    blobs::{BlobsCore, Chunks},
};
use std::{collections::BTreeMap, ops::Range, time::Duration};
use url::Url;

pub struct Huge;

fn closed<T>() -> Result<T> {
    Err(Error::internal("the bucket", "nothing but what is known of an object was to be asked for"))
}

#[async_trait]
impl BlobsCore for Huge {
    async fn put(&self, _: &BlobPath, _: Chunks, _: PutOptions) -> Result<ObjectMeta> {
        closed()
    }

    async fn read(&self, _: &BlobPath, _: Option<Range<u64>>) -> Result<(ObjectMeta, Chunks)> {
        closed()
    }

    async fn head(&self, path: &BlobPath) -> Result<Option<ObjectMeta>> {
        Ok(Some(ObjectMeta {
            path: path.clone(),
            generation: 1,
            size: MOST_BYTES + 1,
            content_type: String::new(),
            metadata: BTreeMap::new(),
            crc32c: 0,
            created_at: DateTime::UNIX_EPOCH,
        }))
    }

    async fn list(&self, _: &str, _: &str, _: Option<&str>, _: u32) -> Result<Vec<ObjectMeta>> {
        closed()
    }

    async fn copy(&self, _: &BlobPath, _: &BlobPath) -> Result<ObjectMeta> {
        closed()
    }

    async fn delete(&self, _: &BlobPath) -> Result<()> {
        closed()
    }

    async fn link(&self, _: &BlobPath, _: Method, _: Duration, _: Option<&str>) -> Result<Url> {
        closed()
    }
}
