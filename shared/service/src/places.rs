//! Where everything lies: the one room that knows the names of documents and objects. Every name of a user's data
//! begins with the user, and is made from ids that cannot leave their place.

use domain::{JobId, Uid};
use platform::{BlobPath, Collection, DocPath, Result};

/// The bucket users drop libraries into.
pub const UPLOADS: &str = "uploads";
/// The bucket of inputs, structures and results.
pub const ARTIFACTS: &str = "artifacts";
/// The bucket of shard reports, so that one event means one piece of progress.
pub const REPORTS: &str = "reports";

/// The bucket of the models' weights, a folder per model.
pub const WEIGHTS: &str = "weights";

/// The kind of GPU there is.
pub const GPU: &str = "l4";

/// The topic that wakes the dispatcher.
pub const DISPATCH: &str = "dispatch";
/// The topic of API keys that were used.
pub const KEY_USED: &str = "key-used";
/// The topic of ended executions.
pub const EXECUTION_ENDED: &str = "execution-ended";

/// The topic of what could not be processed.
pub const DEAD_LETTER: &str = "dead-letter";
/// The topic of messages to users' endpoints.
pub const WEBHOOKS: &str = "webhooks";

/// The collection group of runs.
pub const JOBS: &str = "jobs";
/// The collection group of messages to users' endpoints.
pub const DELIVERIES: &str = "deliveries";
/// The Cloud Run job that runs shards.
pub const WORKER_JOB: &str = "predict-worker";

/// What the names of some of a run's artifacts begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefix(String);

impl Prefix {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A longer prefix.
    pub fn below(&self, rest: &str) -> Prefix {
        Prefix(format!("{}{rest}", self.0))
    }

    /// The object whose name goes on like this.
    pub fn object(&self, rest: &str) -> Result<BlobPath> {
        BlobPath::new(ARTIFACTS, format!("{}{rest}", self.0))
    }
}

/// What an operator decided about a user, and what of their limits is used up.
pub fn account(uid: &Uid) -> DocPath {
    Collection::root("users").doc(uid.as_str())
}

pub fn jobs(uid: &Uid) -> Collection {
    account(uid).collection(JOBS)
}

pub fn job(uid: &Uid, job: &JobId) -> DocPath {
    jobs(uid).doc(job.as_str())
}

pub fn shards(uid: &Uid, job_id: &JobId) -> Collection {
    job(uid, job_id).collection("shards")
}

pub fn shard(uid: &Uid, job: &JobId, shard: u32) -> DocPath {
    shards(uid, job).doc(&format!("{shard:05}"))
}

/// What a user is told of. Written with the move it tells of; whoever tells users reads it here.
pub fn notice(uid: &Uid, id: &str) -> DocPath {
    Collection::root("users").doc(uid.as_str()).collection("notices").doc(id)
}

/// What could not be processed, for operators.
pub fn dead_letters() -> Collection {
    Collection::root("dead_letters")
}

/// Runs that were purged and are looked after once more.
pub fn purged() -> Collection {
    Collection::root("purged")
}

/// Runs that ended before their shards did, and are looked at once more.
pub fn ended_early() -> Collection {
    Collection::root("ended_early")
}

/// The messages to a user's endpoints.
pub fn deliveries(uid: &Uid) -> Collection {
    Collection::root("users").doc(uid.as_str()).collection(DELIVERIES)
}

pub fn delivery(uid: &Uid, id: &str) -> DocPath {
    deliveries(uid).doc(id)
}

/// A user's endpoints with their secrets: not below `users`, which their browsers read.
pub fn webhooks(uid: &Uid) -> DocPath {
    Collection::root("webhooks").doc(uid.as_str())
}

/// What the reconciler did.
pub fn repairs() -> DocPath {
    Collection::root("system").doc("repairs")
}

/// The one pool of GPUs.
pub fn pool() -> DocPath {
    Collection::root("pools").doc(GPU)
}

/// What finished shards taught of a model's times on the pool's GPUs.
pub fn profile(model: &str) -> DocPath {
    Collection::root("profiles").doc(&format!("{model}.{GPU}"))
}

/// What the first answer to an `Idempotency-Key` was.
pub fn idempotency(hash: &str) -> DocPath {
    Collection::root("idempotency").doc(hash)
}

/// All users' API keys.
pub fn api_keys() -> Collection {
    Collection::root("api_keys")
}

/// An API key, by the SHA-256 of the key.
pub fn api_key(hash: &str) -> DocPath {
    api_keys().doc(hash)
}

/// The accepted items, one JSON line each.
pub fn library(uid: &Uid, job: &JobId) -> Result<BlobPath> {
    artifact(uid, job, "inputs/library.ndjson")
}

/// The rejected rows, one JSON line each.
pub fn rejected(uid: &Uid, job: &JobId) -> Result<BlobPath> {
    artifact(uid, job, "inputs/rejected.ndjson")
}

/// An input of the model that is too large for the document (`msa.a3m`, `target.pdb` …).
pub fn input_file(uid: &Uid, job: &JobId, name: &str) -> Result<BlobPath> {
    artifact(uid, job, &format!("inputs/files/{name}"))
}

/// Where each item stands in the order of the shards, for a run whose shards hold ligands of like size: four bytes for
/// each item, in the order of the library.
pub fn positions(uid: &Uid, job: &JobId) -> Result<BlobPath> {
    artifact(uid, job, "inputs/positions.u32")
}

/// Which of the items have their result in earlier runs, and where; a list of other content has another name.
pub fn known(uid: &Uid, job: &JobId, name: &str) -> Result<BlobPath> {
    artifact(uid, job, &format!("inputs/known-{name}.idx"))
}

/// The ligands of which a run has results, for later runs.
pub fn answers(uid: &Uid, job: &JobId) -> Result<BlobPath> {
    artifact(uid, job, "results/answers.idx")
}

/// The names of a user's runs that have answers to a question, by the model or by its stand-in, begin with this. No run
/// is called `cache`.
pub fn answers_to(uid: &Uid, question: &str, simulated: bool) -> String {
    format!("{uid}/cache/{question}{}/", if simulated { "-simulated" } else { "" })
}

/// Says that a run has answers to the question.
pub fn answered_by(uid: &Uid, question: &str, simulated: bool, job: &JobId) -> Result<BlobPath> {
    BlobPath::new(ARTIFACTS, format!("{}{job}", answers_to(uid, question, simulated)))
}

/// The items of a shard.
pub fn shard_input(uid: &Uid, job: &JobId, shard: u32) -> Result<BlobPath> {
    artifact(uid, job, &format!("inputs/shards/{shard:05}.json"))
}

/// A file that one attempt wrote for one item: a later attempt writes beside it, never over it.
pub fn item_file(uid: &Uid, job: &JobId, index: u32, attempt: u32, file: &str) -> Result<BlobPath> {
    artifact(uid, job, &format!("items/{index:07}/{attempt}/{file}"))
}

/// A file made from an item's files for download.
pub fn item_download(uid: &Uid, job: &JobId, index: u32, file: &str) -> Result<BlobPath> {
    artifact(uid, job, &format!("items/{index:07}/download/{file}"))
}

/// Everything that the writer of this token wrote begins with this.
pub fn final_results(uid: &Uid, job: &JobId, token: u32) -> Prefix {
    Prefix(format!("{}results/{token:04}/", run_prefix(uid, job)))
}

/// The results there were of a run that ended without, at one state of its shards, begin with this.
pub fn partial_results(uid: &Uid, job: &JobId, state: &str) -> Prefix {
    Prefix(format!("{}results/partial/{state}/", run_prefix(uid, job)))
}

/// What is told of a run before its results are written: the rejected rows.
pub fn result(uid: &Uid, job: &JobId, file: &str) -> Result<BlobPath> {
    artifact(uid, job, &format!("results/{file}"))
}

/// Everything of a run in the artifacts and in the reports bucket begins with this.
pub fn run_prefix(uid: &Uid, job: &JobId) -> String {
    format!("{uid}/{job}/")
}

/// An object of a run by its full name, which must be one of that run.
pub fn own_artifact(uid: &Uid, job: &JobId, name: &str) -> Result<BlobPath> {
    below(ARTIFACTS, &run_prefix(uid, job), name)
}

/// A report by its full name, which must be one of that user.
pub fn own_report(uid: &Uid, name: &str) -> Result<BlobPath> {
    below(REPORTS, &user_prefix(uid), name)
}

/// One report of one attempt at one shard.
pub fn report(uid: &Uid, job: &JobId, shard: u32, attempt: u32, seq: u32) -> Result<BlobPath> {
    BlobPath::new(REPORTS, format!("{}{attempt:04}/{seq:05}.json", reports_of(uid, job, shard)))
}

/// All reports of a shard begin with this; in the order of names the latest comes last.
pub fn reports_of(uid: &Uid, job: &JobId, shard: u32) -> String {
    format!("{}{shard:05}/", run_prefix(uid, job))
}

/// Whose report an object of the reports bucket is: user, run and shard.
pub fn parse_report(name: &str) -> Option<(Uid, JobId, u32)> {
    let [uid, job_id, shard_name, _attempt, _file] = name.split('/').collect::<Vec<_>>().try_into().ok()?;
    let shard = shard_name.parse().ok()?;
    Some((Uid::named(uid.to_owned()).ok()?, job_id.to_owned().try_into().ok()?, shard))
}

/// A file of the folder that a link for an upload was made for.
pub fn upload(uid: &Uid, folder: &str, file: &str) -> Result<BlobPath> {
    BlobPath::new(UPLOADS, format!("{}{folder}/{file}", user_prefix(uid)))
}

/// An uploaded object by its full name, which must be one of that user.
pub fn own_upload(uid: &Uid, name: &str) -> Result<BlobPath> {
    below(UPLOADS, &user_prefix(uid), name)
}

/// An object that is not there, by which is seen whether the bucket answers.
pub fn health() -> Result<BlobPath> {
    BlobPath::new(ARTIFACTS, "health")
}

fn user_prefix(uid: &Uid) -> String {
    format!("{uid}/")
}

/// An object by its full name, which must begin so.
fn below(bucket: &str, prefix: &str, name: &str) -> Result<BlobPath> {
    if !name.starts_with(prefix) {
        return Err(platform::Error::Invalid(format!("{name:?} does not lie below {prefix}")));
    }
    BlobPath::new(bucket, name)
}

fn artifact(uid: &Uid, job: &JobId, rest: &str) -> Result<BlobPath> {
    BlobPath::new(ARTIFACTS, format!("{}{rest}", run_prefix(uid, job)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_found_by_its_name_and_the_latest_sorts_last() {
        let uid = Uid::named("u1".to_owned()).unwrap();
        let job = JobId::new(true, "0123456789abcdefghjkmnpq").unwrap();
        let name = |attempt, seq| report(&uid, &job, 7, attempt, seq).unwrap().name().to_owned();
        assert_eq!(parse_report(&name(1, 2)), Some((uid.clone(), job.clone(), 7)));
        assert!(name(1, 10) > name(1, 9) && name(10, 1) > name(9, 3));
        for foreign in ["x", "u1/job_x/1/1/1.json", "u1/../00001/0001/1.json", "a/b/c/d/e/f"] {
            assert_eq!(parse_report(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn another_runs_object_is_not_ones_own() {
        let uid = Uid::named("u1".to_owned()).unwrap();
        let job = JobId::new(true, "0123456789abcdefghjkmnpq").unwrap();
        let mine = item_file(&uid, &job, 1, 1, "structure.cif").unwrap();
        assert_eq!(own_artifact(&uid, &job, mine.name()).unwrap(), mine);
        assert!(own_artifact(&uid, &job, "u2/job_0123456789abcdefghjkmnpq/items/1").is_err());
        assert!(own_artifact(&uid, &job, &format!("u1/{job}/../../u2/x")).is_err());
        for foreign in ["u2/folder/x.csv", "u12/folder/x.csv", "u1", "u1/../u2/x.csv"] {
            assert!(own_upload(&uid, foreign).is_err() && own_report(&uid, foreign).is_err(), "{foreign}");
        }
        assert_eq!(own_upload(&uid, "u1/folder/x.csv").unwrap(), upload(&uid, "folder", "x.csv").unwrap());
    }
}
