//! `kill -9` at random moments, again and again, of the server and of its workers, while a batch of 300 ligands runs.
//! What remains is whole, and every file a user can take away is the same, byte for byte, as after a calm run.

use crate::{PROGRAM, id};
use journeys::{Client, Server, inputs::target, is_final};
use processes::{Dice, children, comparable, kill};
use serde_json::{Value, json};
use std::path::Path;

const LIGANDS: usize = 300;
/// At least so many.
const KILLS: usize = 50;
/// So many are spread over the batch, whatever the machine's speed: more than it takes, because a batch may get far
/// between two of them.
const AIMED_AT: usize = 65;
const SEED: u64 = 20_260_801;
/// In milliseconds: some kills come before the workers have started, some in the middle of their work.
const BETWEEN: std::ops::Range<u64> = 0..600;
const QUICK: [(&str, &str); 2] = [("GPU_CAPACITY", "3"), ("STAND_IN_ITEM_SECONDS", "0")];
/// A model that takes its time, for a batch that is ahead of its kills.
const SLOW: [(&str, &str); 2] = [("GPU_CAPACITY", "3"), ("STAND_IN_ITEM_SECONDS", "0.2")];

/// Who dies.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Victim {
    /// The server; its workers lose what started them and stop by themselves.
    Server,
    /// The machine, so to speak.
    Everybody,
    /// One worker, whose task is tried again.
    Worker,
}

/// Different molecules: chains of carbon of every length and end, the heaviest of 79 atoms.
fn ligands() -> Value {
    let ends = ["O", "N", "F", "Cl"];
    let ligand = |n: usize| json!({"name": format!("ligand {n}"), "smiles": "C".repeat(n / 4 + 3) + ends[n % 4]});
    (0..LIGANDS).map(ligand).collect()
}

async fn submit(client: &Client) -> String {
    let wanted = json!({"model": "boltz2", "protein_sequence": target(), "ligands": ligands(), "strategy": "parallel"});
    id(&client.post("/api/v1/predict/batch", &wanted).await.json(202))
}

/// The files of a batch that must have come to its end with every ligand, without what may differ between two runs.
async fn files(client: &Client, batch: &str) -> Vec<(&'static str, String)> {
    let ended = client.batch_ends(batch).await;
    assert_eq!((&ended["status"], &ended["completed_jobs"]), (&json!("completed"), &json!(LIGANDS)), "{ended}");
    let mut files = vec![];
    for format in ["csv", "json", "sdf"] {
        let path = format!("/api/v1/batches/{batch}/export?format={format}");
        files.push((format, comparable(batch, &client.download(&path).await.text())));
    }
    files
}

/// Kills whoever it hits. The server that runs now, and whether anybody was hit.
async fn strike(
    server: Server,
    victim: Victim,
    data: &Path,
    environment: &[(&str, &str)],
    dice: &mut Dice,
) -> (Server, bool) {
    let workers = children(server.id(), local::TASK);
    if victim == Victim::Worker {
        let hit = dice.pick(&workers).is_some_and(kill);
        return (server, hit);
    }
    server.kill().await;
    if victim == Victim::Everybody {
        workers.into_iter().for_each(|worker| _ = kill(worker));
    }
    (Server::start(PROGRAM, data, environment).await, true)
}

/// Waits for a random while, and three times out of four until the batch has got on. Its view.
async fn moment(client: &Client, path: &str, done: &mut usize, dice: &mut Dice) -> Value {
    if dice.pick(&[true, true, true, false]) == Some(true) {
        client.until(path, |view| is_final(view) || completed(view) > *done).await;
    }
    tokio::time::sleep(dice.wait(BETWEEN)).await;
    let view = client.get(path).await.json(200);
    *done = completed(&view);
    view
}

fn completed(view: &Value) -> usize {
    view["progress"]["completed"].as_u64().unwrap() as usize
}

/// The files of a batch during which processes were killed all the time.
async fn rough(data: &Path) -> Vec<(&'static str, String)> {
    let mut dice = Dice::new(SEED);
    let mut server = Server::start(PROGRAM, data, &QUICK).await;
    let batch = submit(&server.client).await;
    let path = format!("/api/v1/batches/{batch}");
    let (mut kills, mut done) = (vec![], 0);
    while kills.len() < AIMED_AT {
        if is_final(&moment(&server.client, &path, &mut done, &mut dice).await) {
            break;
        }
        let ahead = done * AIMED_AT > kills.len() * LIGANDS;
        let victim = dice.pick(&[Victim::Server, Victim::Everybody, Victim::Worker]).unwrap();
        let hit;
        (server, hit) = strike(server, victim, data, if ahead { &SLOW } else { &QUICK }, &mut dice).await;
        kills.extend(hit.then_some(victim));
    }
    assert!(kills.len() >= KILLS, "it was too quick to be disturbed: {} kills", kills.len());
    let files = files(&server.client, &batch).await;
    let of = |victim| kills.iter().filter(|killed| **killed == victim).count();
    let (servers, everybody, workers) = (of(Victim::Server), of(Victim::Everybody), of(Victim::Worker));
    println!(
        "{0} of {0} kills survived: {servers} servers, {workers} workers, {everybody} times all of them",
        kills.len()
    );
    files
}

#[tokio::test]
async fn a_batch_survives_fifty_kills_and_its_files_are_those_of_a_calm_run() {
    let folder = tempfile::tempdir().unwrap();
    let calm = Server::start(PROGRAM, &folder.path().join("calm"), &QUICK).await;
    let batch = submit(&calm.client).await;
    let expected = files(&calm.client, &batch).await;
    drop(calm);
    let found = rough(&folder.path().join("rough")).await;
    for ((format, expected), (_, found)) in expected.iter().zip(&found) {
        assert!(expected.lines().count() > LIGANDS, "{format}: {expected}");
        let different = expected.lines().zip(found.lines()).find(|(expected, found)| expected != found);
        assert!(expected == found, "{format}: {different:?}");
    }
}
