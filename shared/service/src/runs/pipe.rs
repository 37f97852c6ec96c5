//! What a writer writes, as the chunks of an object: never more than a chunk in between, and where the writer fails or
//! panics the stream ends in an error, so that no object is made of half a file.

use futures::{FutureExt, StreamExt, stream};
use platform::blobs::Chunks;
use std::{
    future::Future,
    io::{self, BufWriter, Write},
};
use tokio::{io::DuplexStream, task::JoinHandle};
use tokio_util::io::{ReaderStream, SyncIoBridge};

const CHUNK: usize = 256 * 1024;

/// The chunks of what the task writes.
pub fn task<F>(write: impl FnOnce(DuplexStream) -> F) -> Chunks
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let (near, far) = tokio::io::duplex(CHUNK);
    chunks(far, tokio::spawn(write(near)))
}

/// The chunks of what work that blocks writes.
pub fn blocking(write: impl FnOnce(&mut (dyn Write + Send)) -> io::Result<()> + Send + 'static) -> Chunks {
    let (near, far) = tokio::io::duplex(CHUNK);
    let bridge = SyncIoBridge::new(near);
    let work = move || {
        let mut sink = BufWriter::with_capacity(CHUNK, bridge);
        write(&mut sink)?;
        sink.flush()
    };
    chunks(far, tokio::task::spawn_blocking(work))
}

/// The writer's end closes when the writer is done, well or not: how it went is asked after the last byte.
fn chunks(far: DuplexStream, writer: JoinHandle<io::Result<()>>) -> Chunks {
    let ended = writer.map(|outcome| outcome.unwrap_or_else(|panic| Err(io::Error::other(panic))));
    let failure = stream::once(ended).filter_map(async |outcome| outcome.err().map(Err));
    ReaderStream::with_capacity(far, CHUNK).chain(failure).boxed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use platform::{BlobPath, Clock, PutOptions, embedded::Store};

    #[tokio::test]
    async fn a_writer_that_fails_or_panics_leaves_no_object() {
        let blobs = Store::scratch(Clock::system()).unwrap().blobs();
        let failing = blocking(|sink| {
            sink.write_all(&vec![7; 3 * CHUNK])?;
            Err(io::Error::other("the disk is on fire"))
        });
        let panicking = blocking(|_| panic!("not this again"));
        for (name, content) in [("failing", failing), ("panicking", panicking)] {
            let path = BlobPath::new("artifacts", name).unwrap();
            assert!(blobs.put(&path, content, PutOptions::default()).await.is_err(), "{name}");
            assert_eq!(blobs.head(&path).await.unwrap(), None, "{name}");
        }
    }

    #[tokio::test]
    async fn every_byte_arrives_in_order() {
        let blobs = Store::scratch(Clock::system()).unwrap().blobs();
        let bytes: Vec<u8> = (0..3 * CHUNK + 17).map(|at| (at % 251) as u8).collect();
        let given = bytes.clone();
        let path = BlobPath::new("artifacts", "whole").unwrap();
        let content = blocking(move |sink| given.chunks(1000).try_for_each(|part| sink.write_all(part)));
        blobs.put(&path, content, PutOptions::default()).await.unwrap();
        assert!(blobs.get(&path, u64::MAX).await.unwrap() == bytes);
    }
}
