//! Objects in Cloud Storage. Contents travel over its HTTP plane, everything else over gRPC. A bucket's name is the
//! prefix of the installation and the port's own name.

use super::{
    Endpoint, PATIENCE,
    error::{Reason, failed, reason},
    moment, one_attempt,
    unproven::Unproven,
};
use crate::{
    BlobPath, Error, Method, ObjectMeta, PutMode, PutOptions, Result,
    blobs::{BlobsCore, Chunks, RANGES_AT_ONCE, collect},
};
use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, future::try_join, stream};
use google_cloud_auth::{credentials::Builder as AuthBuilder, signer::Signer};
use google_cloud_gax::{
    error::Error as Cause,
    paginator::ItemPaginator,
    retry_policy::{RetryPolicyArg, RetryPolicyExt},
};
use google_cloud_storage::{
    builder::storage::SignedUrlBuilder,
    client::{Storage, StorageControl},
    model::Object,
    model_ext::ReadRange,
    read_object::ReadObjectResponse,
    retry_policy::RetryableErrors,
    streaming_source::{SizeHint, StreamingSource},
};
use std::{collections::VecDeque, io, ops::Range, sync::Mutex, sync::PoisonError, time::Duration};
use tokio::sync::OnceCell;
use url::Url;

pub(super) const WHAT: &str = "Cloud Storage";
/// Content up to this size goes in one request; more is sent in pieces, which can be sent again. In bytes.
const AT_ONCE: usize = 1024 * 1024;
/// One such piece; held in memory until it has arrived. In bytes, a multiple of 256 KiB.
const PIECE: usize = 8 * 1024 * 1024;
/// The most objects one page of a list may have.
const PAGE: u32 = 1000;
/// The longest a signed link may be good for.
const LONGEST_LINK: Duration = Duration::from_secs(7 * 24 * 3600);

pub(super) struct CloudStorage {
    prefix: String,
    endpoint: Option<Endpoint>,
    contents: OnceCell<Storage>,
    control: OnceCell<StorageControl>,
    signer: OnceCell<Signer>,
}

impl CloudStorage {
    pub(super) fn new(prefix: &str, endpoint: Option<Endpoint>) -> Self {
        CloudStorage {
            prefix: prefix.to_owned(),
            endpoint,
            contents: OnceCell::new(),
            control: OnceCell::new(),
            signer: OnceCell::new(),
        }
    }

    fn bucket(&self, name: &str) -> String {
        format!("projects/_/buckets/{}{name}", self.prefix)
    }

    /// Contents are tried again by the client: it resumes a stream in its middle, and marks what it sends twice.
    async fn contents(&self) -> Result<&Storage> {
        let make = || async {
            let mut builder = Storage::builder().with_retry_policy(patience()).with_resumable_upload_buffer_size(PIECE);
            if let Some(Endpoint(url)) = &self.endpoint {
                builder = builder.with_endpoint(url).with_credentials(Endpoint::credentials());
            }
            builder.build().await.map_err(|error| Error::internal(WHAT, error))
        };
        self.contents.get_or_try_init(make).await
    }

    async fn control(&self) -> Result<&StorageControl> {
        let make = || async {
            let mut builder = StorageControl::builder().with_retry_policy(one_attempt());
            if let Some(Endpoint(url)) = &self.endpoint {
                builder = builder.with_endpoint(url).with_credentials(Endpoint::credentials());
            }
            builder.build().await.map_err(|error| Error::internal(WHAT, error))
        };
        self.control.get_or_try_init(make).await
    }

    /// Signs as the service's own account: with a key nobody holds, through IAM's `signBlob`.
    async fn signer(&self) -> Result<&Signer> {
        let make = || async {
            match self.endpoint {
                Some(_) => Ok(Unproven::signer()),
                None => AuthBuilder::default().build_signer().map_err(|error| Error::internal("signing", error)),
            }
        };
        self.signer.get_or_try_init(make).await
    }

    /// The content, where there is some in the range.
    async fn open(&self, path: &BlobPath, range: Option<&Range<u64>>) -> Result<Opened> {
        if range.is_some_and(Range::is_empty) {
            return Ok(Opened::Nothing);
        }
        let mut request = self.contents().await?.read_object(self.bucket(path.bucket()), path.name());
        if let Some(range) = range {
            request = request.set_read_range(ReadRange::segment(range.start, range.end - range.start));
        }
        match request.send().await {
            Ok(response) => Ok(Opened::Content(response)),
            Err(cause) => match reason(&cause) {
                Reason::Absent => Ok(Opened::Absent),
                Reason::Range => Ok(Opened::Nothing),
                _ => Err(failed(WHAT, cause)),
            },
        }
    }

    fn meta(&self, object: Object) -> Result<ObjectMeta> {
        let strange = |what: &str| Error::internal(WHAT, format!("an object without its {what}"));
        let bucket = object.bucket.strip_prefix(&self.bucket("")).ok_or_else(|| strange("bucket"))?;
        let created_at = object.create_time.and_then(moment);
        Ok(ObjectMeta {
            path: BlobPath::new(bucket, object.name)?,
            generation: object.generation,
            size: u64::try_from(object.size).map_err(|_| strange("size"))?,
            content_type: object.content_type,
            metadata: object.metadata.into_iter().collect(),
            crc32c: object.checksums.and_then(|sums| sums.crc32c).ok_or_else(|| strange("checksum"))?,
            created_at: created_at.ok_or_else(|| strange("time"))?,
        })
    }
}

#[async_trait]
impl BlobsCore for CloudStorage {
    async fn put(&self, path: &BlobPath, content: Chunks, options: PutOptions) -> Result<ObjectMeta> {
        let content = Content::begin(content).await.map_err(|error| Error::internal("the content", error))?;
        let mut request = self.contents().await?.write_object(self.bucket(path.bucket()), path.name(), content);
        request = match options.mode {
            PutMode::Overwrite => request,
            PutMode::Create => request.set_if_generation_match(0),
            PutMode::Replace(generation) => request.set_if_generation_match(generation),
        };
        let content_type = match options.content_type {
            "" => "application/octet-stream",
            given => given,
        };
        request = request.set_content_type(content_type).set_metadata(options.metadata).with_idempotency(true);
        let written = request.send_buffered().await;
        let refused = |cause: Cause| match (reason(&cause), options.mode) {
            (Reason::Precondition, PutMode::Create) => Error::AlreadyExists(path.to_string()),
            (Reason::Precondition | Reason::Absent, PutMode::Replace(_)) => Error::Conflict(path.to_string()),
            _ => failed(WHAT, cause),
        };
        self.meta(written.map_err(refused)?)
    }

    async fn read(&self, path: &BlobPath, range: Option<Range<u64>>) -> Result<(ObjectMeta, Chunks)> {
        // What is known of the object and its content are two requests. Where a writer came between them they are made
        // again.
        for _ in 0..8 {
            let (meta, opened) = try_join(self.head(path), self.open(path, range.as_ref())).await?;
            let Some(meta) = meta else { break };
            match opened {
                Opened::Content(response) if response.object().generation == meta.generation => {
                    return Ok((meta, chunks(response)));
                }
                Opened::Nothing => return Ok((meta, stream::empty().boxed())),
                Opened::Content(_) | Opened::Absent => {}
            }
        }
        Err(Error::NotFound(path.to_string()))
    }

    /// One request a range: nothing else is asked of the object.
    async fn read_ranges(&self, path: &BlobPath, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let read = |range: &Range<u64>| {
            let range = range.clone();
            async move {
                match self.open(path, Some(&range)).await? {
                    Opened::Content(response) => collect(chunks(response)).await,
                    Opened::Nothing => Ok(Bytes::new()),
                    Opened::Absent => Err(Error::NotFound(path.to_string())),
                }
            }
        };
        let reads: Vec<_> = ranges.iter().map(read).collect();
        stream::iter(reads).buffered(RANGES_AT_ONCE).try_collect().await
    }

    async fn head(&self, path: &BlobPath) -> Result<Option<ObjectMeta>> {
        let request = self.control().await?.get_object();
        match request.set_bucket(self.bucket(path.bucket())).set_object(path.name()).send().await {
            Ok(object) => self.meta(object).map(Some),
            Err(cause) if reason(&cause) == Reason::Absent => Ok(None),
            Err(cause) => Err(failed(WHAT, cause)),
        }
    }

    async fn list(&self, bucket: &str, prefix: &str, after: Option<&str>, limit: u32) -> Result<Vec<ObjectMeta>> {
        let page = limit.saturating_add(1).min(PAGE).cast_signed();
        let request = self.control().await?.list_objects().set_parent(self.bucket(bucket)).set_prefix(prefix);
        // The server begins at the name itself, this port after it.
        let mut objects = request.set_lexicographic_start(after.unwrap_or_default()).set_page_size(page).by_item();
        let mut found = vec![];
        while found.len() < limit as usize {
            let Some(object) = objects.next().await else { break };
            let object = object.map_err(|cause| failed(WHAT, cause))?;
            if Some(object.name.as_str()) != after {
                found.push(self.meta(object)?);
            }
        }
        Ok(found)
    }

    async fn copy(&self, from: &BlobPath, to: &BlobPath) -> Result<ObjectMeta> {
        let mut token = String::new();
        // One call copies all of an object, unless it is very large or goes to another place or storage class.
        loop {
            let request = self.control().await?.rewrite_object();
            let request = request.set_source_bucket(self.bucket(from.bucket())).set_source_object(from.name());
            let request = request.set_destination_bucket(self.bucket(to.bucket())).set_destination_name(to.name());
            let copied = match request.set_rewrite_token(token).send().await {
                Ok(copied) => copied,
                Err(cause) if reason(&cause) == Reason::Absent => return Err(Error::NotFound(from.to_string())),
                Err(cause) => return Err(failed(WHAT, cause)),
            };
            match copied.resource.filter(|_| copied.done) {
                Some(object) => return self.meta(object),
                None => token = copied.rewrite_token,
            }
        }
    }

    async fn delete(&self, path: &BlobPath) -> Result<()> {
        let request = self.control().await?.delete_object();
        match request.set_bucket(self.bucket(path.bucket())).set_object(path.name()).send().await {
            Ok(()) => Ok(()),
            Err(cause) if reason(&cause) == Reason::Absent => Ok(()),
            Err(cause) => Err(failed(WHAT, cause)),
        }
    }

    async fn link(&self, path: &BlobPath, method: Method, valid: Duration, download_as: Option<&str>) -> Result<Url> {
        let verb = match method {
            Method::Get => http::Method::GET,
            Method::Put { .. } => http::Method::PUT,
        };
        let mut link = SignedUrlBuilder::for_object(self.bucket(path.bucket()), path.name())
            .with_method(verb)
            .with_expiration(valid.min(LONGEST_LINK));
        if let Some((name, value)) = method.header() {
            link = link.with_header(name, value);
        }
        if let Some(name) = download_as {
            let name = name.replace(['"', '\\'], "_");
            link = link.with_query_param("response-content-disposition", format!("attachment; filename=\"{name}\""));
        }
        if let Some(Endpoint(url)) = &self.endpoint {
            link = link.with_endpoint(url);
        }
        let link = link.sign_with(self.signer().await?).await.map_err(|error| Error::internal("signing", error))?;
        Url::parse(&link).map_err(|error| Error::internal("signing", error))
    }
}

fn patience() -> RetryPolicyArg {
    RetryableErrors.with_time_limit(PATIENCE).into()
}

enum Opened {
    Content(ReadObjectResponse),
    /// The object is there, and has nothing in the range.
    Nothing,
    Absent,
}

fn chunks(response: ReadObjectResponse) -> Chunks {
    let next = |mut response: ReadObjectResponse| async {
        let chunk = response.next().await?.map_err(io::Error::other);
        Some((chunk, response))
    };
    stream::unfold(response, next).boxed()
}

/// What is written: its beginning, and the rest of the stream where there is more.
struct Content {
    begun: VecDeque<Bytes>,
    /// Of the whole, where it is known.
    size: Option<u64>,
    // The client wants to share it between threads, which a stream allows only behind a lock.
    rest: Mutex<Chunks>,
}

impl Content {
    /// Reads as far as one request takes; errs where the stream breaks off before that.
    async fn begin(mut rest: Chunks) -> io::Result<Self> {
        let (mut begun, mut read) = (VecDeque::new(), 0);
        let mut ended = false;
        while !ended && read < AT_ONCE {
            match rest.next().await.transpose()? {
                Some(chunk) => {
                    read += chunk.len();
                    begun.push_back(chunk);
                }
                None => ended = true,
            }
        }
        Ok(Content { begun, size: ended.then_some(read as u64), rest: Mutex::new(rest) })
    }
}

impl StreamingSource for Content {
    type Error = io::Error;

    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        match self.begun.pop_front() {
            Some(chunk) => Some(Ok(chunk)),
            None if self.size.is_some() => None,
            None => self.rest.get_mut().unwrap_or_else(PoisonError::into_inner).next().await,
        }
    }

    async fn size_hint(&self) -> io::Result<SizeHint> {
        Ok(self.size.map_or_else(SizeHint::new, SizeHint::with_exact))
    }
}
