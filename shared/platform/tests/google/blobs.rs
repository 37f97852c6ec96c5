//! Objects in Cloud Storage, as the project's test server plays it.

use crate::trial;
use bytes::Bytes;
use futures::StreamExt;
use gcs_server::{Options, Server};
use libtest_mimic::Trial;
use platform::{
    BlobPath, Blobs, Clock, Method, PutOptions, conformance,
    google::{self, Endpoint},
};
use std::{io, time::Duration};

const MIB: usize = 1024 * 1024;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("cloud_storage_passes_the_suite_of_objects", || async {
            let (_server, blobs) = start().await;
            conformance::blobs(&blobs, "suite").await;
        }),
        trial("a_large_stream_arrives_in_pieces_and_whole", || async {
            let (server, blobs) = start().await;
            let path = BlobPath::new("suite", "large").unwrap();
            let content = (0..20).map(|n| Ok(Bytes::from(vec![n; MIB])));
            let meta = blobs.put(&path, futures::stream::iter(content).boxed(), PutOptions::default()).await.unwrap();
            assert_eq!(meta.size as usize, 20 * MIB);
            let stored = server.objects.get("test-suite", "large").unwrap();
            assert!(stored.content.chunks(MIB).enumerate().all(|(n, part)| part.iter().all(|byte| *byte == n as u8)));
            assert_eq!(blobs.get(&path, 20 * MIB as u64).await.unwrap(), stored.content);
        }),
        trial("a_large_stream_that_breaks_off_leaves_nothing", || async {
            let (server, blobs) = start().await;
            let path = BlobPath::new("suite", "broken").unwrap();
            let content = (0..12).map(|n| Ok(Bytes::from(vec![n; MIB]))).chain([Err(io::Error::other("gone"))]);
            let put = blobs.put(&path, futures::stream::iter(content).boxed(), PutOptions::default()).await;
            assert!(put.is_err());
            assert!(server.objects.get("test-suite", "broken").is_none());
        }),
        trial("a_list_goes_on_past_one_page", || async {
            let (_server, blobs) = start().await;
            for n in 0..1005 {
                let path = BlobPath::new("suite", format!("many/{n:04}")).unwrap();
                blobs.put_bytes(&path, "", PutOptions::default()).await.unwrap();
            }
            let all = blobs.list("suite", "many/", None, 2000).await.unwrap();
            assert_eq!(all.len(), 1005);
            assert!(all.is_sorted_by(|a, b| a.path < b.path));
        }),
        trial("signed_links_serve_a_browser", links),
    ]
}

/// A server with the bucket `test-suite`, and a port for which it is `suite`.
async fn start() -> (Server, Blobs) {
    let options =
        Options { address: ([127, 0, 0, 1], 0).into(), buckets: vec!["test-suite".to_owned()], subscribers: vec![] };
    let server = Server::start(options).await.unwrap();
    let blobs = google::blobs("test-", Some(Endpoint::new(&server.url)), &Clock::system());
    (server, blobs)
}

async fn links() {
    let (_server, blobs) = start().await;
    let path = BlobPath::new("suite", "folder/a file.csv").unwrap();
    let client = reqwest::Client::new();
    let link = |method, name| blobs.link(&path, method, Duration::from_secs(60), name);
    let method = Method::Put { most: 5 };
    let (name, range) = method.header().unwrap();
    let put = client.put(link(method, None).await.unwrap()).header(name, &range);
    for (request, status) in [
        (put.try_clone().unwrap().body("a,b\n"), 200),
        (put.body("a,b,c\n"), 400),
        (client.put(link(method, None).await.unwrap()).body("a,b\n"), 400),
    ] {
        assert_eq!(request.send().await.unwrap().status().as_u16(), status, "bounded, and only with the signed header");
    }
    let got = client.get(link(Method::Get, Some("results.csv")).await.unwrap()).send().await.unwrap();
    assert_eq!(got.headers()["content-disposition"], "attachment; filename=\"results.csv\"");
    assert_eq!(got.text().await.unwrap(), "a,b\n");
}
