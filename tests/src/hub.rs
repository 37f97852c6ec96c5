//! The whole cloud in the test's own process, on a folder that vanishes with it. Its worker tasks are child processes,
//! as always; no tool but the stand-in is found.

use crate::{Client, inputs::settings};
use local::{Cloud, CloudOptions, LOCAL_USER};
use std::{collections::BTreeMap, fs::File, time::Duration};
use tempfile::TempDir;
use tokio::task::JoinHandle;

/// A running cloud.
pub struct Hub {
    pub cloud: Cloud,
    /// With the folder's API key.
    pub client: Client,
    going: JoinHandle<()>,
    _lock: File,
    _folder: TempDir,
}

impl Hub {
    /// Starts it; `executable` is the program that runs tasks, `environment` what the operator sets.
    pub async fn start(executable: &str, environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut variables: BTreeMap<String, String> = settings(folder.path()).into();
        variables.extend(environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let cloud = Cloud::open(CloudOptions {
            data: folder.path().join("data"),
            address: "http://127.0.0.1:9/".parse().unwrap(),
            executable: executable.into(),
            environment: variables,
        })
        .unwrap();
        let lock = cloud.lock().unwrap().expect("nobody else has the folder");
        let world = &cloud.world;
        let key = cloud.access.api_key(&world.docs, LOCAL_USER, &world.clock, &world.ids).await.unwrap();
        let client = Client::inside(local::http(&cloud)).with_key(&key);
        let runs = cloud.clone();
        let going = tokio::spawn(async move { runs.run().await.unwrap() });
        Hub { cloud, client, going, _lock: lock, _folder: folder }
    }

    /// A client with a fresh token of this user.
    pub fn user(&self, name: &str) -> Client {
        self.client.with_token(&self.cloud.access.token(name, self.cloud.world.clock.now()).unwrap())
    }

    /// Waits until every event has been delivered.
    pub async fn settled(&self) {
        while self.cloud.store.outstanding().await.unwrap() > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.going.abort();
    }
}
