//! The check that staging has to pass, against the program on this machine.

use crate::PROGRAM;
use clap::Parser;
use deployment_check::Arguments;
use journeys::Server;

#[tokio::test]
async fn the_deployment_check_passes_here() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(PROGRAM, &folder.path().join("data"), &[]).await;
    let words = ["deployment-check", &server.address, "--token", &server.key, "--batch-seconds", "60"];
    assert!(deployment_check::run(Arguments::parse_from(words)).await);
}

#[tokio::test]
async fn the_deployment_check_fails_with_a_wrong_token() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(PROGRAM, &folder.path().join("data"), &[]).await;
    let words = ["deployment-check", &server.address, "--token", "omtx_wrong", "--batch-seconds", "1"];
    assert!(!deployment_check::run(Arguments::parse_from(words)).await);
}
