//! An object on its way into the store while its writer still makes it: bytes are collected into chunks, and a few
//! chunks wait for the network. One that fits into a chunk is written as it is, at the end. Dropped before
//! [`Upload::finish`], the object is never made.

use crate::telemetry;
use bytes::Bytes;
use futures::{StreamExt, stream};
use platform::{BlobPath, Blobs, Error, ObjectMeta, PutOptions, Result, blobs::Chunks};
use std::io;
use tokio::{sync::mpsc, task::JoinHandle};

/// In bytes.
const CHUNK: usize = 256 * 1024;
/// Chunks that may wait.
const WAITING: usize = 4;

/// One object being written.
pub struct Upload {
    blobs: Blobs,
    path: BlobPath,
    options: PutOptions,
    buffer: Vec<u8>,
    sent: u64,
    flow: Option<Flow>,
}

/// Chunks that flow into the store.
struct Flow {
    /// `None` says that this was all.
    chunks: mpsc::Sender<Option<Bytes>>,
    put: JoinHandle<Result<ObjectMeta>>,
}

impl Upload {
    /// Begins the object at `path`.
    pub fn begin(blobs: &Blobs, path: BlobPath, options: PutOptions) -> Self {
        Upload { blobs: blobs.clone(), path, options, buffer: vec![], sent: 0, flow: None }
    }

    /// Bytes written so far.
    pub fn written(&self) -> u64 {
        self.sent + self.buffer.len() as u64
    }

    /// Where the next bytes go; [`Upload::relieve`] is to be called before they are many.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Sends the buffer away if it has grown to a chunk.
    pub async fn relieve(&mut self) -> Result<()> {
        if self.buffer.len() >= CHUNK { self.send().await } else { Ok(()) }
    }

    /// Writes bytes at hand.
    pub async fn push(&mut self, bytes: &[u8]) -> Result<()> {
        for part in bytes.chunks(CHUNK) {
            self.buffer.extend_from_slice(part);
            self.relieve().await?;
        }
        Ok(())
    }

    /// Ends the object, which then is there.
    pub async fn finish(mut self) -> Result<ObjectMeta> {
        if self.flow.is_none() {
            return self.blobs.put_bytes(&self.path, self.buffer, self.options).await;
        }
        self.send().await?;
        let Flow { chunks, put } = self.flow();
        // Where nobody takes it, the put below says why.
        let _ = chunks.send(None).await;
        put.await.map_err(|error| Error::internal("writing an object", error))?
    }

    async fn send(&mut self) -> Result<()> {
        let chunk = std::mem::replace(&mut self.buffer, Vec::with_capacity(CHUNK));
        self.sent += chunk.len() as u64;
        let flow = self.flow();
        if flow.chunks.send(Some(chunk.into())).await.is_ok() {
            return Ok(());
        }
        let ended = (&mut flow.put).await.map_err(|error| Error::internal("writing an object", error))?;
        Err(ended.err().unwrap_or_else(|| Error::internal("writing an object", io::Error::other("it ended early"))))
    }

    /// The flow, which begins when it is first asked for.
    fn flow(&mut self) -> &mut Flow {
        self.flow.get_or_insert_with(|| {
            let (chunks, receiver) = mpsc::channel(WAITING);
            let (blobs, path, options) = (self.blobs.clone(), self.path.clone(), self.options.clone());
            let put = telemetry::beside(async move { blobs.put(&path, content(receiver), options).await });
            Flow { chunks, put }
        })
    }
}

fn content(receiver: mpsc::Receiver<Option<Bytes>>) -> Chunks {
    let next = |receiver: Option<mpsc::Receiver<Option<Bytes>>>| async {
        let mut receiver = receiver?;
        match receiver.recv().await {
            Some(Some(chunk)) => Some((Ok(chunk), Some(receiver))),
            Some(None) => None,
            None => Some((Err(io::Error::other("the writer gave up")), None)),
        }
    };
    stream::unfold(Some(receiver), next).boxed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use platform::{Clock, embedded::Store};

    #[tokio::test]
    async fn an_object_is_there_whole_or_not_at_all() {
        let blobs = Store::scratch(Clock::system()).unwrap().blobs();
        let path = |name: &str| BlobPath::new("artifacts", name).unwrap();
        let bytes: Vec<u8> = (0..3 * CHUNK + 17).map(|at| (at % 251) as u8).collect();
        let mut whole = Upload::begin(&blobs, path("whole"), PutOptions::default());
        whole.push(&bytes).await.unwrap();
        assert_eq!(whole.written(), bytes.len() as u64);
        whole.finish().await.unwrap();
        assert!(blobs.get(&path("whole"), u64::MAX).await.unwrap() == bytes);
        let mut half = Upload::begin(&blobs, path("half"), PutOptions::default());
        half.push(&bytes).await.unwrap();
        let Flow { chunks, put } = half.flow.take().unwrap();
        drop(chunks);
        assert!(put.await.unwrap().is_err());
        assert_eq!(blobs.head(&path("half")).await.unwrap(), None);
    }
}
