//! One message for one endpoint: how often it was tried, what came back, when it is tried next. An attempt is claimed
//! before it is made, for as long as a lease lasts: two workers never make the same one at once, and what a lost worker
//! left is due again. No HTTP here, and no secret: a delivery is shown to its user as it is.

use crate::{JobId, Timestamp, Uid, WebhookId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Seconds between one failure and the next attempt: the first eight steps of the schedule in Standard Webhooks 1.0
/// ("Deliverability and reliability"), which take 31 hours and 35 minutes together.
const DELAYS: [u64; 7] = [5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600];
/// What an endpoint may ask for in `Retry-After`, at the most.
const LONGEST_DELAY: u64 = 24 * 3600;
/// A claimed attempt that nobody wrote down is due again after so many seconds; longer than any attempt takes.
const LEASE_SECONDS: u64 = 60;
/// How long a delivery is shown.
const KEPT_SECONDS: u64 = 30 * 24 * 3600;

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// To be tried at `next_attempt_at`.
    Waiting,
    /// Answered with 2xx.
    Delivered,
    /// Not tried any more.
    Failed,
    /// The endpoint was disabled or deleted before it could be delivered.
    Dropped,
}

/// One try.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Attempt {
    pub at: Timestamp,
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What came back.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Outcome {
    /// The HTTP status, where there was an answer.
    pub status: Option<u16>,
    /// The beginning of the answer's body, at most 1,024 bytes.
    pub body: Option<String>,
    /// Why there was no answer.
    pub error: Option<String>,
    /// Seconds that the endpoint asked for before the next attempt.
    pub retry_after: Option<u64>,
    /// How long it took.
    pub milliseconds: u64,
}

/// A message on its way to an endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    /// `msg_…`, the `webhook-id` of every attempt; without full stops, as signing needs.
    pub id: String,
    #[serde(deserialize_with = "Uid::stored")]
    pub uid: Uid,
    pub webhook_id: WebhookId,
    /// The type in the payload, e.g. `batch.completed`.
    pub event: String,
    /// The run it is about; absent for a test.
    pub job_id: Option<JobId>,
    /// The payload, the same bytes in every attempt.
    pub payload: String,
    pub state: DeliveryState,
    pub attempts: Vec<Attempt>,
    /// Absent once it is not tried any more.
    pub next_attempt_at: Option<Timestamp>,
    pub created_at: Timestamp,
    /// When the document may be forgotten.
    pub expire_at: Timestamp,
}

/// What a claim came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempting {
    /// The attempt of this number, from 1, is to be made now.
    Granted(usize),
    /// The last attempt was lost with its worker: the delivery has failed.
    Exhausted,
    /// It is not due.
    NotDue,
}

/// What an outcome came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Delivered,
    /// It is tried again.
    Again,
    /// It was the last attempt.
    Exhausted,
    /// The endpoint answered 410.
    Gone,
    /// Somebody else claimed the next attempt meanwhile; nothing is changed.
    Late,
}

impl Delivery {
    /// A message that is due at once. Without a run it is a test, tried once.
    pub fn new(
        id: String,
        uid: Uid,
        webhook_id: WebhookId,
        event: &str,
        job_id: Option<JobId>,
        payload: String,
        now: Timestamp,
    ) -> Self {
        Delivery {
            id,
            uid,
            webhook_id,
            event: event.to_owned(),
            job_id,
            payload,
            state: DeliveryState::Waiting,
            attempts: vec![],
            next_attempt_at: Some(now),
            created_at: now,
            expire_at: now.plus_seconds(KEPT_SECONDS),
        }
    }

    /// A test is tried once and says nothing about the endpoint's days.
    pub fn is_test(&self) -> bool {
        self.job_id.is_none()
    }

    pub fn is_due(&self, now: Timestamp) -> bool {
        self.state == DeliveryState::Waiting && self.next_attempt_at.is_some_and(|at| at <= now)
    }

    /// Takes the attempt that is due; until its outcome is written down, or for a minute, nobody else gets it.
    pub fn claim(&mut self, now: Timestamp) -> Attempting {
        if !self.is_due(now) {
            return Attempting::NotDue;
        }
        if self.attempts.len() == self.most_attempts() {
            self.end(DeliveryState::Failed);
            return Attempting::Exhausted;
        }
        let outcome = Outcome { error: Some("no outcome was written down".to_owned()), ..Outcome::default() };
        self.attempts.push(Attempt { at: now, outcome });
        self.next_attempt_at = Some(now.plus_seconds(LEASE_SECONDS));
        Attempting::Granted(self.attempts.len())
    }

    /// Writes down how the attempt of this number went, and decides what follows.
    pub fn record(&mut self, number: usize, outcome: Outcome, now: Timestamp) -> Verdict {
        if self.state != DeliveryState::Waiting || self.attempts.len() != number {
            return Verdict::Late;
        }
        let (status, asked) = (outcome.status, outcome.retry_after);
        if let Some(attempt) = self.attempts.last_mut() {
            attempt.outcome = outcome;
        }
        match (status, self.delay(asked)) {
            (Some(200..=299), _) => {
                self.end(DeliveryState::Delivered);
                Verdict::Delivered
            }
            (Some(410), _) => {
                self.end(DeliveryState::Failed);
                Verdict::Gone
            }
            (_, Some(delay)) => {
                self.next_attempt_at = Some(now.plus_seconds(delay));
                Verdict::Again
            }
            (_, None) => {
                self.end(DeliveryState::Failed);
                Verdict::Exhausted
            }
        }
    }

    /// The endpoint listens no more.
    pub fn drop_it(&mut self) {
        self.end(DeliveryState::Dropped);
    }

    fn end(&mut self, state: DeliveryState) {
        self.state = state;
        self.next_attempt_at = None;
    }

    fn most_attempts(&self) -> usize {
        if self.is_test() { 1 } else { DELAYS.len() + 1 }
    }

    /// Seconds from the latest failure to the next attempt: what the schedule says, up to a tenth more so that messages
    /// which failed together do not come back together, and no less than the endpoint asked for. `None` after the last.
    fn delay(&self, asked: Option<u64>) -> Option<u64> {
        let failures = self.attempts.len();
        let scheduled = DELAYS.get(failures - 1).filter(|_| failures < self.most_attempts())?;
        let spread = self.id.bytes().map(u64::from).sum::<u64>() % 101;
        Some((scheduled + scheduled * spread / 1000).max(asked.unwrap_or(0).min(LONGEST_DELAY)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from(DateTime::from_timestamp_secs(1_700_000_000).unwrap()).plus_seconds(seconds)
    }

    fn answer(status: u16) -> Outcome {
        Outcome { status: Some(status), ..Outcome::default() }
    }

    fn delivery(job: bool) -> Delivery {
        let uid = Uid::named("u1".to_owned()).unwrap();
        let job_id = job.then(|| JobId::new(true, "0123456789abcdefghjkmnpq").unwrap());
        let webhook = WebhookId::new("0123456789abcdefghjkmnpq").unwrap();
        // The bytes of this id sum to a multiple of 101: no spread.
        Delivery::new("e".into(), uid, webhook, "batch.completed", job_id, "{}".into(), at(0))
    }

    /// Claims the attempt at its time and gives it this answer; when that was, and what followed.
    fn attempt(delivery: &mut Delivery, outcome: Outcome) -> (Timestamp, Verdict) {
        let now = delivery.next_attempt_at.unwrap();
        let Attempting::Granted(number) = delivery.claim(now) else { panic!("it is due") };
        (now, delivery.record(number, outcome, now))
    }

    #[test]
    fn an_endpoint_that_never_answers_is_tried_eight_times_over_more_than_a_day() {
        let mut delivery = delivery(true);
        let tries: Vec<_> = (0..8).map(|_| attempt(&mut delivery, answer(500))).collect();
        let seconds: Vec<_> = tries.iter().map(|(now, _)| now.seconds_since(at(0)) as u64).collect();
        assert_eq!(seconds, [0, 5, 305, 2105, 9305, 27_305, 63_305, 113_705]);
        assert_eq!((tries[6].1, tries[7].1), (Verdict::Again, Verdict::Exhausted));
        assert_eq!((delivery.state, delivery.next_attempt_at), (DeliveryState::Failed, None));
        assert_eq!(delivery.claim(at(999_999)), Attempting::NotDue);
    }

    #[test]
    fn two_claims_never_get_the_same_attempt_and_a_lost_one_is_due_again_after_its_lease() {
        let mut delivery = delivery(true);
        assert_eq!(delivery.claim(at(0)), Attempting::Granted(1));
        assert_eq!((delivery.claim(at(0)), delivery.claim(at(59))), (Attempting::NotDue, Attempting::NotDue));
        assert_eq!(delivery.claim(at(60)), Attempting::Granted(2));
        let before = delivery.clone();
        assert_eq!((delivery.record(1, answer(200), at(61)), &delivery), (Verdict::Late, &before));
        assert_eq!(delivery.record(2, answer(200), at(61)), Verdict::Delivered);
        assert_eq!(delivery.attempts.len(), 2);
        assert_eq!(delivery.record(2, answer(500), at(62)), Verdict::Late, "told twice");
    }

    #[test]
    fn workers_that_are_always_lost_do_not_try_for_ever() {
        let mut delivery = delivery(true);
        let mut granted = 0;
        while let Some(now) = delivery.next_attempt_at {
            granted += usize::from(matches!(delivery.claim(now), Attempting::Granted(_)));
        }
        assert_eq!((granted, delivery.state), (8, DeliveryState::Failed));
    }

    #[test]
    fn only_2xx_is_a_success_and_410_ends_it_at_once() {
        for (status, verdict) in [(200, Verdict::Delivered), (204, Verdict::Delivered), (410, Verdict::Gone)] {
            let mut delivery = delivery(true);
            assert_eq!(attempt(&mut delivery, answer(status)).1, verdict);
            assert!(delivery.next_attempt_at.is_none());
        }
        for status in [101, 199, 300, 301, 308, 400, 404, 429, 500, 503] {
            assert_eq!(attempt(&mut delivery(true), answer(status)).1, Verdict::Again, "{status}");
        }
    }

    #[test]
    fn an_endpoint_may_ask_for_more_time_but_not_for_less_and_not_for_ever() {
        for (asked, wanted) in [(0, 5), (4, 5), (120, 120), (u64::MAX, 24 * 3600)] {
            let mut delivery = delivery(true);
            attempt(&mut delivery, Outcome { retry_after: Some(asked), ..answer(503) });
            assert_eq!(delivery.next_attempt_at, Some(at(wanted)), "{asked}");
        }
    }

    #[test]
    fn messages_that_failed_together_come_back_within_a_tenth_of_each_other() {
        let delays = ["msg_a", "msg_b", "msg_c", "msg_zzzzzzz"].map(|id| {
            let mut delivery = Delivery { id: id.into(), ..delivery(true) };
            let verdicts = [0; 4].map(|_| attempt(&mut delivery, answer(500)).1);
            assert_eq!(verdicts, [Verdict::Again; 4]);
            delivery.delay(None).unwrap()
        });
        assert!(delays.iter().all(|delay| (7200..=7920).contains(delay)), "{delays:?}");
        assert!(delays.windows(2).any(|pair| pair[0] != pair[1]), "{delays:?}");
    }

    #[test]
    fn a_test_is_tried_once() {
        let mut delivery = delivery(false);
        assert_eq!(attempt(&mut delivery, answer(500)).1, Verdict::Exhausted);
        assert_eq!(delivery.state, DeliveryState::Failed);
    }
}
