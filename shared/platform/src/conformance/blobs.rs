use crate::{BlobPath, Blobs, Error, PutMode, PutOptions};
use bytes::Bytes;
use futures::StreamExt;
use serde_json::{Value, json};

/// Runs the whole suite in `bucket`, which must exist and be empty.
pub async fn blobs(blobs: &Blobs, bucket: &str) {
    let path = |name: &str| BlobPath::new(bucket, name).unwrap();
    an_object_is_what_was_written(blobs, path("a/one.txt")).await;
    preconditions_hold(blobs, path("a/once.txt")).await;
    ranges_are_cut_at_the_end(blobs, path("a/range.bin")).await;
    a_broken_stream_leaves_nothing(blobs, path("a/broken.bin")).await;
    one_of_many_creators_wins(blobs, path("a/contended")).await;
    a_copy_outlives_its_source(blobs, path("c/source.txt"), path("c/copy.txt")).await;
    lists_page_by_prefix(blobs, bucket).await;
}

async fn an_object_is_what_was_written(blobs: &Blobs, path: BlobPath) {
    assert!(blobs.head(&path).await.unwrap().is_none());
    assert!(matches!(blobs.get(&path, 10).await, Err(Error::NotFound(_))));
    let mut options = PutOptions::of_type("text/plain");
    options.metadata.insert("trace".into(), "t1".into());
    let chunks = futures::stream::iter([Ok(Bytes::from("hello ")), Ok(Bytes::from("world"))]).boxed();
    let meta = blobs.put(&path, chunks, options).await.unwrap();
    assert_eq!((meta.size, meta.content_type.as_str(), meta.metadata["trace"].as_str()), (11, "text/plain", "t1"));
    assert_eq!(meta.crc32c, 0xC994_65AA, "CRC-32C of \"hello world\"");
    assert_eq!(blobs.head(&path).await.unwrap().unwrap().generation, meta.generation);
    assert_eq!(blobs.get(&path, 11).await.unwrap(), "hello world");
    assert!(matches!(blobs.get(&path, 10).await, Err(Error::Invalid(_))), "over the limit");
    blobs.put_json(&path, &json!({"a": 1}), PutOptions::default()).await.unwrap();
    assert_eq!(blobs.get_json::<Value>(&path, 100).await.unwrap(), json!({"a": 1}));
    blobs.delete(&path).await.unwrap();
    blobs.delete(&path).await.expect("deleting what is gone is no error");
    assert!(blobs.head(&path).await.unwrap().is_none());
}

async fn preconditions_hold(blobs: &Blobs, path: BlobPath) {
    let once = || PutOptions::of_type("text/plain").create_once();
    let first = blobs.put_bytes(&path, "1", once()).await.unwrap();
    assert!(matches!(blobs.put_bytes(&path, "2", once()).await, Err(Error::AlreadyExists(_))));
    assert_eq!(blobs.get(&path, 1).await.unwrap(), "1");
    let replace = |generation| PutOptions { mode: PutMode::Replace(generation), ..Default::default() };
    let second = blobs.put_bytes(&path, "2", replace(first.generation)).await.unwrap();
    assert!(second.generation > first.generation);
    assert!(matches!(blobs.put_bytes(&path, "3", replace(first.generation)).await, Err(Error::Conflict(_))));
    assert_eq!(blobs.get(&path, 1).await.unwrap(), "2");
}

async fn ranges_are_cut_at_the_end(blobs: &Blobs, path: BlobPath) {
    let content: Vec<u8> = (0..200_000u32).map(|n| (n % 251) as u8).collect();
    blobs.put_bytes(&path, content.clone(), PutOptions::default()).await.unwrap();
    assert_eq!(blobs.get_range(&path, 70_000..70_010).await.unwrap(), content[70_000..70_010]);
    assert_eq!(blobs.get_range(&path, 199_990..300_000).await.unwrap(), content[199_990..]);
    assert!(blobs.get_range(&path, 200_000..200_001).await.unwrap().is_empty());
    let ranges = [150_000..150_007, 3..3, 0..100_000, 199_999..200_005, 200_001..200_002];
    let cut = |at: u64| at.min(200_000) as usize;
    let several = blobs.get_ranges(&path, &ranges).await.unwrap();
    let expected: Vec<_> = ranges.map(|range| &content[cut(range.start)..cut(range.end)]).to_vec();
    assert_eq!(several, expected);
    assert_eq!(blobs.get(&path, 200_000).await.unwrap(), content);
}

async fn a_broken_stream_leaves_nothing(blobs: &Blobs, path: BlobPath) {
    let broken = futures::stream::iter([Ok(Bytes::from("half")), Err(std::io::Error::other("gone"))]).boxed();
    assert!(blobs.put(&path, broken, PutOptions::default()).await.is_err());
    assert!(blobs.head(&path).await.unwrap().is_none());
}

async fn one_of_many_creators_wins(blobs: &Blobs, path: BlobPath) {
    let creators = (0..4).map(|n| {
        let path = path.clone();
        async move { blobs.put_bytes(&path, n.to_string(), PutOptions::default().create_once()).await }
    });
    let outcomes = futures::future::join_all(creators).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
}

async fn a_copy_outlives_its_source(blobs: &Blobs, from: BlobPath, to: BlobPath) {
    assert!(matches!(blobs.copy(&from, &to).await, Err(Error::NotFound(_))));
    assert!(blobs.head(&to).await.unwrap().is_none());
    let mut options = PutOptions::of_type("chemical/x-mmcif");
    options.metadata.insert("trace".into(), "t1".into());
    let source = blobs.put_bytes(&from, "data_", options).await.unwrap();
    let old = blobs.put_bytes(&to, "something else", PutOptions::default()).await.unwrap();
    let copy = blobs.copy(&from, &to).await.unwrap();
    assert_eq!(copy.path, to);
    assert!(copy.generation > old.generation && copy.generation != source.generation, "a write like any other");
    assert_eq!((copy.size, copy.crc32c), (source.size, source.crc32c));
    assert_eq!((copy.content_type, copy.metadata), (source.content_type, source.metadata));
    blobs.delete(&from).await.unwrap();
    assert_eq!(blobs.get(&to, 100).await.unwrap(), "data_");
    assert_eq!(blobs.head(&to).await.unwrap().unwrap().generation, copy.generation);
}

async fn lists_page_by_prefix(blobs: &Blobs, bucket: &str) {
    for name in ["l/a", "l/b/1", "l/b/2", "l/b_", "m/a"] {
        blobs.put_bytes(&BlobPath::new(bucket, name).unwrap(), "", PutOptions::default()).await.unwrap();
    }
    let names = |prefix: &'static str, after: Option<&'static str>, limit| async move {
        let found = blobs.list(bucket, prefix, after, limit).await.unwrap();
        found.into_iter().map(|meta| meta.path.name().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names("l/", None, 10).await, ["l/a", "l/b/1", "l/b/2", "l/b_"]);
    assert_eq!(names("l/b/", None, 10).await, ["l/b/1", "l/b/2"]);
    assert_eq!(names("l/", Some("l/b/1"), 1).await, ["l/b/2"]);
    assert!(names("none/", None, 10).await.is_empty());
}
