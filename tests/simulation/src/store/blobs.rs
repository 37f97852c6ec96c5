//! Objects in memory.

use super::Port;
use crate::universe::{Pid, State};
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use domain::safeguard::{Safeguard, holds};
use futures::{StreamExt, stream};
use platform::{
    BlobPath, Error, Method, ObjectMeta, PutMode, PutOptions, Result,
    blobs::{BlobsCore, Chunks},
    embedded::Event,
};
use service::places;
use std::{ops::Range, time::Duration};
use url::Url;

#[async_trait]
impl BlobsCore for Port {
    async fn put(&self, path: &BlobPath, mut content: Chunks, options: PutOptions) -> Result<ObjectMeta> {
        let mut bytes = BytesMut::new();
        while let Some(chunk) = content.next().await {
            bytes.extend_from_slice(&chunk.map_err(|error| Error::internal("writing an object", error))?);
        }
        let key = path.to_string();
        self.call("put", true, &key, |state, pid| put(state, pid, path, &key, bytes.freeze(), options)).await
    }

    async fn read(&self, path: &BlobPath, range: Option<Range<u64>>) -> Result<(ObjectMeta, Chunks)> {
        let key = path.to_string();
        let (meta, content) = self
            .call("read", false, &key, |state, _| {
                state.store.objects.get(&key).cloned().ok_or_else(|| Error::NotFound(key.clone()))
            })
            .await?;
        let content = match range {
            None => content,
            Some(range) => {
                let end = (range.end as usize).min(content.len());
                content.slice((range.start as usize).min(end)..end)
            }
        };
        Ok((meta, stream::once(async { Ok(content) }).boxed()))
    }

    async fn head(&self, path: &BlobPath) -> Result<Option<ObjectMeta>> {
        let key = path.to_string();
        self.call("head", false, &key, |state, _| Ok(state.store.objects.get(&key).map(|(meta, _)| meta.clone()))).await
    }

    async fn list(&self, bucket: &str, prefix: &str, after: Option<&str>, limit: u32) -> Result<Vec<ObjectMeta>> {
        let from = format!("{bucket}/{prefix}");
        let after = after.map(|after| format!("{bucket}/{after}"));
        self.call("list", false, &from, |state, pid| {
            if bucket == places::REPORTS {
                state.processes[pid].listed = state.store.version;
            }
            let inside = state.store.objects.range(from.clone()..).take_while(|(name, _)| name.starts_with(&from));
            let later = inside.filter(|(name, _)| after.as_ref().is_none_or(|after| *name > after));
            Ok(later.take(limit as usize).map(|(_, (meta, _))| meta.clone()).collect())
        })
        .await
    }

    async fn copy(&self, from: &BlobPath, to: &BlobPath) -> Result<ObjectMeta> {
        let (source, key) = (from.to_string(), to.to_string());
        self.call("copy", true, &key, |state, pid| {
            let found = state.store.objects.get(&source).cloned();
            let (meta, content) = found.ok_or_else(|| Error::NotFound(source.clone()))?;
            crate::watch::object_copied(state, pid, from);
            Ok(store(state, pid, ObjectMeta { path: to.clone(), ..meta }, content))
        })
        .await
    }

    async fn delete(&self, path: &BlobPath) -> Result<()> {
        let key = path.to_string();
        self.call("delete", true, &key, |state, pid| {
            if state.store.objects.remove(&key).is_some() {
                crate::watch::object_removed(state, pid, path);
            }
            Ok(())
        })
        .await
    }

    async fn link(&self, path: &BlobPath, _: Method, _: Duration, _: Option<&str>) -> Result<Url> {
        Url::parse(&format!("http://storage.invalid/{path}")).map_err(|error| Error::internal("making a link", error))
    }
}

fn put(
    state: &mut State,
    pid: Pid,
    path: &BlobPath,
    key: &str,
    content: Bytes,
    options: PutOptions,
) -> Result<ObjectMeta> {
    let current = state.store.objects.get(key).map(|(meta, _)| meta.generation);
    let may_overwrite = path.bucket() == places::REPORTS && !holds(Safeguard::CreateOnceReports);
    match options.mode {
        PutMode::Create if current.is_some() && !may_overwrite => return Err(Error::AlreadyExists(key.to_owned())),
        PutMode::Replace(generation) if current != Some(generation) => return Err(Error::Conflict(key.to_owned())),
        _ => {}
    }
    Ok(insert(state, pid, path, content, options))
}

/// Writes an object whatever was there.
pub fn insert(state: &mut State, pid: Pid, path: &BlobPath, content: Bytes, options: PutOptions) -> ObjectMeta {
    let meta = ObjectMeta {
        path: path.clone(),
        generation: 0,
        size: content.len() as u64,
        content_type: if options.content_type.is_empty() {
            "application/octet-stream".to_owned()
        } else {
            options.content_type.to_owned()
        },
        metadata: options.metadata,
        crc32c: crc32c::crc32c(&content),
        created_at: state.now,
    };
    store(state, pid, meta, content)
}

fn store(state: &mut State, pid: Pid, meta: ObjectMeta, content: Bytes) -> ObjectMeta {
    let meta = ObjectMeta { generation: state.store.next_version(), created_at: state.now, ..meta };
    crate::watch::object_written(state, pid, &meta.path);
    state.store.objects.insert(meta.path.to_string(), (meta.clone(), content));
    state.happened.push(Event::Object(meta.clone()));
    meta
}
