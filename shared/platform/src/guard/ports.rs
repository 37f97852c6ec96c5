//! The four ports behind a guard each, and what of each may be repeated.
//!
//! | Call | Without an answer |
//! |---|---|
//! | `Docs::get`, `query`, `aggregate` | repeated: they read |
//! | `Docs::commit` | not repeated: a commit that was applied unheard would come back as "exists" or "conflict", and its maker would believe that somebody else was first. Repeated only after a refusal for contention, which did nothing, and where it only deletes without a condition |
//! | `Blobs::head`, `list`, `read`, `copy`, `delete`, `link` | repeated; of a `read`, its beginning |
//! | `Blobs::put` | left to the adapter: only it can send pieces of a stream again, and tell its own repetition from another writer |
//! | `Bus::publish` | repeated: delivery is at least once anyway |
//! | `Executions::describe`, `cancel` | repeated |
//! | `Executions::start` | not repeated: the claim it carries makes a later `start` find what this one left, once the first can no longer be under way |

use super::Guard;
use crate::{
    BlobPath, Blobs, Bus, Clock, DocPath, Docs, Document, Execution, Executions, Message, Method, ObjectMeta,
    PutOptions, Query, Result, StartRequest, Version, Write,
    blobs::{BlobsCore, Chunks},
    bus::BusCore,
    docs::{DocsCore, Number},
    executions::ExecutionsCore,
};
use async_trait::async_trait;
use bytes::Bytes;
use std::{ops::Range, sync::Arc, time::Duration};
use url::Url;

/// Documents behind a guard; `what` is on the other side.
pub fn docs(what: &'static str, core: Arc<dyn DocsCore>, clock: &Clock) -> Docs {
    Docs::new(Arc::new(Guarded { core, guard: Guard::new(what, clock) }))
}

/// Objects behind a guard. Links have one of their own, because somebody else signs them.
pub fn blobs(what: &'static str, core: Arc<dyn BlobsCore>, clock: &Clock) -> Blobs {
    let (guard, signer) = (Guard::new(what, clock), Guard::new("the signer of links", clock));
    Blobs::new(Arc::new(GuardedBlobs { core, guard, signer }))
}

/// Messages behind a guard.
pub fn bus(what: &'static str, core: Arc<dyn BusCore>, clock: &Clock) -> Bus {
    Bus::new(Arc::new(Guarded { core, guard: Guard::new(what, clock) }))
}

/// Executions behind a guard.
pub fn executions(what: &'static str, core: Arc<dyn ExecutionsCore>, clock: &Clock) -> Executions {
    Executions::new(Arc::new(Guarded { core, guard: Guard::new(what, clock) }))
}

struct Guarded<C: ?Sized> {
    core: Arc<C>,
    guard: Guard,
}

struct GuardedBlobs {
    core: Arc<dyn BlobsCore>,
    guard: Guard,
    signer: Guard,
}

#[async_trait]
impl DocsCore for Guarded<dyn DocsCore> {
    async fn get(&self, path: &DocPath) -> Result<Option<Document>> {
        self.guard.repeat(|| self.core.get(path)).await
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<Vec<Version>> {
        let commit = || self.core.commit(writes.clone());
        if writes.iter().all(|write| matches!(write, Write::Delete { version: None, .. })) {
            return self.guard.repeat(commit).await;
        }
        self.guard.change(commit).await
    }

    async fn query(&self, query: &Query) -> Result<Vec<Document>> {
        self.guard.repeat(|| self.core.query(query)).await
    }

    async fn aggregate(&self, query: &Query, numbers: &[Number<'_>]) -> Result<Vec<f64>> {
        self.guard.repeat(|| self.core.aggregate(query, numbers)).await
    }
}

#[async_trait]
impl BlobsCore for GuardedBlobs {
    async fn put(&self, path: &BlobPath, content: Chunks, options: PutOptions) -> Result<ObjectMeta> {
        self.guard.once(self.core.put(path, content, options)).await
    }

    async fn read(&self, path: &BlobPath, range: Option<Range<u64>>) -> Result<(ObjectMeta, Chunks)> {
        self.guard.repeat(|| self.core.read(path, range.clone())).await
    }

    async fn read_ranges(&self, path: &BlobPath, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.guard.repeat(|| self.core.read_ranges(path, ranges)).await
    }

    async fn head(&self, path: &BlobPath) -> Result<Option<ObjectMeta>> {
        self.guard.repeat(|| self.core.head(path)).await
    }

    async fn list(&self, bucket: &str, prefix: &str, after: Option<&str>, limit: u32) -> Result<Vec<ObjectMeta>> {
        self.guard.repeat(|| self.core.list(bucket, prefix, after, limit)).await
    }

    async fn copy(&self, from: &BlobPath, to: &BlobPath) -> Result<ObjectMeta> {
        self.guard.repeat(|| self.core.copy(from, to)).await
    }

    async fn delete(&self, path: &BlobPath) -> Result<()> {
        self.guard.repeat(|| self.core.delete(path)).await
    }

    async fn link(&self, path: &BlobPath, method: Method, valid: Duration, download_as: Option<&str>) -> Result<Url> {
        self.signer.repeat(|| self.core.link(path, method, valid, download_as)).await
    }
}

#[async_trait]
impl BusCore for Guarded<dyn BusCore> {
    async fn publish(&self, topic: &str, message: Message) -> Result<()> {
        self.guard.repeat(|| self.core.publish(topic, message.clone())).await
    }
}

#[async_trait]
impl ExecutionsCore for Guarded<dyn ExecutionsCore> {
    async fn start(&self, request: StartRequest) -> Result<String> {
        self.guard.once(self.core.start(request)).await
    }

    async fn describe(&self, name: &str) -> Result<Option<Execution>> {
        self.guard.repeat(|| self.core.describe(name)).await
    }

    async fn cancel(&self, name: &str) -> Result<()> {
        self.guard.repeat(|| self.core.cancel(name)).await
    }
}
