//! The run of a submission before it is written: what is in its document, its plan, and whether it may be at all.

use super::{
    costs,
    library::{Judged, Ligands},
    reuse::Reuse,
    submit::{OnInvalid, Ports, Submission},
};
use crate::{Problem, telemetry::traceparent};
use domain::{Cost, JobId, JobType, Learned, Price, Progress, Run, Status, Strategy, Timestamp};

/// Whether anything may run: not where no row can, or where a bad one refuses all.
pub(super) fn runnable(judged: &Judged, ligands: &Ligands, on_invalid: OnInvalid) -> Result<(), Problem> {
    let refused = judged.accepted == 0 || (on_invalid == OnInvalid::Reject && judged.invalid > 0);
    if refused { Err(judged.refusal(ligands.pointer())) } else { Ok(()) }
}

/// The run of a submission, planned where there is something to run.
pub(super) fn build(
    submission: &Submission,
    job_id: JobId,
    judged: &Judged,
    reuse: &Reuse,
    learned: Option<&Learned>,
    ports: &Ports<'_>,
) -> Run {
    let now = Timestamp::from(ports.clock.now());
    let job_type = if submission.batch { JobType::BatchParent } else { JobType::Individual };
    let Submission { accepted, model, .. } = submission;
    let mut run = Run {
        job_id,
        uid: submission.uid.clone(),
        job_type,
        status: Status::Queued,
        name: submission.name.clone(),
        model: model.name().to_owned(),
        model_version: model.version().to_owned(),
        created_at: now,
        started_at: None,
        ended_at: None,
        completed_at: None,
        source: submission.source.clone(),
        input: accepted.input.clone(),
        ligand_smiles: None,
        item: None,
        row: None,
        input_files: accepted.files.iter().map(|(name, _)| name.clone()).collect(),
        parameters: accepted.parameters.clone(),
        target_residues: accepted.target_residues,
        items: judged.accepted,
        rejected: judged.rejected,
        cached: reuse.count(),
        question: reuse.question.clone(),
        lane: job_type.lane(),
        weight: 1,
        priority: submission.priority,
        strategy: submission.strategy,
        max_concurrent: submission.max_concurrent,
        max_cost_usd: submission.max_cost_usd,
        ranking: model.ranking(&accepted.parameters),
        plan: None,
        dispatchable: false,
        progress: Progress::new(judged.accepted, 0, 0, 0),
        progress_at: now,
        cost: Cost::default(),
        told: 0,
        aggregation: None,
        results: None,
        month: now.month(),
        charged_gpu_seconds: 0.0,
        summary: None,
        stopped: None,
        retry_of: None,
        retried_by: None,
        simulated: None,
        error: None,
        traceparent: traceparent(),
        nudges: 0,
        letter: None,
    };
    if judged.accepted == 0 {
        run.progress = Progress::default();
        return run;
    }
    let slots = run.slots(ports.settings.gpu_capacity);
    let plan = costs::plan(*model, accepted, &reuse.to_run, learned, run.strategy, slots);
    let known = costs::plan(*model, accepted, &reuse.known, learned, Strategy::Sequential, 1);
    let plan = reuse.add_to(plan, known);
    run.cost.estimated_usd = Some(Price::L4_US_CENTRAL1.of(plan.gpu_seconds));
    run.plan = Some(plan);
    run.charge();
    run
}

/// Refuses a run that is estimated to cost more than it may.
pub(super) fn within_budget(run: &Run) -> Result<(), Problem> {
    match (run.cost.estimated_usd, run.max_cost_usd) {
        (Some(estimate), Some(limit)) if estimate > limit => {
            Err(Problem::field("/max_cost_usd", format!("the run is estimated to cost {estimate:.2} US dollars")))
        }
        _ => Ok(()),
    }
}
