//! The zip of a batch: its tables, and every structure under a name that tells its rank. Written as a stream, one file
//! after the other; no name in it is the user's as it stands.

use crate::pipe;
use async_zip::{Compression, ZipDateTime, ZipEntryBuilder, tokio::write::ZipFileWriter};
use domain::{JobRef, ResultRow, Run, Timestamp};
use futures::{AsyncWriteExt, StreamExt, TryStreamExt, stream};
use platform::{BlobPath, Blobs, Result, blobs::Chunks};
use service::places;
use std::{io, pin::pin};
use tokio::io::DuplexStream;

/// Up to this size, in bytes, a file is compressed in memory: its sizes stand before it, as every unzipper likes best.
const WHOLE: u64 = 8 * 1024 * 1024;
/// Files that are fetched before their turn, so that the archive does not wait for each.
const AHEAD: usize = 8;
/// The longest part of a name that is the ligand's, in characters.
const NAME: usize = 60;

/// A name in the archive, and the object that lies there.
pub type Part = (String, BlobPath);

/// The structure of every item that has one: `structures/0001_imatinib.cif` for the best, `structures/item_0007_x.cif`
/// for an item without a rank. mmCIF, or the PDB file of a model that writes only that.
pub fn structures(run: &Run, rows: &[ResultRow]) -> Result<Vec<Part>> {
    let part = |row: &ResultRow| {
        let (kind, object) = ["cif", "pdb"].into_iter().find_map(|kind| Some((kind, row.files.get(kind)?)))?;
        let number = match row.rank {
            Some(rank) => format!("{rank:04}"),
            None => format!("item_{:04}", index(row)),
        };
        let name = format!("structures/{number}_{}.{kind}", safe(&row.ligand_name));
        Some(places::own_artifact(&run.uid, &run.job_id, object).map(|path| (name, path)))
    };
    rows.iter().filter_map(part).collect()
}

/// Unique among the items of a batch.
fn index(row: &ResultRow) -> u64 {
    match JobRef::try_from(row.job_id.clone()) {
        Ok(JobRef::Child(child)) => child.index.into(),
        Ok(JobRef::Run(_)) | Err(_) => row.row,
    }
}

/// A name that is one segment of a path on every system.
fn safe(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    let name: String = name.chars().take(NAME).map(plain).collect();
    if name.is_empty() { "unnamed".to_owned() } else { name }
}

/// The archive of the parts, in their order. An object that is missing ends it in an error.
pub fn chunks(blobs: Blobs, written_at: Option<Timestamp>, parts: Vec<Part>) -> Chunks {
    pipe::task(|sink| async move { write(&blobs, written_at, parts, sink).await.map_err(io::Error::other) })
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

enum Content {
    Whole(Vec<u8>),
    Stream(Chunks),
}

async fn write(
    blobs: &Blobs,
    written_at: Option<Timestamp>,
    parts: Vec<Part>,
    sink: DuplexStream,
) -> Result<(), Failure> {
    let date = written_at.map(|time| ZipDateTime::from_chrono(&time.as_datetime())).unwrap_or_default();
    let mut zip = ZipFileWriter::with_tokio(sink);
    let open = async |(name, path): Part| Ok::<_, Failure>((name, open(blobs, &path).await?));
    let mut opened = pin!(stream::iter(parts).map(open).buffered(AHEAD));
    while let Some((name, content)) = opened.try_next().await? {
        let entry = ZipEntryBuilder::new(name.into(), Compression::Deflate).last_modification_date(date);
        match content {
            Content::Whole(bytes) => zip.write_entry_whole(entry, &bytes).await?,
            Content::Stream(mut chunks) => {
                let mut entry = zip.write_entry_stream(entry).await?;
                while let Some(chunk) = chunks.try_next().await? {
                    entry.write_all(&chunk).await?;
                }
                entry.close().await?;
            }
        }
    }
    zip.close().await?;
    Ok(())
}

async fn open(blobs: &Blobs, path: &BlobPath) -> Result<Content, Failure> {
    let (meta, chunks) = blobs.read(path, None).await?;
    if meta.size > WHOLE {
        return Ok(Content::Stream(chunks));
    }
    Ok(Content::Whole(chunks.try_collect::<Vec<_>>().await?.concat()))
}
