//! The worker against the real `boltz predict`. Needs `BOLTZ_COMMAND` (and for the second test `BOLTZ_OOM_COMMAND`, the
//! same tool made to run out of memory on the ids in `OOM_IDS`) and `BOLTZ_CACHE`; run with `-- --ignored real`.

use crate::bench::{Bench, story};
use domain::OutcomeStatus;
use predict_worker::Ended;
use serde_json::{Value, json};
use std::time::Duration;

/// Few steps: what is tested is the tool's behaviour, not its predictions.
fn quick() -> Value {
    json!({"recycling_steps": 0, "sampling_steps": 5, "diffusion_samples": 1,
        "sampling_steps_affinity": 5, "diffusion_samples_affinity": 1, "seed": 1})
}

async fn real(command: &str, ligands: &[&str]) -> Bench {
    let environment = service::start::environment();
    let words = |name: &str| shell_words::split(environment.get(name).map_or("", String::as_str)).unwrap();
    let mut bench = Bench::of_ligands(ligands, quick()).await;
    bench.config.tools.boltz = words(command);
    bench.config.tools.boltz_cache = Some(environment["BOLTZ_CACHE"].clone());
    bench.config.tools.boltz_extra =
        ["--no_kernels", "--num_workers", "0", "--preprocessing-threads", "1"].map(str::to_owned).to_vec();
    bench.config.deadline = Duration::from_secs(900);
    bench.config.poll = Duration::from_millis(500);
    bench.config.stall = Some(Duration::from_secs(600));
    bench
}

const GOOD: [&str; 4] = ["CC(=O)Oc1ccccc1C(=O)O", "OB(O)c1ccccc1", "[2H]C([2H])([2H])Oc1ccccc1", "c1ccccc1O"];

#[tokio::test]
#[ignore = "needs the real boltz: set BOLTZ_COMMAND and BOLTZ_CACHE"]
async fn real_boltz_runs_four_and_refuses_four_each_with_its_reason() {
    let chain = "C".repeat(130);
    let ligands = [
        GOOD[0],
        "CC(=O)Oc1ccccc1C(=O",
        GOOD[1],
        "CN(C)CCc1ccccc1.Cl",
        GOOD[2],
        chain.as_str(),
        "C[N](C)(C)(C)C",
        GOOD[3],
    ];
    let bench = real("BOLTZ_COMMAND", &ligands).await;
    assert_eq!(bench.work().await.unwrap(), Ended::Done);
    let last = bench.last().await;
    let refused = "model_refused";
    assert_eq!(story(&last), ["done", refused, "done", refused, "done", refused, refused, "done"]);
    for outcome in &last.outcomes {
        let said = outcome.error.as_ref().map_or("", |error| error.message.as_str());
        println!("{} {:?} {said}", outcome.index, outcome.status);
        assert_eq!(said.is_empty(), outcome.status == OutcomeStatus::Completed);
        assert!(!outcome.simulated);
        if outcome.status == OutcomeStatus::Completed {
            assert!(outcome.scores.get("affinity_prob").is_some_and(|p| (0.0..=1.0).contains(&p)));
            assert!(bench.file(outcome, "cif").await.contains("_atom_site"));
        }
    }
}

#[tokio::test]
#[ignore = "needs the real boltz: set BOLTZ_OOM_COMMAND, OOM_IDS=i0000002 and BOLTZ_CACHE"]
async fn real_boltz_out_of_memory_costs_one_ligand() {
    let bench = real("BOLTZ_OOM_COMMAND", &GOOD).await;
    assert_eq!(bench.work().await.unwrap(), Ended::Done);
    assert_eq!(story(&bench.last().await), ["done", "out_of_memory", "done", "done"]);
}
