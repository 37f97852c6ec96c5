//! Runs as the functions before the one under test leave them: submitted, planned, launched, claimed, reported, ended.

use super::{Bench, user};
use crate::{
    places,
    runs::{
        library::{Items, Ligands},
        results::{self, ResultsQuery},
        shards::{self, ShardInput},
        submit::{self, OnInvalid, Submission},
        update,
    },
};
use chem::LibraryRow;
use domain::{
    Claim, Lease, LeasedShard, Outcome, OutcomeStatus, Plan, Pool, Priority, Report, ResultRow, Run, Scores, Shard,
    Source, Strategy, Worker,
};
use platform::{BlobPath, ExecutionState, Message, PutOptions, StartRequest, Versioned};
use serde_json::Value;
use std::{collections::BTreeMap, time::Duration};

/// A target.
pub const SEQUENCE: &str = "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQ";

/// The ligand of the 1-based `index`, each another alcohol; from the hundredth on with chlorine at a second chain.
pub fn smiles(index: u32) -> String {
    let chain = |length: u32| "C".repeat(length as usize);
    match (index / 100, index % 100) {
        (0, length) => format!("{}O", chain(length)),
        (second, first) => format!("OC{}N{}Cl", chain(first), chain(second)),
    }
}

/// An item with every score there is, a better one for a higher index, and a structure.
pub fn completed(run: &Run, index: u32, attempt: u32) -> Outcome {
    let value = f64::from(index) / 1000.0;
    let mut scores: BTreeMap<_, _> =
        Scores::FOURTEEN.iter().zip(0..).map(|(name, n)| ((*name).to_owned(), value + f64::from(n) / 100.0)).collect();
    scores.insert("affinity".into(), -value);
    scores.insert("confidence".into(), value);
    let structure = places::item_file(&run.uid, &run.job_id, index, attempt, "structure.cif").unwrap();
    Outcome {
        index,
        status: OutcomeStatus::Completed,
        scores: Scores(scores),
        files: BTreeMap::from([("cif".to_owned(), structure.name().to_owned())]),
        error: None,
        simulated: false,
        cached: false,
        molecule: None,
        provenance: BTreeMap::new(),
    }
}

impl Bench {
    /// A batch of so many ligands, in as many shards as there are GPUs, through the path every submission takes.
    pub async fn submit(&self, name: &str, ligands: u32) -> Run {
        let rows = (1..=ligands).map(|n| row(n, &format!("ligand {n}")));
        self.take_in(name, true, Ligands::Rows(rows.collect())).await
    }

    /// A single prediction.
    pub async fn predict(&self, name: &str) -> Run {
        self.take_in(name, false, Ligands::One(row(1, "ligand"))).await
    }

    /// A batch of these ligands.
    pub async fn submit_these(&self, name: &str, smiles: &[&str]) -> Run {
        let rows =
            smiles.iter().zip(1..).map(|(smiles, row)| LibraryRow { row, name: None, smiles: (*smiles).to_owned() });
        self.take_in(name, true, Ligands::Rows(rows.collect())).await
    }

    async fn take_in(&self, name: &str, batch: bool, ligands: Ligands) -> Run {
        let model = submit::model("boltz2").unwrap();
        let submission = Submission {
            uid: user(name),
            account: None,
            claimed_tier: None,
            batch,
            name: Some("kinase panel".into()),
            model,
            accepted: submit::accept(model, Some(SEQUENCE), &Value::Null, &Value::Null).unwrap(),
            priority: Priority::Normal,
            strategy: Strategy::Parallel,
            max_concurrent: None,
            max_cost_usd: None,
            source: Source::Api,
        };
        submit::submit(&self.world.submitting(), submission, ligands, OnInvalid::Reject, None).await.unwrap()
    }

    /// A batch that waits for GPUs.
    pub async fn planned(&self, name: &str, ligands: u32) -> Run {
        let run = self.submit(name, ligands).await;
        self.plan(&run).await
    }

    /// Cuts a queued run into its shards. Nothing is taken over from earlier runs.
    pub async fn plan(&self, run: &Run) -> Run {
        let (mut items, mut library) = (vec![], Items::of(&self.world.blobs, run).await.unwrap());
        while let Some(item) = library.next().await.unwrap() {
            items.push(item);
        }
        let plan = run.plan.clone().unwrap();
        for shard in 0..plan.all_shards() {
            let size = plan.size(shard);
            let input = ShardInput { shard, items: items.drain(..size as usize).collect() };
            let path = places::shard_input(&run.uid, &run.job_id, shard).unwrap();
            self.world.blobs.put_json(&path, &input, PutOptions::default()).await.unwrap();
            let path = places::shard(&run.uid, &run.job_id, shard);
            self.world.docs.create(&path, &Shard::new(shard, size, self.now())).await.unwrap();
        }
        let ready = |run: &mut Run| {
            run.dispatchable = true;
            run.plan.as_mut().is_some_and(|plan| std::mem::replace(&mut plan.ready, true) != plan.ready)
        };
        self.change(run, ready).await
    }

    /// Changes the document of a run by hand.
    pub async fn change(&self, run: &Run, change: impl Fn(&mut Run) -> bool) -> Run {
        update(&self.world.docs, &run.uid, &run.job_id, change).await.unwrap().unwrap().value
    }

    /// Hands shards to one execution, with the lease and the notes the dispatcher leaves; the execution.
    pub async fn launch(&self, run: &Run, shards: &[u32]) -> String {
        let mut tasks = vec![];
        for shard in shards {
            tasks.push(LeasedShard { shard: *shard, launch: self.shard(run, *shard).await.launch + 1 });
        }
        let mut lease = self.lease(run, tasks).await;
        let request = StartRequest {
            job: places::WORKER_JOB.to_owned(),
            claim: lease.id.clone(),
            env: BTreeMap::new(),
            tasks: lease.tasks.len() as u32,
            timeout: Duration::from_secs(3600),
        };
        let execution = self.world.executions.start(request).await.unwrap();
        lease.execution = Some(execution.clone());
        let mut pool = self.world.docs.get::<Pool>(&places::pool()).await.unwrap();
        pool.value.leases.retain(|other| other.id != lease.id);
        pool.value.leases.push(lease.clone());
        self.world.docs.replace(&pool).await.unwrap();
        for task in lease.tasks {
            self.change_shard(run, task.shard, |shard| shard.launch(task.launch, &execution, self.now())).await;
        }
        self.change(run, |run| run.start(self.now())).await;
        execution
    }

    /// Writes down a lease without an execution, as a dispatcher leaves it that dies right after.
    pub async fn lease(&self, run: &Run, tasks: Vec<LeasedShard>) -> Lease {
        let lease = Lease {
            id: format!("{}-{}-{}", run.job_id, tasks[0].shard, tasks[0].launch),
            uid: run.uid.clone(),
            job_id: run.job_id.clone(),
            lane: run.lane,
            held: tasks.clone(),
            tasks,
            execution: None,
            granted_at: self.now(),
            shard_seconds: run.plan.as_ref().map_or(0.0, Plan::shard_seconds),
            expires_at: self.now().plus_seconds(7800),
        };
        match self.world.docs.find::<Pool>(&places::pool()).await.unwrap() {
            Some(mut pool) => {
                pool.value.leases.push(lease.clone());
                self.world.docs.replace(&pool).await.unwrap();
            }
            None => {
                let pool = Pool { leases: vec![lease.clone()] };
                self.world.docs.create(&places::pool(), &pool).await.unwrap();
            }
        }
        lease
    }

    /// A worker of the shard's execution claims it; its attempt.
    pub async fn claim(&self, run: &Run, shard: u32) -> u32 {
        let launched = self.shard(run, shard).await;
        let worker = Worker { execution: launched.execution.unwrap(), task: shard, task_attempt: 0 };
        let claimed = self.change_shard(run, shard, |shard| {
            shard.claim(&worker, launched.launch, self.now()) == Claim::Granted { attempt: launched.attempt + 1 }
        });
        claimed.await.attempt
    }

    /// A batch of which every shard is in the hands of a worker, all of one execution.
    pub async fn running(&self, name: &str, ligands: u32) -> (Run, String) {
        self.begun(self.planned(name, ligands).await).await
    }

    /// The same of a run that was planned.
    pub async fn begun(&self, run: Run) -> (Run, String) {
        let shards: Vec<_> = (0..run.plan.as_ref().unwrap().all_shards()).collect();
        let execution = self.launch(&run, &shards).await;
        for shard in shards {
            self.claim(&run, shard).await;
        }
        (self.run(&run).await, execution)
    }

    /// A worker's checkpoint with these outcomes, under the shard's current attempt; where it lies.
    pub async fn report(&self, run: &Run, shard: u32, seq: u32, last: bool, outcomes: Vec<Outcome>) -> BlobPath {
        let attempt = self.shard(run, shard).await.attempt;
        let report = Report {
            uid: run.uid.clone(),
            job_id: run.job_id.clone(),
            shard,
            attempt,
            seq,
            last,
            outcomes,
            gpu_seconds: 60.0,
            model_version: run.model_version.clone(),
            written_at: self.now(),
            timing: None,
        };
        let path = places::report(&run.uid, &run.job_id, shard, attempt, seq).unwrap();
        self.world.blobs.put_json(&path, &report, PutOptions::default()).await.unwrap();
        path
    }

    /// The last report of a shard of which every item has its result.
    pub async fn final_report(&self, run: &Run, shard: u32, seq: u32) -> BlobPath {
        let attempt = self.shard(run, shard).await.attempt;
        let items = self.items(run, shard).await;
        let outcomes = items.into_iter().map(|index| completed(run, index, attempt)).collect();
        self.report(run, shard, seq, true, outcomes).await
    }

    /// The items of a shard.
    pub async fn items(&self, run: &Run, shard: u32) -> Vec<u32> {
        let input = shards::input(&self.world.blobs, &run.uid, &run.job_id, shard).await.unwrap();
        input.items.into_iter().map(|item| item.index).collect()
    }

    /// A batch whose shards have all reported and that waits for its results to be written.
    pub async fn aggregating(&self, name: &str, ligands: u32) -> Run {
        self.reported(self.running(name, ligands).await.0).await
    }

    /// The same of a run that workers have.
    pub async fn reported(&self, run: Run) -> Run {
        for shard in 0..run.plan.as_ref().unwrap().all_shards() {
            self.final_report(&run, shard, 1).await;
            shards::refresh(&self.world, &run.uid, &run.job_id, shard).await.unwrap();
        }
        shards::evaluate(&self.world, &run.uid, &run.job_id).await.unwrap();
        self.run(&run).await
    }

    /// A batch whose results are written.
    pub async fn finished(&self, name: &str, ligands: u32) -> Run {
        let run = self.aggregating(name, ligands).await;
        self.finish(&run).await
    }

    /// Writes the results of a batch that waits for it.
    pub async fn finish(&self, run: &Run) -> Run {
        let run = self.change(run, |run| run.begin_aggregation(self.now()).is_some()).await;
        let token = run.aggregation.unwrap().token;
        let summary = results::write(&self.world.docs, &self.world.blobs, &run, token).await.unwrap().summary;
        self.change(&run, |run| run.finish(token, summary.clone(), false, self.now())).await
    }

    /// Every row there is of a small run, with its rank, as they are told page by page.
    pub async fn rows(&self, run: &Run) -> Vec<ResultRow> {
        let query = ResultsQuery { limit: Some(500), ..ResultsQuery::default() };
        let page = results::page(&self.world.docs, &self.world.blobs, run, &query).await.unwrap();
        assert!(!page.has_more, "more than a page");
        page.results
    }

    /// The execution is over, as Cloud Run would say.
    pub async fn end(&self, execution: &str) {
        let (state, notice) = (ExecutionState::Failed, Message::default());
        self.store.execution_ends(execution, state, places::EXECUTION_ENDED, notice).await.unwrap();
    }

    /// The run as it stands.
    pub async fn run(&self, run: &Run) -> Run {
        self.world.docs.get(&places::job(&run.uid, &run.job_id)).await.unwrap().value
    }

    /// All runs of a user.
    pub async fn runs(&self, name: &str) -> Vec<Run> {
        let all = platform::Query::collection(places::jobs(&user(name)));
        let all = self.world.docs.query(&all).await.unwrap();
        all.into_iter().map(|run: Versioned<Run>| run.value).collect()
    }

    /// A shard as it stands.
    pub async fn shard(&self, run: &Run, shard: u32) -> Shard {
        self.world.docs.get(&places::shard(&run.uid, &run.job_id, shard)).await.unwrap().value
    }

    /// Changes the document of a shard by hand.
    pub async fn change_shard(&self, run: &Run, shard: u32, change: impl FnOnce(&mut Shard) -> bool) -> Shard {
        let mut read = self.world.docs.get(&places::shard(&run.uid, &run.job_id, shard)).await.unwrap();
        assert!(change(&mut read.value), "the shard does not allow this");
        self.world.docs.replace(&read).await.unwrap();
        read.value
    }

    /// The pool as it stands.
    pub async fn pool(&self) -> Pool {
        self.world.docs.find(&places::pool()).await.unwrap().map(|pool: Versioned<Pool>| pool.value).unwrap_or_default()
    }
}

fn row(n: u32, name: &str) -> LibraryRow {
    LibraryRow { row: n.into(), name: Some(name.to_owned()), smiles: smiles(n) }
}
