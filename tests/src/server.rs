//! The program itself, as a user starts it: reached over a socket, and killed without warning.

use crate::{Client, inputs::settings};
use std::{
    path::{Path, PathBuf},
    process::{Output, Stdio},
};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

/// A running `hub`.
pub struct Server {
    /// With the folder's API key.
    pub client: Client,
    /// `http://127.0.0.1:PORT`.
    pub address: String,
    pub key: String,
    child: Child,
    /// Kept open, so that the program can go on printing.
    _printed: Lines<BufReader<ChildStdout>>,
}

impl Server {
    /// Starts it on a port of its own choice and waits until it serves.
    pub async fn start(executable: &str, data: &Path, environment: &[(&str, &str)]) -> Self {
        let mut command = command(executable, data, environment);
        let mut child = command.args(["--port", "0"]).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let mut printed = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut word = async |before: &str| {
            loop {
                let line = printed.next_line().await.unwrap().expect("the server ended before it served");
                if let Some((_, rest)) = line.split_once(before) {
                    return rest.split([',', ' ']).next().unwrap().to_owned();
                }
            }
        };
        let address = word("serves on ").await;
        let key = word("KEY=").await;
        let client = Client::socket(address.parse().unwrap()).with_key(&key);
        Server { client, address, key, child, _printed: printed }
    }

    /// Of the process.
    pub fn id(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// `kill -9`. Its tasks notice by themselves.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }
}

/// Runs `hub screen` to its end.
pub async fn screen(
    executable: &str,
    data: &Path,
    environment: &[(&str, &str)],
    library: &Path,
    target: &Path,
    out: &Path,
) -> Output {
    let mut command = command(executable, data, environment);
    command.arg("screen").arg(library).arg("--target").arg(target).arg("--out").arg(out);
    command.kill_on_drop(true).output().await.unwrap()
}

/// The program with nothing in its environment but what the tests set: no tool is found on the PATH.
fn command(executable: &str, data: &Path, environment: &[(&str, &str)]) -> Command {
    let folder: PathBuf = data.with_extension("work");
    std::fs::create_dir_all(&folder).unwrap();
    let mut command = Command::new(executable);
    command.env_clear().envs(settings(&folder)).envs(environment.iter().copied());
    command.arg("--data-dir").arg(data);
    command
}
