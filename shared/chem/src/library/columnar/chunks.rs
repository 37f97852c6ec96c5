//! A library's bytes as the Parquet library asks for them: in blocks that are kept for a while, because two columns are
//! read in turn, and never more at once than a page may have.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};

use super::super::Source;

/// Bytes fetched at a time.
const BLOCK: u64 = 1 << 20;
/// Blocks kept: one for each column that is read, and some.
const BLOCKS_KEPT: usize = 8;
/// Largest page, compressed or not, and largest footer. Writers make pages of about 1 MiB, DuckDB of 5 MiB.
const MAX_PAGE: usize = 16 << 20;
/// Bytes of a page header looked at: what the sizes at its beginning take at most, and some.
const HEADER: usize = 24;
/// The end of a file: the length of its footer and `PAR1`.
const TAIL: u64 = 8;

/// What was asked of the source did not come, which says nothing of the file.
#[derive(Debug, thiserror::Error)]
#[error("the source failed")]
pub(super) struct SourceFailed(#[source] pub io::Error);

/// Bounded random access to a source.
#[derive(Clone)]
pub(super) struct Chunks {
    source: Arc<dyn Source>,
    kept: Arc<Mutex<VecDeque<(u64, Bytes)>>>,
}

impl Chunks {
    pub fn new(source: impl Source) -> Self {
        Self { source: Arc::new(source), kept: Arc::default() }
    }

    /// The block with this number, from memory where it is there.
    fn block(&self, number: u64) -> io::Result<Bytes> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = kept.iter().position(|(known, _)| *known == number)
            && let Some(found) = kept.remove(at)
        {
            kept.push_back(found.clone());
            return Ok(found.1);
        }
        let start = number * BLOCK;
        let length = self.source.size().saturating_sub(start).min(BLOCK);
        let bytes = self.source.range(start, length as usize);
        let bytes = bytes.map_err(|error| io::Error::new(error.kind(), SourceFailed(error)))?;
        if kept.len() == BLOCKS_KEPT {
            kept.pop_front();
        }
        kept.push_back((number, bytes.clone()));
        Ok(bytes)
    }

    /// The bytes from `start` to the end of their block.
    fn rest_of_block(&self, start: u64) -> io::Result<Bytes> {
        if start >= self.source.size() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(self.block(start / BLOCK)?.slice((start % BLOCK) as usize..))
    }

    fn gather(&self, start: u64, length: usize) -> io::Result<Bytes> {
        let first = self.rest_of_block(start)?;
        if first.len() >= length {
            return Ok(first.slice(..length));
        }
        let mut all = BytesMut::from(first);
        while all.len() < length {
            let next = self.rest_of_block(start + all.len() as u64)?;
            all.extend_from_slice(&next[..next.len().min(length - all.len())]);
        }
        Ok(all.freeze())
    }
}

impl Length for Chunks {
    fn len(&self) -> u64 {
        self.source.size()
    }
}

impl ChunkReader for Chunks {
    type T = From;

    /// The Parquet library reads page headers (and the tail of the file) this way and pages the other way. It makes room
    /// for whatever size a header claims, so claims are checked here.
    fn get_read(&self, start: u64) -> Result<From> {
        let left = self.len().saturating_sub(start);
        if left > TAIL {
            let header = self.gather(start, HEADER.min(left as usize))?;
            if claimed(&header).is_none_or(|size| size > MAX_PAGE as u64) {
                return Err(too_large("page"));
            }
        }
        Ok(From { chunks: self.clone(), at: start })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        match length {
            0 => Ok(Bytes::new()),
            _ if length > MAX_PAGE => Err(too_large("part")),
            _ => Ok(self.gather(start, length)?),
        }
    }
}

fn too_large(what: &str) -> ParquetError {
    ParquetError::General(format!("it has a {what} of more than {} MiB", MAX_PAGE >> 20))
}

/// Everything from one place on.
pub(super) struct From {
    chunks: Chunks,
    at: u64,
}

impl Read for From {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.chunks.len() {
            return Ok(0);
        }
        let bytes = self.chunks.rest_of_block(self.at)?;
        let count = bytes.len().min(buffer.len());
        buffer[..count].copy_from_slice(&bytes[..count]);
        self.at += count as u64;
        Ok(count)
    }
}

/// The larger of the two sizes that begin a page header: Thrift's compact protocol, fields 1 to 3 (type, uncompressed
/// size, compressed size), each an `i32`. `None` where the header does not begin so, as every writer's does.
fn claimed(header: &[u8]) -> Option<u64> {
    /// "The next field, an `i32`".
    const NEXT_I32: u8 = 0x15;
    let mut rest = header.iter();
    let mut field = || -> Option<u64> {
        if *rest.next()? != NEXT_I32 {
            return None;
        }
        let mut value = 0;
        for shift in (0..35).step_by(7) {
            let byte = *rest.next()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                // Zigzag: a negative size is odd here, and refused.
                return (value % 2 == 0).then_some(value / 2);
            }
        }
        None
    };
    field()?;
    Some(field()?.max(field()?))
}
