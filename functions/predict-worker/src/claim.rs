//! Whose shard it is: claiming it, and seeing later whether it is still one's own.

use crate::{Ended, Task, WorkerPorts, retry::patiently};
use domain::{Claim, Run, Shard};
use platform::{Error, Result};
use service::{places, runs::reports};

/// The answer of the shard's document.
pub(crate) enum Answer {
    Granted { attempt: u32 },
    Refused(&'static str),
}

/// The run, unless it is gone or has ended: then there is nothing to do.
pub(crate) async fn run(ports: &WorkerPorts, task: &Task) -> Result<Option<Run>> {
    let path = places::job(&task.uid, &task.job_id);
    let run = patiently(&ports.clock, || ports.docs.find::<Run>(&path)).await?;
    Ok(run.map(|run| run.value).filter(|run| !run.status.is_final()))
}

/// Claims the shard by compare-and-set, however many others try.
pub(crate) async fn claim(ports: &WorkerPorts, task: &Task) -> Result<Answer> {
    let path = places::shard(&task.uid, &task.job_id, task.shard);
    loop {
        let Some(mut shard) = patiently(&ports.clock, || ports.docs.find::<Shard>(&path)).await? else {
            return Ok(Answer::Refused("the shard is gone"));
        };
        let now = ports.clock.now().into();
        // What the attempt before reported last counts, also if nobody has read it yet: the claim makes it an old one.
        let newest =
            patiently(&ports.clock, || reports::newest(&ports.blobs, &task.uid, &task.job_id, &shard.value)).await?;
        if let Some((name, report)) = newest {
            shard.value.accept(&report, &name, now);
        }
        let attempt = match shard.value.claim(&task.worker, task.launch, now) {
            Claim::Granted { attempt } => attempt,
            Claim::Refused(reason) => return Ok(Answer::Refused(reason)),
        };
        match ports.docs.replace(&shard).await {
            Ok(()) => return Ok(Answer::Granted { attempt }),
            Err(error) if error.is_race() => continue,
            // It may have been written all the same: nobody else claims under this name and number.
            Err(error @ Error::Unavailable { .. }) => {
                let now = patiently(&ports.clock, || ports.docs.get::<Shard>(&path)).await?.value;
                if now.worker.as_ref() == Some(&task.worker) && now.attempt == attempt {
                    return Ok(Answer::Granted { attempt });
                }
                tracing::warn!(error = %service::chain(&error), "claim not answered, claiming again");
            }
            Err(error) => return Err(error),
        }
    }
}

/// Whether the worker is to go on; if not, how it ended.
pub(crate) async fn standing(ports: &WorkerPorts, task: &Task, attempt: u32) -> Result<Option<Ended>> {
    if run(ports, task).await?.is_none() {
        return Ok(Some(Ended::Cancelled));
    }
    let path = places::shard(&task.uid, &task.job_id, task.shard);
    let shard = patiently(&ports.clock, || ports.docs.find::<Shard>(&path)).await?;
    let mine = shard.is_some_and(|shard| shard.value.attempt == attempt && !shard.value.done);
    Ok(if mine { None } else { Some(Ended::Superseded) })
}
