//! A library in the object store as the blocking readers of `chem` take it: from front to back, or in places. Only
//! reading is done here, and only on threads that may block.

use bytes::{Bytes, BytesMut};
use chem::Source;
use futures::TryStreamExt;
use platform::{BlobPath, Blobs, ObjectMeta, blobs::Chunks};
use std::{
    io::{self, BufRead, BufReader},
    ops::Range,
};
use tokio::runtime::Handle;
use tokio_util::io::{StreamReader, SyncIoBridge};

const CHUNK: usize = 256 * 1024;

/// One writing of an object.
#[derive(Clone)]
pub(super) struct Object {
    blobs: Blobs,
    path: BlobPath,
    generation: i64,
    size: u64,
    runtime: Handle,
}

impl Object {
    /// The writing that `meta` tells of. Called where there is a runtime.
    pub fn open(blobs: &Blobs, meta: ObjectMeta) -> Self {
        let ObjectMeta { path, generation, size, .. } = meta;
        Object { blobs: blobs.clone(), path, generation, size, runtime: Handle::current() }
    }

    /// Errs where the object was written again: two writings never make one library.
    async fn read(&self, range: Option<Range<u64>>) -> io::Result<Chunks> {
        let (meta, chunks) = self.blobs.read(&self.path, range).await.map_err(io::Error::other)?;
        if meta.generation == self.generation {
            Ok(chunks)
        } else {
            Err(io::Error::other("the library was replaced while it was read"))
        }
    }
}

impl Source for Object {
    fn size(&self) -> u64 {
        self.size
    }

    fn stream(&self) -> io::Result<Box<dyn BufRead + Send>> {
        let chunks = self.runtime.block_on(self.read(None))?;
        let bridge = SyncIoBridge::new_with_handle(StreamReader::new(chunks), self.runtime.clone());
        Ok(Box::new(BufReader::with_capacity(CHUNK, bridge)))
    }

    fn range(&self, start: u64, length: usize) -> io::Result<Bytes> {
        let read = async {
            let mut chunks = self.read(Some(start..start + length as u64)).await?;
            let mut all = BytesMut::with_capacity(length);
            while let Some(chunk) = chunks.try_next().await? {
                all.extend_from_slice(&chunk);
            }
            Ok(all.freeze())
        };
        self.runtime.block_on(read).and_then(|bytes: Bytes| {
            if bytes.len() == length { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
        })
    }
}
