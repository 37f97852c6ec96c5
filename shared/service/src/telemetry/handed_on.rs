//! Ports that hand the trace of the request under way to what it causes: in a message's attributes, an object's
//! metadata, an execution's environment. A trace that is named already stays.

use super::{TRACEPARENT, current};
use crate::World;
use async_trait::async_trait;
use bytes::Bytes;
use platform::{
    BlobPath, Blobs, Bus, Execution, Executions, Message, Method, ObjectMeta, PutOptions, Result, StartRequest,
    blobs::{BlobsCore, Chunks},
    bus::BusCore,
    executions::ExecutionsCore,
};
use std::{collections::BTreeMap, ops::Range, sync::Arc, time::Duration};
use url::Url;

/// The same world, whose ports hand the trace on.
pub fn handing_on(world: World) -> World {
    World {
        blobs: Blobs::new(Arc::new(HandingOn(world.blobs))),
        bus: Bus::new(Arc::new(HandingOn(world.bus))),
        executions: Executions::new(Arc::new(HandingOn(world.executions))),
        ..world
    }
}

struct HandingOn<P>(P);

fn name_trace(place: &mut BTreeMap<String, String>, name: &str) {
    if let Some(trace) = current() {
        place.entry(name.to_owned()).or_insert_with(|| trace.traceparent());
    }
}

#[async_trait]
impl BusCore for HandingOn<Bus> {
    async fn publish(&self, topic: &str, mut message: Message) -> Result<()> {
        name_trace(&mut message.attributes, TRACEPARENT);
        self.0.publish(topic, message).await
    }
}

#[async_trait]
impl ExecutionsCore for HandingOn<Executions> {
    async fn start(&self, mut request: StartRequest) -> Result<String> {
        name_trace(&mut request.env, &TRACEPARENT.to_uppercase());
        self.0.start(request).await
    }

    async fn describe(&self, name: &str) -> Result<Option<Execution>> {
        self.0.describe(name).await
    }

    async fn cancel(&self, name: &str) -> Result<()> {
        self.0.cancel(name).await
    }
}

#[async_trait]
impl BlobsCore for HandingOn<Blobs> {
    async fn put(&self, path: &BlobPath, content: Chunks, mut options: PutOptions) -> Result<ObjectMeta> {
        name_trace(&mut options.metadata, TRACEPARENT);
        self.0.put(path, content, options).await
    }

    async fn read(&self, path: &BlobPath, range: Option<Range<u64>>) -> Result<(ObjectMeta, Chunks)> {
        self.0.read(path, range).await
    }

    async fn read_ranges(&self, path: &BlobPath, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.0.get_ranges(path, ranges).await
    }

    async fn head(&self, path: &BlobPath) -> Result<Option<ObjectMeta>> {
        self.0.head(path).await
    }

    async fn list(&self, bucket: &str, prefix: &str, after: Option<&str>, limit: u32) -> Result<Vec<ObjectMeta>> {
        self.0.list(bucket, prefix, after, limit).await
    }

    async fn copy(&self, from: &BlobPath, to: &BlobPath) -> Result<ObjectMeta> {
        self.0.copy(from, to).await
    }

    async fn delete(&self, path: &BlobPath) -> Result<()> {
        self.0.delete(path).await
    }

    async fn link(&self, path: &BlobPath, method: Method, valid: Duration, download_as: Option<&str>) -> Result<Url> {
        self.0.link(path, method, valid, download_as).await
    }
}
