//! The worker against the stand-in's real processes and an embedded store: everything that can go wrong with a
//! ligand, a tool, a task or a run, and what the reports then say.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod bench;
mod real;

use bench::{Bench, SEQUENCE, story};
use predict_worker::{Ended, Error, work};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

#[tokio::test]
async fn eight_good_ligands_all_have_scores_files_and_what_is_needed_to_repeat_them() {
    let bench = Bench::boltz(8).await;
    assert_eq!(bench.work().await.unwrap(), Ended::Done);
    let last = bench.last().await;
    assert_eq!(story(&last), ["done"; 8]);
    assert!(last.gpu_seconds > 0.0 && last.attempt == 1);
    for outcome in &last.outcomes {
        assert!(outcome.simulated && outcome.scores.get("affinity_prob").is_some());
        assert!(bench.file(outcome, "cif").await.starts_with("data_model"));
        assert!(outcome.files["cif"].ends_with("/1/structure.cif"), "{:?}", outcome.files);
        let kinds: Vec<_> = outcome.files.keys().map(String::as_str).collect();
        assert_eq!(kinds, ["affinity", "cif", "confidence", "plddt"]);
    }
    let provenance = &last.outcomes[2].provenance;
    assert_eq!((provenance["seed"].as_str(), provenance["order"].as_str()), ("1", "3 of 8"));
}

#[tokio::test]
async fn results_are_reported_while_the_tool_still_runs() {
    let bench = Bench::boltz(3).await.with("STAND_IN_ITEM_SECONDS=0.3");
    assert_eq!(bench.work().await.unwrap(), Ended::Done);
    let reports = bench.reports().await;
    let counts: Vec<_> = reports.iter().map(|report| report.outcomes.len()).collect();
    let (_, checkpoints) = counts.split_last().unwrap();
    assert!(checkpoints.len() >= 2 && checkpoints[0] < 3, "{counts:?}");
    assert!(checkpoints.is_sorted_by(|a, b| a < b), "a checkpoint without news: {counts:?}");
    assert!(reports.iter().map(|report| report.seq).eq(1..=reports.len() as u32));
    assert_eq!(reports.iter().filter(|report| report.last).count(), 1);
    let (last, timing) = (reports.last().unwrap(), reports.last().unwrap().timing.clone().unwrap());
    assert_eq!((timing.device.as_str(), timing.starts), ("cpu", 1));
    assert!(timing.load_seconds.is_some_and(|load| load > 0.0 && load < last.gpu_seconds), "{timing:?}");
}

#[tokio::test]
async fn the_ligand_that_runs_out_of_memory_fails_and_no_other_loses_its_affinity() {
    let bench = Bench::boltz(4).await.with("STAND_IN_FAULTS=oom-structure=i0000002");
    assert_eq!(bench.work().await.unwrap(), Ended::Done);
    assert_eq!(story(&bench.last().await), ["done", "out_of_memory", "done", "done"]);
}

#[tokio::test]
async fn an_affinity_that_runs_out_of_memory_fails_though_the_tool_exits_well() {
    let bench = Bench::boltz(3).await.with("STAND_IN_FAULTS=oom-affinity=i0000003");
    assert_eq!(bench.work().await.unwrap(), Ended::Done);
    assert_eq!(story(&bench.last().await), ["done", "done", "out_of_memory"]);
}

#[tokio::test]
async fn a_ligand_that_cannot_be_prepared_fails_wherever_it_stands() {
    for (fault, expected) in [
        ("featurizer=i0000001", ["model_refused", "done", "done"]),
        ("featurizer=i0000003", ["done", "done", "model_refused"]),
        ("featurizer-affinity=i0000002", ["done", "model_refused", "done"]),
        ("skip=i0000002", ["done", "model_refused", "done"]),
    ] {
        let bench = Bench::boltz(3).await.with(&format!("STAND_IN_FAULTS={fault}"));
        assert_eq!(bench.work().await.unwrap(), Ended::Done);
        assert_eq!(story(&bench.last().await), expected, "{fault}");
    }
}

#[tokio::test]
async fn the_ligand_that_kills_the_tool_is_found_and_all_others_have_results() {
    for fault in ["crash", "runtime-error", "truncated"] {
        let bench = Bench::boltz(5).await.with(&format!("STAND_IN_FAULTS={fault}=i0000004"));
        assert_eq!(bench.work().await.unwrap(), Ended::Done);
        let last = bench.last().await;
        assert_eq!(story(&last), ["done", "done", "done", "model_failed", "done"], "{fault}");
        assert!(!last.outcomes[3].error.as_ref().unwrap().message.is_empty());
    }
}

#[tokio::test]
async fn a_tool_that_hangs_is_stopped_at_the_deadline_and_what_it_had_done_is_kept() {
    let mut bench = Bench::new("boltz2", json!({"protein_sequence": SEQUENCE}), json!({"affinity": false}), 3)
        .await
        .with("STAND_IN_FAULTS=hang=i0000003");
    bench.config.deadline = Duration::from_secs(2);
    let began = Instant::now();
    assert_eq!(bench.work().await.unwrap(), Ended::OutOfTime);
    assert!(began.elapsed() < Duration::from_secs(10));
    let report = bench.reports().await.pop().unwrap();
    assert_eq!((report.last, story(&report)), (false, vec!["done", "done"]));
}

#[tokio::test]
async fn a_silent_tool_is_stopped_and_the_ligand_it_hangs_on_is_found() {
    let mut bench = Bench::boltz(3).await.with("STAND_IN_FAULTS=hang=i0000002");
    bench.config.stall = Some(Duration::from_millis(700));
    assert_eq!(bench.work().await.unwrap(), Ended::Done);
    assert_eq!(story(&bench.last().await), ["done", "model_stalled", "done"]);
}

#[tokio::test]
async fn a_killed_attempt_is_resumed_and_nothing_reported_runs_twice() {
    let bench = Bench::boltz(4).await.with("STAND_IN_ITEM_SECONDS=0.2");
    tokio::select! {
        ended = bench.work() => panic!("it was to be killed: {ended:?}"),
        () = bench.until_reported(2) => {}
    }
    let before = bench.reports().await.pop().unwrap();
    let bench = bench.retry();
    assert_eq!(bench.work().await.unwrap(), Ended::Done);
    let last = bench.last().await;
    assert_eq!((last.attempt, story(&last)), (2, vec!["done"; 4]));
    for outcome in &before.outcomes {
        assert!(last.outcomes.contains(outcome), "item {} was run again", outcome.index);
    }
    assert_eq!(last.outcomes[3].provenance["attempt"], "2");
    assert_eq!(bench.shard().await.value.attempt, 2);
}

#[tokio::test]
async fn a_task_told_to_stop_reports_what_it_has_and_asks_to_be_tried_again() {
    let bench = Bench::boltz(3).await.with("STAND_IN_ITEM_SECONDS=0.3");
    let stop = bench.until_reported(1);
    assert_eq!(work(&bench.ports(), &bench.task, &bench.config, stop).await.unwrap(), Ended::OutOfTime);
    let report = bench.reports().await.pop().unwrap();
    assert!(!report.last && !report.outcomes.is_empty());
}

#[tokio::test]
async fn a_second_execution_of_the_same_shard_is_refused_before_it_runs_anything() {
    let mut bench = Bench::boltz(2).await;
    bench.change_shard(|shard| _ = shard.claim(&bench.task.worker, 1, shard.updated_at)).await;
    bench.task.worker.execution = "e2".into();
    bench.config.tools.boltz = vec!["/no/such/tool".into()];
    assert!(matches!(bench.work().await.unwrap(), Ended::Refused(_)));
    assert!(bench.reports().await.is_empty());
    assert!(bench.config.scratch.read_dir().unwrap().next().is_none(), "nothing was staged");
}

#[tokio::test]
async fn a_worker_that_lost_its_shard_stops_and_is_silent() {
    let bench = Bench::boltz(3).await.with("STAND_IN_LOAD_SECONDS=20");
    let lose = async {
        while bench.shard().await.value.attempt == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        bench.change_shard(|shard| shard.attempt += 1).await;
        std::future::pending().await
    };
    assert_eq!(work(&bench.ports(), &bench.task, &bench.config, lose).await.unwrap(), Ended::Superseded);
    assert!(bench.reports().await.is_empty());
}

#[tokio::test]
async fn a_zombie_that_finds_a_report_in_its_own_name_stops() {
    let bench = Bench::boltz(3).await.with("STAND_IN_ITEM_SECONDS=0.2");
    bench.somebody_reported(1, 1).await;
    assert_eq!(bench.work().await.unwrap(), Ended::Superseded);
    let reports = bench.reports().await;
    assert_eq!((reports.len(), reports[0].outcomes.len()), (1, 0), "the other's report is untouched");
}

#[tokio::test]
async fn a_cancelled_run_stops_its_tool_and_starts_no_other() {
    let bench = Bench::boltz(3).await.with("STAND_IN_LOAD_SECONDS=20");
    let cancel = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        bench.cancel().await;
        std::future::pending().await
    };
    let began = Instant::now();
    assert_eq!(work(&bench.ports(), &bench.task, &bench.config, cancel).await.unwrap(), Ended::Cancelled);
    assert!(began.elapsed() < Duration::from_secs(10));
    let bench = bench.retry();
    assert!(matches!(bench.work().await.unwrap(), Ended::Refused(_)));
}

#[tokio::test]
async fn a_tool_that_is_not_there_or_cannot_work_fails_the_task_and_no_item() {
    let mut bench = Bench::boltz(2).await;
    bench.config.tools.boltz = vec!["/no/such/tool".into()];
    assert!(matches!(bench.work().await, Err(Error::Start { .. })));
    let mut bench = bench.retry();
    let script = "echo 'MisconfigurationException: No supported gpu backend found!'; exit 1";
    bench.config.tools.boltz = ["sh", "-c", script].map(str::to_owned).to_vec();
    assert!(matches!(bench.work().await, Err(Error::Unusable(_))));
    for report in bench.reports().await {
        assert!(!report.last && report.outcomes.is_empty(), "{report:?}");
    }
    assert_eq!(bench.retry().work().await.unwrap(), Ended::Done);
}

#[tokio::test]
async fn chai_folds_one_complex_per_process_and_one_that_fails_leaves_the_others() {
    let inputs = json!({"protein_sequence": SEQUENCE});
    let bench = Bench::new("chai1", inputs, json!({"num_diffn_samples": 2}), 3).await;
    let bench = bench.with("STAND_IN_FAULTS=oom-structure=i0000001;runtime-error=i0000002");
    assert_eq!(bench.work().await.unwrap(), Ended::Done);
    let last = bench.last().await;
    assert_eq!(story(&last), ["out_of_memory", "model_failed", "done"]);
    assert!(last.outcomes[2].scores.get("aggregate_score").is_some() && last.outcomes[2].simulated);
    assert!(bench.file(&last.outcomes[2], "cif").await.contains("_atom_site"));
}

#[tokio::test]
async fn an_antibody_run_gives_one_scored_structure_per_design() {
    let atom = |n: u32, chain: char| {
        format!("ATOM  {n:>5}  CA  ALA {chain}{n:>4}       1.000   2.000   3.000  1.00  0.00           C\n")
    };
    let chain = |chain: char| (1..=12).map(|n| atom(n, chain)).collect::<String>();
    let framework = format!("{}REMARK PDBinfo-LABEL:    3 H1\n", chain('H'));
    let inputs = json!({"target_pdb": chain('B'), "framework_pdb": framework, "hotspots": ["B5"],
        "loops": {"H1": "5-8"}, "designs": 3});
    let bench = Bench::new("rfantibody", inputs, Value::Null, 3).await;
    let bench = bench.with("STAND_IN_FAULTS=skip=samples_design_1");
    assert_eq!(bench.work().await.unwrap(), Ended::Done);
    let last = bench.last().await;
    assert_eq!(story(&last), ["done", "design_lost", "done"]);
    assert!(last.outcomes[0].scores.get("interaction_pae").is_some() && last.outcomes[0].simulated);
    assert!(bench.file(&last.outcomes[0], "pdb").await.starts_with("ATOM"));
}
