//! Objects: the index in the database, each content in a file that is never changed once it is named. A file without
//! a row is what a killed writer left and is invisible.

use super::{Change, Event, Store, feed, links};
use crate::{
    BlobPath, Error, Method, ObjectMeta, PutMode, PutOptions, Result,
    blobs::{BlobsCore, Chunks},
};
use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use std::{
    io::{self, Read, Seek},
    ops::Range,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncWriteExt, Take},
};
use tokio_util::io::ReaderStream;
use url::Url;

const CHUNK: usize = 256 * 1024;
/// What is read in one step and not as a stream, in bytes.
const SMALL: u64 = 256 * 1024;
/// What is read where it is asked for: handing it to another thread takes longer. In bytes.
const TINY: u64 = 16 * 1024;

#[async_trait]
impl BlobsCore for Store {
    async fn put(&self, path: &BlobPath, content: Chunks, options: PutOptions) -> Result<ObjectMeta> {
        let (file, size, crc32c) = self.write_file(content).await?;
        let content_type = match options.content_type {
            "" => "application/octet-stream",
            given => given,
        };
        let meta = ObjectMeta {
            path: path.clone(),
            generation: 0,
            size,
            content_type: content_type.to_owned(),
            metadata: options.metadata,
            crc32c,
            created_at: self.0.clock.now(),
        };
        self.index(meta, options.mode, file).await
    }

    async fn read(&self, path: &BlobPath, range: Option<Range<u64>>) -> Result<(ObjectMeta, Chunks)> {
        // A writer may replace the object between the look-up and the open: then the name is looked up again.
        for _ in 0..8 {
            let name = path.clone();
            let Some((meta, file)) = self.look(move |connection| find(connection, &name)).await? else { break };
            let (file, size, range) = (self.file(&file), meta.size, range.clone().unwrap_or(0..meta.size));
            let wanted = range.end.min(size).saturating_sub(range.start);
            match quickly(wanted, move || Content::open(&file, size, range)).await? {
                Ok(content) => return Ok((meta, content.chunks())),
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(io_error(error)),
            }
        }
        Err(Error::NotFound(path.to_string()))
    }

    async fn read_ranges(&self, path: &BlobPath, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let wanted = ranges.iter().map(|range| range.end.saturating_sub(range.start)).sum::<u64>();
        for _ in 0..8 {
            let name = path.clone();
            let Some((meta, file)) = self.look(move |connection| find(connection, &name)).await? else { break };
            let (file, ranges) = (self.file(&file), ranges.to_vec());
            let reading = move || {
                let mut file = std::fs::File::open(file)?;
                ranges.into_iter().map(|range| read_range(&mut file, meta.size, range)).collect()
            };
            match quickly(wanted, reading).await? {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                read => return read.map_err(io_error),
            }
        }
        Err(Error::NotFound(path.to_string()))
    }

    async fn head(&self, path: &BlobPath) -> Result<Option<ObjectMeta>> {
        let path = path.clone();
        self.look(move |connection| Ok(find(connection, &path)?.map(|(meta, _)| meta))).await
    }

    async fn list(&self, bucket: &str, prefix: &str, after: Option<&str>, limit: u32) -> Result<Vec<ObjectMeta>> {
        let (bucket, prefix) = (bucket.to_owned(), prefix.to_owned());
        let after = after.unwrap_or_default().to_owned();
        self.read(move |connection| {
            let sql = "SELECT meta FROM objects WHERE bucket = ?1 AND name >= ?2 AND name > ?3
                       AND substr(name, 1, length(?2)) = ?2 ORDER BY name LIMIT ?4";
            let mut statement = connection.prepare_cached(sql)?;
            let rows = statement.query_map(params![bucket, prefix, after, limit], |row| row.get::<_, String>(0))?;
            rows.map(|row| Ok(serde_json::from_str(&row?)?)).collect()
        })
        .await
    }

    async fn copy(&self, from: &BlobPath, to: &BlobPath) -> Result<ObjectMeta> {
        let (meta, content) = BlobsCore::read(self, from, None).await?;
        let (file, size, crc32c) = self.write_file(content).await?;
        let meta = ObjectMeta { path: to.clone(), size, crc32c, created_at: self.0.clock.now(), ..meta };
        self.index(meta, PutMode::Overwrite, file).await
    }

    async fn delete(&self, path: &BlobPath) -> Result<()> {
        let path = path.clone();
        let file: Option<String> = self
            .transaction(move |transaction| {
                let sql = "DELETE FROM objects WHERE bucket = ?1 AND name = ?2 RETURNING file";
                let mut statement = transaction.prepare_cached(sql)?;
                Ok(statement.query_row([path.bucket(), path.name()], |row| row.get(0)).optional()?)
            })
            .await?;
        if let Some(file) = file {
            self.remove_file(&file).await;
        }
        Ok(())
    }

    async fn link(&self, path: &BlobPath, method: Method, valid: Duration, download_as: Option<&str>) -> Result<Url> {
        self.0.links.make(path, method, links::expiry(self.0.clock.now(), valid), download_as)
    }
}

impl Store {
    /// Puts the object whose content is in `file` into the index, if it may be; otherwise the file goes.
    async fn index(&self, meta: ObjectMeta, mode: PutMode, file: String) -> Result<ObjectMeta> {
        let name = file.clone();
        let recorded = self.transaction(move |transaction| record(transaction, meta, mode, &name)).await;
        match recorded {
            Ok((meta, replaced)) => {
                if let Some(old) = replaced {
                    self.remove_file(&old).await;
                }
                self.0.changed.notify_one();
                Ok(meta)
            }
            Err(error) => {
                self.remove_file(&file).await;
                Err(error)
            }
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.objects.join(name)
    }

    async fn remove_file(&self, name: &str) {
        // A file left behind costs space and nothing else.
        let _ = tokio::fs::remove_file(self.file(name)).await;
    }

    async fn write_file(&self, mut content: Chunks) -> Result<(String, u64, u32)> {
        let named = tempfile::Builder::new().prefix("o").tempfile_in(&self.0.objects).map_err(io_error)?;
        let (file, path) = named.keep().map_err(|error| io_error(error.error))?;
        let mut file = File::from_std(file);
        let (mut size, mut crc) = (0, 0);
        while let Some(chunk) = content.next().await {
            let written = match chunk {
                Ok(chunk) => {
                    size += chunk.len() as u64;
                    crc = crc32c::crc32c_append(crc, &chunk);
                    file.write_all(&chunk).await
                }
                Err(error) => Err(error),
            };
            if let Err(error) = written {
                let _ = tokio::fs::remove_file(&path).await;
                return Err(io_error(error));
            }
        }
        file.flush().await.map_err(io_error)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok((name, size, crc))
    }
}

/// Reads so many bytes: here where they are few, else on a thread that may block.
async fn quickly<T: Send + 'static>(wanted: u64, reading: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    if wanted <= TINY {
        return Ok(reading());
    }
    tokio::task::spawn_blocking(reading).await.map_err(|error| Error::internal("the object store", error))
}

fn find(connection: &Connection, path: &BlobPath) -> Result<Option<(ObjectMeta, String)>> {
    let sql = "SELECT meta, file FROM objects WHERE bucket = ?1 AND name = ?2";
    let row = connection
        .prepare_cached(sql)?
        .query_row([path.bucket(), path.name()], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))
        .optional()?;
    row.map(|(meta, file)| Ok((serde_json::from_str(&meta)?, file))).transpose()
}

/// Puts the object into the index; its final state and the file it replaced.
fn record(
    transaction: &Transaction<'_>,
    mut meta: ObjectMeta,
    mode: PutMode,
    file: &str,
) -> Result<(ObjectMeta, Option<String>)> {
    let current = find(transaction, &meta.path)?;
    match (mode, &current) {
        (PutMode::Create, Some(_)) => return Err(Error::AlreadyExists(meta.path.to_string())),
        (PutMode::Replace(generation), current)
            if current.as_ref().is_none_or(|(current, _)| current.generation != generation) =>
        {
            return Err(Error::Conflict(meta.path.to_string()));
        }
        _ => {}
    }
    meta.generation = Store::next_version(transaction)?;
    let sql = "INSERT OR REPLACE INTO objects (bucket, name, generation, meta, file) VALUES (?1, ?2, ?3, ?4, ?5)";
    let text = serde_json::to_string(&meta)?;
    transaction.prepare_cached(sql)?.execute(params![
        meta.path.bucket(),
        meta.path.name(),
        meta.generation,
        text,
        file
    ])?;
    feed::append(transaction, &Change { at: meta.created_at, event: Event::Object(meta.clone()) })?;
    Ok((meta, current.map(|(_, file)| file)))
}

/// The content of an object, or the range of it that was asked for.
enum Content {
    /// A small one, which was read in the same step.
    Whole(Bytes),
    Stream(Take<File>),
}

impl Content {
    fn open(path: &Path, size: u64, range: Range<u64>) -> io::Result<Self> {
        let mut file = std::fs::File::open(path)?;
        let length = range.end.min(size).saturating_sub(range.start);
        if length <= SMALL {
            return read_range(&mut file, size, range).map(Content::Whole);
        }
        file.seek(io::SeekFrom::Start(range.start))?;
        Ok(Content::Stream(File::from_std(file).take(length)))
    }

    fn chunks(self) -> Chunks {
        match self {
            Content::Whole(bytes) => stream::iter((!bytes.is_empty()).then_some(Ok(bytes))).boxed(),
            Content::Stream(file) => ReaderStream::with_capacity(file, CHUNK).boxed(),
        }
    }
}

/// The bytes of a range of a file of so many bytes, cut at its end.
fn read_range(file: &mut std::fs::File, size: u64, range: Range<u64>) -> io::Result<Bytes> {
    let mut bytes = vec![0; range.end.min(size).saturating_sub(range.start) as usize];
    file.seek(io::SeekFrom::Start(range.start))?;
    file.read_exact(&mut bytes)?;
    Ok(bytes.into())
}

fn io_error(error: io::Error) -> Error {
    Error::internal("the object store", error)
}
