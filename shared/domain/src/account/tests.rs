use super::*;
use chrono::{DateTime, Utc};
use serde_json::json;

fn at(text: &str) -> Timestamp {
    text.parse::<DateTime<Utc>>().unwrap().into()
}

const JOB: Demanded = Demanded { batch: false, ligands: 1, gpu_seconds: 60.0 };
const BATCH: Demanded = Demanded { batch: true, ligands: 100, gpu_seconds: 600.0 };

fn admit(account: &mut Account, tier: Tier, demanded: Demanded, holding: Holding, now: Timestamp) -> Option<Exceeded> {
    account.admit(tier, &tier.limits(), demanded, holding, now).err().map(|exceeded| *exceeded)
}

fn none() -> Holding {
    Holding::nothing(at("2026-11-23T12:00:00Z"))
}

#[test]
fn the_hour_begins_anew_and_says_when() {
    let (mut account, now) = (Account::default(), at("2026-11-23T12:10:00Z"));
    for _ in 0..10 {
        assert_eq!(admit(&mut account, Tier::Default, JOB, none(), now), None);
    }
    let refused = admit(&mut account, Tier::Default, JOB, none(), now).unwrap();
    assert_eq!((refused.kind, refused.limit, refused.used), (LimitKind::JobsPerHour, 10, 10));
    assert_eq!((refused.resets_at, refused.retry_after), (Some(at("2026-11-23T13:00:00Z")), Some(50 * 60)));
    assert_eq!(admit(&mut account, Tier::Premium, JOB, none(), now), None, "a higher tier has room");
    assert_eq!(admit(&mut account, Tier::Default, BATCH, none(), now), None, "batches are counted by themselves");
    assert_eq!(admit(&mut account, Tier::Default, JOB, none(), at("2026-11-23T13:00:00Z")), None);
    assert_eq!(account.jobs.used, 1);
}

#[test]
fn a_refused_submission_counts_nothing() {
    let (mut account, now) = (Account::default(), at("2026-11-23T12:10:00Z"));
    let holding = Holding { concurrent: 2, ..none() };
    let refused = admit(&mut account, Tier::Default, JOB, holding, now).unwrap();
    assert_eq!((refused.kind, refused.used), (LimitKind::ConcurrentJobs, 2));
    assert!(refused.retry_after.is_some() && refused.resets_at.is_none());
    assert_eq!(account, Account::default());
}

#[test]
fn an_instance_whose_clock_is_behind_opens_no_second_window() {
    let mut account = Account::default();
    for _ in 0..2 {
        assert_eq!(admit(&mut account, Tier::Default, BATCH, none(), at("2026-11-24T00:00:00Z")), None);
    }
    let refused = admit(&mut account, Tier::Default, BATCH, none(), at("2026-11-23T23:59:59.500Z")).unwrap();
    assert_eq!((refused.kind, refused.resets_at), (LimitKind::BatchesPerDay, Some(at("2026-11-25T00:00:00Z"))));
}

#[test]
fn what_was_counted_holds_for_a_minute_of_the_same_month_with_all_that_was_submitted_since() {
    let (mut account, now) = (Account::default(), at("2026-11-30T23:59:30Z"));
    assert_eq!((account.held(false, now), account.held(true, now)), (None, None), "nothing was counted yet");
    let counted = |concurrent, gpu_seconds| Holding { counted_at: now, concurrent, gpu_seconds };
    for demanded in [JOB, BATCH] {
        let holding = account.held(demanded.batch, now).unwrap_or(counted(1, 10.0));
        assert_eq!(admit(&mut account, Tier::Premium, demanded, holding, now), None);
    }
    assert_eq!(account.held(false, now), Some(counted(2, 670.0)), "the batch's GPU time is of the same budget");
    assert_eq!(account.held(true, now), Some(counted(2, 610.0)));
    assert!(account.held(false, at("2026-11-30T23:59:59.900Z")).is_some());
    assert_eq!(account.held(false, at("2026-12-01T00:00:00Z")), None, "another month");
    assert_eq!(account.held(false, at("2026-11-30T23:59:29Z")), None, "counted by a clock that is ahead");
    let noon = Account { held_by_jobs: Some(none()), ..Account::default() };
    assert_eq!(noon.held(false, at("2026-11-23T12:00:59Z")), Some(none()));
    assert_eq!(noon.held(false, at("2026-11-23T12:01:00Z")), None);
    let written = serde_json::to_value(&account).unwrap();
    assert_eq!(serde_json::from_value::<Account>(written).unwrap(), account);
}

#[test]
fn a_batch_is_held_to_its_ligands_and_a_single_prediction_is_not() {
    let (mut account, now) = (Account::default(), at("2026-11-23T12:10:00Z"));
    let large = Demanded { ligands: 1_501, gpu_seconds: 1.0, ..BATCH };
    let refused = admit(&mut account, Tier::Default, large, none(), now).unwrap();
    assert_eq!((refused.kind, refused.limit, refused.wanted), (LimitKind::LigandsPerBatch, 1_500, 1_501));
    assert_eq!(refused.retry_after, None, "waiting does not help");
    assert_eq!(admit(&mut account, Tier::Default, Demanded { ligands: 1_500, ..large }, none(), now), None);
}

#[test]
fn the_budget_counts_what_is_spent_reserved_purged_and_planned() {
    let (mut account, now) = (Account::default(), at("2026-12-31T12:10:00Z"));
    account.purged.insert("2026-12".into(), Purged { charged_gpu_seconds: 600.0, ..Purged::default() });
    let holding = Holding { gpu_seconds: 2_400.0, ..none() };
    assert_eq!(admit(&mut account.clone(), Tier::Default, BATCH, holding, now), None, "just the hour");
    let more = Demanded { gpu_seconds: 601.0, ..BATCH };
    let refused = admit(&mut account, Tier::Default, more, holding, now).unwrap();
    assert_eq!(
        (refused.kind, refused.limit, refused.used, refused.wanted),
        (LimitKind::GpuMinutesPerMonth, 60, 50, 11)
    );
    assert_eq!(refused.resets_at, Some(at("2027-01-01T00:00:00Z")));
    assert_eq!(admit(&mut account, Tier::Default, more, none(), at("2027-01-01T00:00:00Z")), None);
}

#[test]
fn the_operators_word_is_stronger_than_the_tokens() {
    let account: Account = serde_json::from_value(json!({"tier": "premium", "roles": ["admin", "pope"]})).unwrap();
    assert_eq!((account.tier(Some(Tier::Admin)), account.roles(&[])), (Tier::Premium, vec![Role::Admin]));
    let nobody: Account = serde_json::from_value(json!({"roles": []})).unwrap();
    assert_eq!((nobody.tier(Some(Tier::Enterprise)), nobody.roles(&[Role::Admin])), (Tier::Enterprise, vec![]));
    let empty = Account::default();
    assert_eq!((empty.tier(None), empty.roles(&[Role::Admin])), (Tier::Default, vec![Role::Admin]));
    let seen = Account { claimed_tier: Some(Tier::Premium), ..Account::default() };
    assert_eq!((seen.tier(None), seen.tier(Some(Tier::Default))), (Tier::Premium, Tier::Default));
}

#[test]
fn what_others_wrote_into_the_document_stays() {
    let body = json!({"tier": "admin", "note": {"sales": 7}});
    let account: Account = serde_json::from_value(body).unwrap();
    assert_eq!(serde_json::to_value(&account).unwrap()["note"], json!({"sales": 7}));
}

#[test]
fn an_account_that_was_written_before_months_were_told_apart_still_reads() {
    let older = json!({"tier": "premium", "purged": {"month": "2026-10", "gpu_seconds": 7.0}, "key_changes": 1});
    let account: Account = serde_json::from_value(older).unwrap();
    assert_eq!(
        (account.tier, account.purged_in("2026-10"), account.key_changes),
        (Some(Tier::Premium), Purged::default(), 1)
    );
}
