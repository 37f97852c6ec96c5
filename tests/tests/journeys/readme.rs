//! The commands of the README, run as they stand.

use crate::PROGRAM;
use journeys::Server;
use std::{os::unix::fs::symlink, path::Path, process::Stdio};
use tokio::process::Command;

/// Before the block of commands in the README.
const MARK: &str = "<!-- a test runs these lines as they stand -->\n```sh\n";

#[tokio::test]
async fn the_commands_of_the_readme_work_as_written() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let (_, rest) = readme.split_once(MARK).expect("the README has lost its mark");
    let commands = rest.split("```").next().unwrap();
    let folder = tempfile::tempdir().unwrap();
    symlink(root.join("infra").canonicalize().unwrap(), folder.path().join("infra")).unwrap();
    let server = Server::start(PROGRAM, &folder.path().join(".data"), &[]).await;
    let address = server.address.trim_start_matches("http://");
    let script = format!("set -euo pipefail\n{}", commands.replace("127.0.0.1:8080", address));
    let mut shell = Command::new("bash");
    shell.arg("-c").arg(script).current_dir(folder.path()).stdin(Stdio::null()).kill_on_drop(true);
    let output = shell.output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    let structure = std::fs::read_to_string(folder.path().join("structure.cif")).unwrap();
    assert!(structure.contains("_atom_site."), "no structure was fetched");
    let table = said.lines().filter(|line| line.starts_with("1,") || line.starts_with("2,")).count();
    assert_eq!(table, 2, "the csv has a line for each of the two good ligands: {said}");
    assert!(said.contains("\"status\":\"healthy\""), "{said}");
}
