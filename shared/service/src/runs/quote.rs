//! What a submission would become, told by the steps of the submission itself: judging, planning, and its limit.

use super::{
    costs,
    library::{self, Judged},
    requests::Asked,
    submit::{Ports, build, runnable, within_budget},
};
use crate::Problem;
use domain::{JobId, Run, Strategy};

/// What a submission would become.
pub struct Quote {
    pub judged: Judged,
    /// With each strategy, from the cheapest to the fastest: the run, or why it would be refused.
    pub runs: Vec<(Run, Option<Problem>)>,
}

/// Judges a submission and plans it with every strategy, by the same steps as a submission, and writes nothing.
pub async fn quote(ports: &Ports<'_>, asked: Asked) -> Result<Quote, Problem> {
    let Asked { mut submission, ligands, on_invalid } = asked;
    let judged = library::check(ports.blobs, &ligands).await?;
    let learned = costs::learned(ports.docs, submission.model).await;
    let mut runs = vec![];
    for strategy in Strategy::ALL {
        submission.strategy = strategy;
        let job_id = JobId::new(submission.batch, &ports.ids.next()).map_err(Problem::internal)?;
        let run = build(&submission, job_id, &judged, learned.as_ref(), ports);
        let refusal = runnable(&judged, &ligands, on_invalid).and_then(|()| within_budget(&run)).err();
        runs.push((run, refusal));
    }
    Ok(Quote { judged, runs })
}
