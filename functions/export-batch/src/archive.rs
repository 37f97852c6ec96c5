//! The zip of a batch: its tables, and the best structures under names that tell their ranks. Written as a stream, one
//! file after the other; no name in it is the user's as it stands.

use async_zip::{Compression, ZipDateTime, ZipEntryBuilder, tokio::write::ZipFileWriter};
use domain::{JobRef, ResultRow, Run};
use futures::{AsyncWriteExt, StreamExt, TryStreamExt, future::ready, stream};
use platform::{BlobPath, Blobs, Result, blobs::Chunks};
use service::{
    places,
    runs::{pipe, results::Folder},
};
use std::{io, pin::pin};
use tokio::io::DuplexStream;

/// Up to this size, in bytes, a file is compressed in memory: its sizes stand before it, as every unzipper likes best.
const WHOLE: u64 = 8 * 1024 * 1024;
/// Files that are fetched before their turn, so that the archive does not wait for each.
const AHEAD: usize = 8;
/// The longest part of a name that is the ligand's, in characters.
const NAME: usize = 60;

/// The most structures an archive holds, the best ones: what fits into the minutes a request may take.
pub const MOST_STRUCTURES: usize = 10_000;

/// A name in the archive, and the object that lies there.
pub type Part = (String, BlobPath);

/// The structure of an item that has one: `structures/0001_imatinib.cif` for the best, `structures/item_0007_x.cif` for
/// an item without a rank. mmCIF, or the PDB file of a model that writes only that.
fn structure(run: &Run, row: &ResultRow) -> Option<Result<Part>> {
    let (kind, object) = ["cif", "pdb"].into_iter().find_map(|kind| Some((kind, row.files.get(kind)?)))?;
    let number = match row.rank {
        Some(rank) => format!("{rank:04}"),
        None => format!("item_{:04}", index(row)),
    };
    let name = format!("structures/{number}_{}.{kind}", safe(&row.ligand_name));
    Some(places::own_artifact(&run.uid, &run.job_id, object).map(|path| (name, path)))
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

/// The archive of the tables and of the structures of the rows in the folder, of which there are so many. An object
/// that is missing ends it in an error. Where there are more structures than it holds, a file in it says so.
pub fn chunks(blobs: Blobs, run: Run, tables: Vec<Part>, folder: Folder, rows: u64) -> Chunks {
    pipe::task(
        move |sink| async move { write(&blobs, &run, tables, &folder, rows, sink).await.map_err(io::Error::other) },
    )
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

enum Content {
    Whole(Vec<u8>),
    Stream(Chunks),
}

async fn write(
    blobs: &Blobs,
    run: &Run,
    tables: Vec<Part>,
    folder: &Folder,
    rows: u64,
    sink: DuplexStream,
) -> Result<(), Failure> {
    let date = run.completed_at.map(|time| ZipDateTime::from_chrono(&time.as_datetime())).unwrap_or_default();
    let entry = |name: String| ZipEntryBuilder::new(name.into(), Compression::Deflate).last_modification_date(date);
    let mut zip = ZipFileWriter::with_tokio(sink);
    let best = folder.stream(blobs).await?.take(MOST_STRUCTURES);
    let structures = best.try_filter_map(|row| ready(structure(run, &row).transpose()));
    let parts = stream::iter(tables.into_iter().map(Ok)).chain(structures);
    let open = async |part: Result<Part>| {
        let (name, path) = part?;
        Ok::<_, Failure>((name, open(blobs, &path).await?))
    };
    let mut opened = pin!(parts.map(open).buffered(AHEAD));
    while let Some((name, content)) = opened.try_next().await? {
        match content {
            Content::Whole(bytes) => zip.write_entry_whole(entry(name), &bytes).await?,
            Content::Stream(mut chunks) => {
                let mut entry = zip.write_entry_stream(entry(name)).await?;
                while let Some(chunk) = chunks.try_next().await? {
                    entry.write_all(&chunk).await?;
                }
                entry.close().await?;
            }
        }
    }
    if rows > MOST_STRUCTURES as u64 {
        let name = format!("structures/only_the_best_{MOST_STRUCTURES}.txt");
        let text = format!(
            "The batch has {rows} items. Here are the structures of the best {MOST_STRUCTURES}; each other one can be \
             asked for as /api/v1/jobs/<job_id>/files/cif.\n"
        );
        zip.write_entry_whole(entry(name), text.as_bytes()).await?;
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
