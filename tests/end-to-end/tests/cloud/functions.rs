//! The processes of the functions: one each, on a port of its own, and another one when it was killed.

use reqwest::Client;
use std::{
    collections::BTreeMap,
    process::Stdio,
    sync::Mutex,
    time::{Duration, Instant},
};
use tokio::process::{Child, Command};
use url::Url;

pub struct Functions {
    program: &'static str,
    addresses: BTreeMap<&'static str, String>,
    environment: BTreeMap<String, String>,
    running: Mutex<BTreeMap<&'static str, Child>>,
}

impl Functions {
    /// Starts `program NAME` for each, to listen at its address.
    pub fn start(
        program: &'static str,
        addresses: BTreeMap<&'static str, String>,
        environment: BTreeMap<String, String>,
    ) -> Self {
        let functions = Functions { program, addresses, environment, running: Mutex::default() };
        for name in functions.addresses.keys() {
            functions.spawn(name);
        }
        functions
    }

    pub fn address(&self, name: &str) -> &str {
        &self.addresses[name]
    }

    /// `kill -9`, and what Cloud Run does then: there is another one at the same address.
    pub async fn kill(&self, name: &'static str) {
        let killed = self.running.lock().unwrap().remove(name);
        killed.unwrap().kill().await.unwrap();
        self.spawn(name);
    }

    /// Waits until every function answers its health check.
    pub async fn serving(&self, patience: Duration) {
        let (began, http) = (Instant::now(), Client::new());
        for url in self.addresses.values() {
            while !http.get(format!("{url}healthz")).send().await.is_ok_and(|answer| answer.status().is_success()) {
                assert!(began.elapsed() < patience, "{url} does not serve");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }

    fn spawn(&self, name: &'static str) {
        let port = Url::parse(self.address(name)).unwrap().port().unwrap().to_string();
        let mut command = Command::new(self.program);
        command.arg(name).env_clear().envs(&self.environment).env("PORT", port);
        let child = command.stdin(Stdio::null()).kill_on_drop(true).spawn().unwrap();
        self.running.lock().unwrap().insert(name, child);
    }
}
