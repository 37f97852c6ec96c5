//! A run written down by hand, for tests of functions that only read.

use super::{start, user};
use domain::{
    Cost, JobId, JobType, Known, Lane, Plan, Priority, Progress, Ranking, Run, SortDirection, Source, Status, Strategy,
};
use serde_json::Value;

/// A run of `u1` by Boltz-2 that was planned and not yet dispatched, the batch or the prediction with the number
/// `0123456789abcdefghjkmnpq`.
pub fn planned(batch: bool, items: u32, shards: u32) -> Run {
    Run {
        job_id: JobId::new(batch, "0123456789abcdefghjkmnpq").unwrap(),
        uid: user("u1"),
        job_type: if batch { JobType::BatchParent } else { JobType::Individual },
        status: Status::Queued,
        name: None,
        model: "boltz2".into(),
        model_version: "1".into(),
        created_at: start(),
        started_at: None,
        ended_at: None,
        completed_at: None,
        source: Source::Api,
        input: Value::Null,
        ligand_smiles: None,
        item: None,
        row: None,
        input_files: vec![],
        parameters: Value::Null,
        target_residues: 1,
        items,
        rejected: 0,
        cached: 0,
        question: None,
        lane: Lane::Bulk,
        weight: 1,
        priority: Priority::Normal,
        strategy: Strategy::Adaptive,
        max_concurrent: None,
        max_cost_usd: None,
        ranking: Ranking { score: "affinity_prob".into(), direction: SortDirection::Descending },
        plan: Some(Plan {
            shards,
            items,
            gpu_seconds: 1.0,
            seconds: 1.0,
            ready: true,
            groups: vec![],
            known: Known::default(),
        }),
        dispatchable: false,
        progress: Progress::new(items, 0, 0, 0),
        progress_at: start(),
        cost: Cost::default(),
        told: 0,
        aggregation: None,
        results: None,
        month: String::new(),
        charged_gpu_seconds: 0.0,
        summary: None,
        stopped: None,
        retry_of: None,
        retried_by: None,
        simulated: None,
        error: None,
        traceparent: None,
        nudges: 0,
        letter: None,
    }
}
