//! A model's weights, from a bucket of ours to this machine's disk: never from the internet at run time, and never
//! believed unchecked, because a truncated checkpoint shows only as results that are missing.

use crate::{Error, WorkerPorts, retry::patiently};
use futures::{StreamExt, TryStreamExt};
use platform::ObjectMeta;
use service::places;
use std::path::{Path, PathBuf};
use tokio::{fs::File, io::AsyncWriteExt};

/// Files fetched at once.
const SIDE_BY_SIDE: usize = 4;
/// Files listed at once.
const PAGE: u32 = 1000;

/// Brings every weight of the model to `folder/model/…`. A file that is there with the right size is kept. Errs with
/// [`Error::Weights`] where the bucket has none for the model, or what arrived is not what was stored.
pub(crate) async fn fetch(ports: &WorkerPorts, model: &str, folder: &Path) -> Result<(), Error> {
    let files = stored(ports, &format!("{model}/")).await?;
    if files.is_empty() {
        return Err(Error::Weights(format!("the bucket {} has nothing under {model}/", places::WEIGHTS)));
    }
    let fetches: Vec<_> = files.into_iter().map(|file| one(ports.clone(), file, folder.to_owned())).collect();
    futures::stream::iter(fetches).buffer_unordered(SIDE_BY_SIDE).try_collect::<Vec<()>>().await?;
    Ok(())
}

async fn stored(ports: &WorkerPorts, prefix: &str) -> Result<Vec<ObjectMeta>, Error> {
    let mut files: Vec<ObjectMeta> = vec![];
    loop {
        let last = files.last().map(|file| file.path.name().to_owned());
        let page = patiently(&ports.clock, || ports.blobs.list(places::WEIGHTS, prefix, last.as_deref(), PAGE)).await?;
        if page.is_empty() {
            return Ok(files);
        }
        files.extend(page);
    }
}

async fn one(ports: WorkerPorts, stored: ObjectMeta, folder: PathBuf) -> Result<(), Error> {
    let path = folder.join(stored.path.name());
    if std::fs::metadata(&path).is_ok_and(|found| found.len() == stored.size) {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let partial = path.with_extension("partial");
    let (_, mut chunks) = patiently(&ports.clock, || ports.blobs.read(&stored.path, None)).await?;
    let mut file = File::create(&partial).await?;
    let (mut size, mut crc) = (0, 0);
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk?;
        size += chunk.len() as u64;
        crc = crc32c::crc32c_append(crc, &chunk);
        file.write_all(&chunk).await?;
    }
    file.flush().await?;
    if (size, crc) != (stored.size, stored.crc32c) {
        let name = stored.path.name();
        return Err(Error::Weights(format!("{name} arrived with {size} bytes of {}, or damaged", stored.size)));
    }
    Ok(std::fs::rename(&partial, &path)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use platform::{BlobPath, Clock, PutOptions, embedded::Store};

    fn ports(store: &Store) -> WorkerPorts {
        WorkerPorts { docs: store.docs(), blobs: store.blobs(), clock: Clock::system() }
    }

    #[tokio::test]
    async fn weights_are_fetched_once_and_a_truncated_file_is_fetched_again() {
        let (store, folder) = (Store::scratch(Clock::system()).unwrap(), tempfile::tempdir().unwrap());
        let ports = ports(&store);
        for (name, content) in [("boltz2/conf.ckpt", "weights"), ("boltz2/mols/ALA.pkl", "alanine"), ("chai1/x", "x")] {
            let path = BlobPath::new(places::WEIGHTS, name).unwrap();
            ports.blobs.put_bytes(&path, content, PutOptions::default()).await.unwrap();
        }
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        fetch(&ports, "boltz2", folder.path()).await.unwrap();
        assert_eq!((read("boltz2/conf.ckpt").as_str(), read("boltz2/mols/ALA.pkl").as_str()), ("weights", "alanine"));
        assert!(!folder.path().join("chai1").exists(), "the other model's are not needed");
        std::fs::write(folder.path().join("boltz2/conf.ckpt"), "weig").unwrap();
        std::fs::write(folder.path().join("boltz2/mols/ALA.pkl"), "ALANINE").unwrap();
        fetch(&ports, "boltz2", folder.path()).await.unwrap();
        assert_eq!((read("boltz2/conf.ckpt").as_str(), read("boltz2/mols/ALA.pkl").as_str()), ("weights", "ALANINE"));
    }

    #[tokio::test]
    async fn a_model_without_weights_fails_the_task_and_says_so() {
        let (store, folder) = (Store::scratch(Clock::system()).unwrap(), tempfile::tempdir().unwrap());
        let error = fetch(&ports(&store), "boltz2", folder.path()).await.unwrap_err();
        assert!(matches!(error, Error::Weights(_)) && error.to_string().contains("boltz2/"), "{error}");
    }
}
