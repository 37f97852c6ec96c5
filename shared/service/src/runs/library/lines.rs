//! JSON lines written by a thread that may block, streamed into an object as they come.

use bytes::Bytes;
use futures::StreamExt;
use platform::blobs::Chunks;
use serde::Serialize;
use std::io;
use tokio::sync::mpsc;

/// Bytes sent at a time.
const CHUNK: usize = 256 * 1024;

/// JSON lines on their way into an object. Dropped before [`Lines::flush`], the object is never made: its stream ends
/// in an error.
pub(super) struct Lines {
    buffer: Vec<u8>,
    sender: mpsc::Sender<io::Result<Bytes>>,
    complete: bool,
}

impl Lines {
    pub fn channel() -> (Self, Chunks) {
        let (sender, receiver) = mpsc::channel(4);
        let chunks =
            futures::stream::unfold(receiver, |mut receiver| async { Some((receiver.recv().await?, receiver)) });
        (Lines { buffer: Vec::with_capacity(CHUNK), sender, complete: false }, chunks.boxed())
    }

    pub fn push(&mut self, value: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.buffer, value)?;
        self.buffer.push(b'\n');
        if self.buffer.len() >= CHUNK { self.send() } else { Ok(()) }
    }

    pub fn flush(&mut self) -> io::Result<()> {
        self.complete = true;
        self.send()
    }

    fn send(&mut self) -> io::Result<()> {
        let chunk = Bytes::from(std::mem::replace(&mut self.buffer, Vec::with_capacity(CHUNK)));
        self.sender.blocking_send(Ok(chunk)).map_err(|_| io::Error::other("the object was not taken"))
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        if !self.complete {
            let _ = self.sender.blocking_send(Err(io::Error::other("the library ended early")));
        }
    }
}
