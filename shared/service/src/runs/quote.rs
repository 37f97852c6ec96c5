//! What a submission would become, told by the steps of the submission itself: judging, planning, and its limit.

use super::{
    costs,
    draft::{build, runnable, within_budget},
    library::{self, IngestError, Judged, Reading},
    quota::Room,
    requests::Asked,
    reuse::{self, Question},
    submit::{self, Ports},
};
use crate::Problem;
use domain::{JobId, Run, Strategy};

/// What a submission would become.
pub struct Quote {
    pub judged: Judged,
    /// Of the accepted rows, those whose result is known.
    pub cached: u32,
    /// With each strategy, from the cheapest to the fastest.
    pub runs: Vec<Quoted>,
}

/// A run as it would be.
pub struct Quoted {
    pub run: Run,
    /// Why it would not be.
    pub refusal: Option<Problem>,
    /// The share of its GPU time that would predict nothing new; `None` where it takes none.
    pub waste: Option<f64>,
}

/// Judges a submission and plans it with every strategy, by the same steps as a submission, and writes nothing. Errs only
/// where there is nothing to tell: the library cannot be read, or is larger than the user's may be.
pub async fn quote(ports: &Ports<'_>, asked: Asked) -> Result<Quote, Problem> {
    let Asked { mut submission, ligands, on_invalid } = asked;
    let _reading = submit::reading(ports, &submission.uid, &ligands)?;
    let mut room = Room::of(ports, submission.asking(), submission.account.take()).await?;
    let now = ports.clock.now().into();
    let question = Question::of(ports, &submission, room.is_first()).await?;
    let reading = Reading::new(room.most_ligands(), question.was_answered());
    let mut judged = match library::check(ports.blobs, &ligands, reading).await {
        Err(IngestError::TooMany(_)) => return Err(room.too_many_ligands().into()),
        outcome => outcome?,
    };
    let reuse = reuse::look(ports, &submission.uid, question, &mut judged).await?;
    let learned = costs::lately_learned(ports, submission.model).await;
    let mut runs = vec![];
    for strategy in Strategy::ALL {
        submission.strategy = strategy;
        let job_id = JobId::new(submission.batch, &ports.ids.next()).map_err(Problem::internal)?;
        let mut run = build(&submission, job_id, &judged, &reuse, learned.as_ref(), ports);
        run.weight = room.weight();
        let fits = match runnable(&judged, &ligands, on_invalid).and_then(|()| within_budget(&run)) {
            Ok(()) => room.grants(ports, |room| room.clone().take(&run, now)).await,
            refused => refused,
        };
        let (model, accepted) = (submission.model, &submission.accepted);
        let slots = run.slots(ports.settings.gpu_capacity);
        let waste = costs::waste(model, accepted, &reuse.to_run, learned.as_ref(), strategy, slots);
        runs.push(Quoted { run, refusal: fits.err(), waste });
    }
    Ok(Quote { judged, cached: reuse.count(), runs })
}
