use crate::{Error, ExecutionState, Executions, StartRequest};
use std::{collections::BTreeMap, time::Duration};

/// Starts executions of `job`, whose tasks must run until they are cancelled.
pub async fn executions(executions: &Executions, job: &str) {
    let request = |claim: &str, tasks| StartRequest {
        job: job.to_owned(),
        claim: claim.to_owned(),
        env: BTreeMap::from([("RUN".to_owned(), "u1/job_1".to_owned())]),
        tasks,
        timeout: Duration::from_secs(3600),
    };
    let name = executions.start(request("claim-1", 3)).await.unwrap();
    assert_eq!(executions.start(request("claim-1", 3)).await.unwrap(), name, "one execution per claim");
    assert_ne!(executions.start(request("claim-2", 1)).await.unwrap(), name);
    let running = executions.describe(&name).await.unwrap().unwrap();
    assert_eq!((running.name.as_str(), running.state), (name.as_str(), ExecutionState::Running));
    assert!(running.completed_at.is_none());
    executions.cancel(&name).await.unwrap();
    executions.cancel(&name).await.expect("cancelling twice is no error");
    assert!(executions.describe("no-such-execution").await.unwrap().is_none());
    assert!(matches!(executions.start(request("claim-3", 0)).await, Err(Error::Invalid(_))));
    assert!(matches!(executions.start(request("claim-4", 10_001)).await, Err(Error::Invalid(_))));
}
