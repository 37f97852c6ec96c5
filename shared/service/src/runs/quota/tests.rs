use super::*;
use crate::{
    World,
    runs::{
        self,
        library::Ligands,
        recent::Recent,
        shards,
        submit::{self, OnInvalid, Submission},
    },
    testing::{Bench, SEQUENCE, start, user},
};
use chem::LibraryRow;
use domain::{Account, Priority, RunError, Source, Strategy};
use futures::future::join_all;
use serde_json::Value;

fn submission(name: &str, batch: bool) -> Submission {
    let model = submit::model("boltz2").unwrap();
    Submission {
        uid: user(name),
        account: None,
        claimed_tier: None,
        batch,
        name: None,
        model,
        accepted: submit::accept(model, Some(SEQUENCE), &Value::Null, &Value::Null).unwrap(),
        priority: Priority::Normal,
        strategy: Strategy::Sequential,
        max_concurrent: None,
        max_cost_usd: None,
        source: Source::Api,
    }
}

/// So many small ligands, each another chain of carbon and nitrogen.
fn rows(count: u32) -> Ligands {
    let chain = |n: u32| (0..12).map(move |bit| if n & (1 << bit) == 0 { 'C' } else { 'N' }).collect::<String>();
    let row = |n: u32| LibraryRow { row: n.into(), name: None, smiles: format!("F{}Cl", chain(n)) };
    Ligands::Rows((1..=count).map(row).collect())
}

/// The status of a refusal, and the limit that it names.
type Refusal = (u16, Option<String>);

async fn send(bench: &Bench, submission: Submission, ligands: Ligands) -> std::result::Result<Run, Refusal> {
    let outcome = submit::submit(&bench.world.submitting(), submission, ligands, OnInvalid::Reject, None).await;
    outcome.map_err(|problem| {
        let words = problem.to_string();
        (problem.status().as_u16(), words.split(' ').next().map(str::to_owned).filter(|word| word.contains('_')))
    })
}

async fn single(bench: &Bench) -> std::result::Result<Run, Refusal> {
    send(bench, submission("u1", false), rows(1)).await
}

fn refused(status: u16, limit: &str) -> Refusal {
    (status, Some(limit.to_owned()))
}

/// A bench whose user `u1` is of this tier.
async fn of_tier(tier: Tier) -> Bench {
    let bench = Bench::new().await;
    bench.change_account("u1", |account| account.tier = Some(tier)).await;
    bench
}

async fn end(bench: &Bench, run: &Run) {
    bench.change(run, |run| run.fail(RunError::new("test", ""), start())).await;
}

#[tokio::test]
async fn an_hours_predictions_are_counted_and_the_next_hour_begins_anew() {
    let bench = of_tier(Tier::Default).await;
    for _ in 0..10 {
        end(&bench, &single(&bench).await.unwrap()).await;
    }
    assert_eq!(single(&bench).await.unwrap_err(), refused(429, "jobs_per_hour"));
    assert_eq!(bench.runs("u1").await.len(), 10);
    // The bench's clock stands at 22:13:30: changing the tier took ten seconds.
    bench.wait(46 * 60 + 29);
    assert!(single(&bench).await.is_err());
    bench.wait(1);
    assert!(single(&bench).await.is_ok());
}

#[tokio::test]
async fn only_so_many_runs_may_be_unfinished() {
    let bench = of_tier(Tier::Default).await;
    let first = single(&bench).await.unwrap();
    single(&bench).await.unwrap();
    assert_eq!(single(&bench).await.unwrap_err(), refused(429, "concurrent_jobs"));
    let batch = send(&bench, submission("u1", true), rows(2)).await.unwrap();
    bench.change(&batch, |run| run.start(start())).await;
    let another = send(&bench, submission("u1", true), rows(2)).await;
    assert_eq!(another.unwrap_err(), refused(429, "concurrent_batches"), "also where it is running");
    end(&bench, &first).await;
    assert!(single(&bench).await.is_ok());
}

#[tokio::test]
async fn of_many_submissions_at_once_as_many_are_taken_as_there_is_room_for() {
    let bench = of_tier(Tier::Premium).await;
    let outcomes = join_all((0..15).map(|_| single(&bench))).await;
    let taken = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!((taken, bench.runs("u1").await.len(), bench.account("u1").await.jobs.used), (5, 5, 5));
    for refusal in outcomes.into_iter().filter_map(std::result::Result::err) {
        assert_eq!(refusal, refused(429, "concurrent_jobs"));
    }
}

#[tokio::test]
async fn a_batch_larger_than_the_tiers_is_refused_before_anything_is_written() {
    let bench = of_tier(Tier::Default).await;
    bench.happened().await;
    assert_eq!(send(&bench, submission("u1", true), rows(1501)).await.unwrap_err(), refused(422, "ligands_per_batch"));
    assert!(bench.happened().await.is_empty());
}

#[tokio::test]
async fn the_months_gpu_time_is_planned_first_and_then_what_it_took() {
    let bench = of_tier(Tier::Default).await;
    let run = send(&bench, submission("u1", true), rows(30)).await.unwrap();
    let planned = run.plan.as_ref().unwrap().gpu_seconds;
    let month = bench.now();
    assert_eq!(charged(&bench.world.docs, &run.uid, month).await.unwrap(), planned);
    let over = send(&bench, submission("u1", true), rows(200)).await.unwrap_err();
    assert_eq!(over, refused(429, "concurrent_batches"));
    // It ended early and took 100 seconds.
    bench
        .change(&run, |run| {
            run.cost.gpu_seconds = 100.0;
            run.cancel(start())
        })
        .await;
    assert_eq!(charged(&bench.world.docs, &run.uid, month).await.unwrap(), 100.0);
    let over = send(&bench, submission("u1", true), rows(400)).await.unwrap_err();
    assert_eq!(over, refused(402, "gpu_minutes_per_month"));
    bench.wait(32 * 24 * 3600);
    assert_eq!(charged(&bench.world.docs, &run.uid, bench.now()).await.unwrap(), 0.0);
}

#[tokio::test]
async fn purging_a_run_gives_no_gpu_time_back() {
    let bench = of_tier(Tier::Default).await;
    let run = single(&bench).await.unwrap();
    bench
        .change(&run, |run| {
            run.cost.gpu_seconds = 3_590.0;
            run.cancel(start())
        })
        .await;
    bench.wait(60);
    assert_eq!(single(&bench).await.unwrap_err(), refused(402, "gpu_minutes_per_month"));
    runs::cancel_or_purge(&bench.world, &bench.caller("u1"), &run.job_id, true).await.unwrap();
    assert!(bench.runs("u1").await.is_empty());
    assert_eq!(bench.account("u1").await.purged_in(&start().month()).charged_gpu_seconds, 3_590.0);
    assert_eq!(single(&bench).await.unwrap_err(), refused(402, "gpu_minutes_per_month"));
}

#[tokio::test]
async fn cancelling_and_purging_at_once_gives_no_gpu_time_back_that_workers_did_not_live_to_tell() {
    let bench = Bench::with(|settings| settings.gpu_capacity = 3).await;
    let (run, _) = bench.running("u1", 30).await;
    bench.report(&run, 0, 1, false, vec![]).await;
    shards::refresh(&bench.world, &run.uid, &run.job_id, 0).await.unwrap();
    bench.wait(100);
    bench.final_report(&run, 1, 1).await;
    shards::refresh(&bench.world, &run.uid, &run.job_id, 1).await.unwrap();
    let cancelled = runs::cancel_or_purge(&bench.world, &bench.caller("u1"), &run.job_id, false).await.unwrap();
    assert!(cancelled.unwrap().charged_gpu_seconds <= 120.0);
    bench.wait(24 * 3600);
    shards::evaluate(&bench.world, &run.uid, &run.job_id).await.unwrap();
    runs::cancel_or_purge(&bench.world, &bench.caller("u1"), &run.job_id, true).await.unwrap();
    let kept = bench.account("u1").await.purged_in(&start().month());
    assert_eq!((kept.gpu_seconds, kept.charged_gpu_seconds), (120.0, 320.0), "two shards were at work for 100 s more");
    assert_eq!((kept.runs, kept.completed), (1, 10));
}

#[tokio::test]
async fn a_repeated_request_is_counted_once() {
    let bench = of_tier(Tier::Default).await;
    for _ in 0..5 {
        let again = submit::repeatable(Some("k".into()), "digest".into());
        let (ports, wanted) = (bench.world.submitting(), submission("u1", false));
        submit::submit(&ports, wanted, rows(1), OnInvalid::Reject, again).await.unwrap();
    }
    assert_eq!((bench.runs("u1").await.len(), bench.account("u1").await.jobs.used), (1, 1));
}

#[tokio::test]
async fn a_user_nobody_knows_is_held_to_the_least_tier_until_a_token_says_more() {
    let bench = Bench::new().await;
    let claiming = async |claimed_tier| {
        let submission = Submission { claimed_tier, ..submission("new", false) };
        send(&bench, submission, rows(1)).await.err()
    };
    assert_eq!((claiming(None).await, claiming(None).await), (None, None));
    assert_eq!(claiming(None).await, Some(refused(429, "concurrent_jobs")));
    assert_eq!(claiming(Some(Tier::Enterprise)).await, None);
    assert_eq!(bench.account("new").await.claimed_tier, Some(Tier::Enterprise));
    assert_eq!(claiming(None).await, None, "as a key or an upload, which bring no token");
    assert_eq!(claiming(Some(Tier::Default)).await, Some(refused(429, "concurrent_jobs")), "it was taken back");
}

#[tokio::test]
async fn an_operator_may_hold_nobody_to_limits() {
    let mut bench = of_tier(Tier::Default).await;
    bench.set(|settings| settings.limits = false);
    for _ in 0..12 {
        single(&bench).await.unwrap();
    }
    assert_eq!(bench.account("u1").await.jobs.used, 12, "what was used is known when they hold again");
}

#[tokio::test]
async fn what_an_operator_wrote_into_an_account_survives_a_submission() {
    let bench = of_tier(Tier::Premium).await;
    bench.change_account("u1", |account| drop(account.other.insert("note".into(), "paid".into()))).await;
    single(&bench).await.unwrap();
    let account: Account = bench.account("u1").await;
    assert_eq!((account.tier, &account.other["note"]), (Some(Tier::Premium), &Value::from("paid")));
}

/// A prediction by who was let in by this account, on one instance of those there are.
async fn let_in(instance: &World, account: Known) -> std::result::Result<Run, Refusal> {
    let submission = Submission { account: Some(account), ..submission("u1", false) };
    let outcome = submit::submit(&instance.submitting(), submission, rows(1), OnInvalid::Reject, None).await;
    outcome.map_err(|problem| (problem.status().as_u16(), None))
}

/// The user's account as an instance goes by it.
async fn lately(instance: &World) -> Known {
    instance.recent.account(&instance.docs, &user("u1"), instance.clock.now()).await.unwrap()
}

#[tokio::test]
async fn what_was_counted_a_moment_ago_is_counted_anew_before_anybody_is_refused() {
    let bench = of_tier(Tier::Default).await;
    let first = let_in(&bench.world, lately(&bench.world).await).await.unwrap();
    let_in(&bench.world, lately(&bench.world).await).await.unwrap();
    assert_eq!(let_in(&bench.world, lately(&bench.world).await).await.unwrap_err().0, 429);
    end(&bench, &first).await;
    assert!(let_in(&bench.world, lately(&bench.world).await).await.is_ok(), "one has ended since");
}

#[tokio::test]
async fn an_instance_that_knows_an_older_account_counts_what_another_one_took_in() {
    let bench = of_tier(Tier::Default).await;
    let other = World { recent: Recent::default(), ..bench.world.clone() };
    let older = lately(&bench.world).await;
    let_in(&other, lately(&other).await).await.unwrap();
    let_in(&bench.world, older.clone()).await.unwrap();
    assert_eq!(let_in(&bench.world, older).await.unwrap_err().0, 429);
    assert_eq!((bench.runs("u1").await.len(), bench.account("u1").await.jobs.used), (2, 2));
}

#[tokio::test]
async fn a_tier_that_was_raised_a_moment_ago_counts_for_who_would_be_refused() {
    let bench = of_tier(Tier::Default).await;
    let older = lately(&bench.world).await;
    for _ in 0..2 {
        single(&bench).await.unwrap();
    }
    bench.change_account("u1", |account| account.tier = Some(Tier::Premium)).await;
    assert!(let_in(&bench.world, older).await.is_ok());
}

#[tokio::test]
async fn a_user_of_whom_nothing_is_known_is_held_to_the_limits_from_the_first_run_on() {
    let bench = Bench::new().await;
    for expected in [None, None, Some(refused(429, "concurrent_jobs"))] {
        assert_eq!(send(&bench, submission("new", false), rows(1)).await.err(), expected);
    }
    assert_eq!(bench.account("new").await.held_by_jobs.map(|held| held.concurrent), Some(2));
}

#[tokio::test]
async fn a_repeated_request_is_answered_where_there_is_room_for_nothing_more() {
    let bench = of_tier(Tier::Default).await;
    let under_key = async || {
        let again = submit::repeatable(Some("k".into()), "digest".into());
        let (ports, wanted) = (bench.world.submitting(), submission("u1", false));
        submit::submit(&ports, wanted, rows(1), OnInvalid::Reject, again).await.map(|run| run.job_id)
    };
    let first = under_key().await.unwrap();
    single(&bench).await.unwrap();
    assert_eq!(single(&bench).await.unwrap_err(), refused(429, "concurrent_jobs"));
    assert_eq!(under_key().await.unwrap(), first);
}
