//! The object port: named byte strings in buckets, strongly consistent, create-once when asked. Readers see the old
//! object or the new one, never a mixture. Made so that Cloud Storage fits as it is.

use crate::{Error, Result};
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use chrono::{DateTime, Utc};
use futures::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{collections::BTreeMap, fmt, io, ops::Range, sync::Arc, time::Duration};
use tokio::io::AsyncBufRead;
use tokio_util::io::StreamReader;
use url::Url;

/// Ranges of an object that are read at once.
pub(crate) const RANGES_AT_ONCE: usize = 32;

/// A stream of chunks of an object.
pub type Chunks = BoxStream<'static, io::Result<Bytes>>;

/// A bucket and the name of an object in it. Names hold no empty, `.` or `..` segment.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BlobPath {
    bucket: String,
    name: String,
}

impl BlobPath {
    /// Errs with [`Error::Invalid`] for a name that could mean another place, is empty or is over 1,024 bytes.
    pub fn new(bucket: impl Into<String>, name: impl Into<String>) -> Result<Self> {
        let (bucket, name) = (bucket.into(), name.into());
        let wrong = name.len() > 1024
            || name.chars().any(char::is_control)
            || name.split('/').any(|segment| matches!(segment, "" | "." | ".."));
        if wrong || bucket.is_empty() || bucket.contains(['/', '.']) {
            return Err(Error::Invalid(format!("{name:?} is not the name of an object")));
        }
        Ok(BlobPath { bucket, name })
    }

    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for BlobPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.bucket, self.name)
    }
}

/// What is known of an object without reading it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ObjectMeta {
    pub path: BlobPath,
    /// Rises with every write of the name; a deleted and written object never repeats one.
    pub generation: i64,
    /// In bytes.
    pub size: u64,
    pub content_type: String,
    pub metadata: BTreeMap<String, String>,
    /// CRC-32C of the content, as Cloud Storage computes it.
    pub crc32c: u32,
    pub created_at: DateTime<Utc>,
}

/// What a write does where the name is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PutMode {
    #[default]
    Overwrite,
    /// [`Error::AlreadyExists`] if the name is taken.
    Create,
    /// [`Error::Conflict`] unless the current object has this generation.
    Replace(i64),
}

/// How an object is written.
#[derive(Clone, Debug, Default)]
pub struct PutOptions {
    pub mode: PutMode,
    /// Empty stands for `application/octet-stream`.
    pub content_type: &'static str,
    pub metadata: BTreeMap<String, String>,
}

impl PutOptions {
    pub fn of_type(content_type: &'static str) -> Self {
        PutOptions { content_type, ..Default::default() }
    }

    pub fn create_once(mut self) -> Self {
        self.mode = PutMode::Create;
        self
    }
}

/// Says how large what is sent to a link may be: Cloud Storage's name of a header.
pub const LENGTH_RANGE: &str = "x-goog-content-length-range";

/// What a signed link allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Get,
    /// To write an object of `most` bytes at most.
    Put {
        most: u64,
    },
}

impl Method {
    pub fn as_str(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Put { .. } => "PUT",
        }
    }

    /// A header that the link is signed with: it is good for nothing without it.
    pub fn header(self) -> Option<(&'static str, String)> {
        match self {
            Method::Get => None,
            Method::Put { most } => Some((LENGTH_RANGE, format!("0,{most}"))),
        }
    }
}

/// What an adapter implements. Callers use [`Blobs`].
#[async_trait]
pub trait BlobsCore: Send + Sync {
    async fn put(&self, path: &BlobPath, content: Chunks, options: PutOptions) -> Result<ObjectMeta>;
    async fn read(&self, path: &BlobPath, range: Option<Range<u64>>) -> Result<(ObjectMeta, Chunks)>;
    /// An adapter that knows a quicker way than one read per range takes it.
    async fn read_ranges(&self, path: &BlobPath, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let read = |range: &Range<u64>| {
            let range = range.clone();
            async move { collect(self.read(path, Some(range)).await?.1).await }
        };
        let reads: Vec<_> = ranges.iter().map(read).collect();
        stream::iter(reads).buffered(RANGES_AT_ONCE).try_collect().await
    }
    async fn head(&self, path: &BlobPath) -> Result<Option<ObjectMeta>>;
    async fn list(&self, bucket: &str, prefix: &str, after: Option<&str>, limit: u32) -> Result<Vec<ObjectMeta>>;
    async fn copy(&self, from: &BlobPath, to: &BlobPath) -> Result<ObjectMeta>;
    async fn delete(&self, path: &BlobPath) -> Result<()>;
    async fn link(&self, path: &BlobPath, method: Method, valid: Duration, download_as: Option<&str>) -> Result<Url>;
}

/// The handle functions hold.
#[derive(Clone)]
pub struct Blobs(Arc<dyn BlobsCore>);

impl Blobs {
    pub fn new(core: Arc<dyn BlobsCore>) -> Self {
        Blobs(core)
    }

    /// Writes the stream as one object: it is there whole, or not at all.
    pub async fn put(&self, path: &BlobPath, content: Chunks, options: PutOptions) -> Result<ObjectMeta> {
        self.0.put(path, content, options).await
    }

    /// Writes bytes at hand.
    pub async fn put_bytes(
        &self,
        path: &BlobPath,
        content: impl Into<Bytes>,
        options: PutOptions,
    ) -> Result<ObjectMeta> {
        let content = content.into();
        self.put(path, stream::once(async { Ok(content) }).boxed(), options).await
    }

    /// Writes a value as JSON.
    pub async fn put_json<T: Serialize>(&self, path: &BlobPath, value: &T, options: PutOptions) -> Result<ObjectMeta> {
        let body = serde_json::to_vec(value).map_err(|error| Error::internal("writing JSON", error))?;
        self.put_bytes(path, body, PutOptions { content_type: "application/json", ..options }).await
    }

    /// Streams the object, or the byte range of it; [`Error::NotFound`] if it is not there. A range past the end is
    /// cut, one that begins past the end is empty.
    pub async fn read(&self, path: &BlobPath, range: Option<Range<u64>>) -> Result<(ObjectMeta, Chunks)> {
        self.0.read(path, range).await
    }

    /// The whole content, refused with [`Error::Invalid`] where it is larger than `limit` bytes.
    pub async fn get(&self, path: &BlobPath, limit: u64) -> Result<Bytes> {
        let (meta, chunks) = self.read(path, None).await?;
        if meta.size > limit {
            return Err(Error::Invalid(format!("{path} has {} bytes; {limit} is the most", meta.size)));
        }
        collect(chunks).await
    }

    /// The bytes of a range.
    pub async fn get_range(&self, path: &BlobPath, range: Range<u64>) -> Result<Bytes> {
        let found = self.0.read_ranges(path, &[range]).await?;
        Ok(found.into_iter().next().unwrap_or_default())
    }

    /// The bytes of several ranges, in their order, of an object that is not replaced meanwhile. They are read side by
    /// side.
    pub async fn get_ranges(&self, path: &BlobPath, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.0.read_ranges(path, ranges).await
    }

    /// The content read as JSON; content that is not a `T` is [`Error::Invalid`].
    pub async fn get_json<T: DeserializeOwned>(&self, path: &BlobPath, limit: u64) -> Result<T> {
        let body = self.get(path, limit).await?;
        serde_json::from_slice(&body)
            .map_err(|error| Error::Invalid(format!("{path} is not what it should be: {error}")))
    }

    /// The content as a buffered reader, for reading line by line.
    pub async fn reader(&self, path: &BlobPath) -> Result<impl AsyncBufRead + Send + Unpin + use<>> {
        Ok(StreamReader::new(self.read(path, None).await?.1))
    }

    /// What is known of the object, or `None`.
    pub async fn head(&self, path: &BlobPath) -> Result<Option<ObjectMeta>> {
        self.0.head(path).await
    }

    /// The objects whose names begin with `prefix`, in the order of names, after the name `after`.
    pub async fn list(&self, bucket: &str, prefix: &str, after: Option<&str>, limit: u32) -> Result<Vec<ObjectMeta>> {
        self.0.list(bucket, prefix, after, limit).await
    }

    /// Writes the object `from`, with its content type and metadata, under the name `to`, over whatever is there. The
    /// content does not travel through the caller. [`Error::NotFound`] if `from` is not there.
    pub async fn copy(&self, from: &BlobPath, to: &BlobPath) -> Result<ObjectMeta> {
        self.0.copy(from, to).await
    }

    /// Removes the object; an absent one is no error.
    pub async fn delete(&self, path: &BlobPath) -> Result<()> {
        self.0.delete(path).await
    }

    /// A link that lets its bearer do one thing with one object for a while. `download_as` names the file a browser
    /// saves.
    pub async fn link(
        &self,
        path: &BlobPath,
        method: Method,
        valid: Duration,
        download_as: Option<&str>,
    ) -> Result<Url> {
        self.0.link(path, method, valid, download_as).await
    }
}

pub(crate) async fn collect(mut chunks: Chunks) -> Result<Bytes> {
    let mut all = BytesMut::new();
    while let Some(chunk) = chunks.next().await {
        all.extend_from_slice(&chunk.map_err(|error| Error::internal("reading an object", error))?);
    }
    Ok(all.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_could_mean_another_place_is_refused() {
        for name in ["", "/a", "a/", "a//b", "../a", "a/../b", "a/.", "a\nb"] {
            assert!(BlobPath::new("artifacts", name).is_err(), "{name:?}");
        }
        assert!(BlobPath::new("artifacts", "u1/job_1/results/results.csv").is_ok());
    }
}
