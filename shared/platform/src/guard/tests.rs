#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use super::*;
use crate::{Collection, Docs, Message, StartRequest, Write, embedded::Store};
use chrono::DateTime;
use std::{
    collections::BTreeMap,
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    task::Poll,
};

fn silence() -> Error {
    Error::unavailable("the other side", "no answer")
}

fn start() -> Clock {
    Clock::manual(DateTime::UNIX_EPOCH)
}

/// The outcome of `call`; whenever it sleeps, the clock goes on to its waking.
async fn in_time<T>(clock: &Clock, call: impl Future<Output = T>) -> T {
    let mut call = pin!(call);
    loop {
        if let Poll::Ready(outcome) = futures::poll!(&mut call) {
            return outcome;
        }
        clock.advance_to_next();
        tokio::task::yield_now().await;
    }
}

/// The other side: what each call gets, and when it came.
struct Other {
    clock: Clock,
    calls: Mutex<Vec<TimeDelta>>,
    answers: fn(usize) -> Result<()>,
}

impl Other {
    fn new(clock: &Clock, answers: fn(usize) -> Result<()>) -> Self {
        Other { clock: clock.clone(), calls: Mutex::default(), answers }
    }

    async fn ask(&self) -> Result<()> {
        let mut calls = self.calls.lock().unwrap();
        calls.push(self.clock.now() - DateTime::UNIX_EPOCH);
        (self.answers)(calls.len())
    }

    fn asked(&self) -> usize {
        self.calls.lock().unwrap().len()
    }
}

#[tokio::test]
async fn a_call_without_an_answer_is_repeated_a_little_later_each_time() {
    let clock = start();
    let guard = Guard::new("it", &clock);
    let other = Other::new(&clock, |call| if call < 5 { Err(silence()) } else { Ok(()) });
    in_time(&clock, guard.repeat(|| other.ask())).await.unwrap();
    let calls = other.calls.lock().unwrap().clone();
    let waits: Vec<_> = calls.windows(2).map(|pair| (pair[1] - pair[0]).num_milliseconds()).collect();
    for (wait, longest) in waits.iter().zip([200, 400, 800, 1600]) {
        assert!((longest / 2..=longest + 10).contains(wait), "{waits:?}");
    }
    let other = Other::new(&clock, |_| Err(silence()));
    assert!(in_time(&clock, guard.repeat(|| other.ask())).await.is_err());
    assert_eq!(other.asked(), 5);
}

#[tokio::test]
async fn an_answer_is_taken_whatever_it_says() {
    let clock = start();
    let guard = Guard::new("it", &clock);
    let other = Other::new(&clock, |_| Err(Error::NotFound("x".into())));
    assert!(matches!(guard.repeat(|| other.ask()).await, Err(Error::NotFound(_))));
    assert_eq!(other.asked(), 1);
}

#[tokio::test]
async fn a_change_is_repeated_only_where_the_first_is_known_to_have_done_nothing() {
    let clock = start();
    let guard = Guard::new("it", &clock);
    let unheard = Other::new(&clock, |_| Err(silence()));
    assert!(in_time(&clock, guard.change(|| unheard.ask())).await.is_err());
    assert_eq!(unheard.asked(), 1, "it may have been done");
    let contended = Other::new(&clock, |call| if call < 3 { Err(Error::busy("it", "others")) } else { Ok(()) });
    in_time(&clock, guard.change(|| contended.ask())).await.unwrap();
    assert_eq!(contended.asked(), 3);
}

#[tokio::test]
async fn who_waited_long_for_no_answer_does_not_ask_again() {
    let clock = start();
    let guard = Guard::new("it", &clock);
    let slow = Other::new(&clock, |_| Err(silence()));
    let call = async || {
        clock.sleep(Duration::from_secs(15)).await;
        slow.ask().await
    };
    assert!(in_time(&clock, guard.repeat(call)).await.is_err());
    assert_eq!(slow.asked(), 2, "the second ended thirty seconds after the first began");
}

/// A guard whose breaker has just opened.
async fn opened(clock: &Clock) -> Guard {
    let guard = Guard::new("it", clock);
    for _ in 0..FAILURES {
        clock.advance(SILENCE / 2);
        assert!(guard.once(async { Err::<(), _>(silence()) }).await.is_err());
    }
    guard
}

#[tokio::test]
async fn after_enough_silence_nobody_is_asked_until_one_call_finds_out() {
    let clock = start();
    let guard = opened(&clock).await;
    let other = Other::new(&clock, |_| Ok(()));
    assert!(matches!(guard.repeat(|| other.ask()).await, Err(Error::Unavailable { .. })), "at once");
    assert_eq!(other.asked(), 0);
    clock.advance(OPEN);
    let mut probe = Box::pin(guard.once(async {
        tokio::task::yield_now().await;
        Err::<(), _>(silence())
    }));
    assert!(futures::poll!(&mut probe).is_pending());
    assert!(guard.once(other.ask()).await.is_err(), "one is finding out");
    assert!(probe.await.is_err());
    clock.advance(OPEN - TimeDelta::milliseconds(1));
    assert!(guard.once(other.ask()).await.is_err(), "it still does not answer");
    clock.advance(TimeDelta::milliseconds(1));
    guard.once(other.ask()).await.unwrap();
    guard.once(other.ask()).await.unwrap();
    assert_eq!(other.asked(), 2);
}

#[tokio::test]
async fn whoever_was_finding_out_and_left_keeps_nobody_from_asking() {
    let clock = start();
    let guard = opened(&clock).await;
    clock.advance(OPEN);
    let mut abandoned = Box::pin(guard.once(std::future::pending::<Result<()>>()));
    assert!(futures::poll!(&mut abandoned).is_pending());
    drop(abandoned);
    guard.once(async { Ok(()) }).await.unwrap();
}

#[tokio::test]
async fn neither_a_short_interruption_nor_contention_nor_a_refusal_opens_the_breaker() {
    let clock = start();
    let guard = Guard::new("it", &clock);
    let say = async |error: fn() -> Error| guard.once(async { Err::<(), _>(error()) }).await;
    for _ in 0..5 * FAILURES {
        assert!(say(silence).await.is_err(), "all of them in one moment");
    }
    assert!(say(|| Error::NotFound("x".into())).await.is_err());
    for _ in 0..5 * FAILURES {
        clock.advance(TimeDelta::seconds(1));
        assert!(say(|| Error::busy("it", "others")).await.is_err());
        assert!(say(|| Error::internal("it", "forbidden")).await.is_err());
    }
    for _ in 0..5 {
        for _ in 1..FAILURES {
            clock.advance(TimeDelta::seconds(1));
            assert!(say(silence).await.is_err());
        }
        guard.once(async { Ok(()) }).await.unwrap();
    }
}

/// Every call is heard, and every first answer is lost.
struct Lossy {
    store: Store,
    calls: AtomicU32,
}

impl Lossy {
    fn new() -> (Arc<Self>, Clock) {
        let clock = start();
        (Arc::new(Lossy { store: Store::scratch(clock.clone()).unwrap(), calls: AtomicU32::new(0) }), clock)
    }

    fn hear<T>(&self, outcome: Result<T>) -> Result<T> {
        if self.calls.fetch_add(1, Ordering::SeqCst) == 0 { Err(silence()) } else { outcome }
    }

    fn calls(&self) -> u32 {
        self.calls.swap(0, Ordering::SeqCst)
    }
}

#[async_trait::async_trait]
impl crate::docs::DocsCore for Lossy {
    async fn get(&self, path: &crate::DocPath) -> Result<Option<crate::Document>> {
        self.hear(self.store.get(path).await)
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<Vec<crate::Version>> {
        self.hear(self.store.commit(writes).await)
    }

    async fn query(&self, query: &crate::Query) -> Result<Vec<crate::Document>> {
        self.hear(self.store.query(query).await)
    }

    async fn aggregate(&self, query: &crate::Query, numbers: &[crate::docs::Number<'_>]) -> Result<Vec<f64>> {
        self.hear(self.store.aggregate(query, numbers).await)
    }
}

#[async_trait::async_trait]
impl crate::bus::BusCore for Lossy {
    async fn publish(&self, topic: &str, message: Message) -> Result<()> {
        self.hear(self.store.publish(topic, message).await)
    }
}

#[async_trait::async_trait]
impl crate::executions::ExecutionsCore for Lossy {
    async fn start(&self, request: StartRequest) -> Result<String> {
        self.hear(self.store.start(request).await)
    }

    async fn describe(&self, name: &str) -> Result<Option<crate::Execution>> {
        self.hear(self.store.describe(name).await)
    }

    async fn cancel(&self, name: &str) -> Result<()> {
        self.hear(self.store.cancel(name).await)
    }
}

#[tokio::test]
async fn reads_and_plain_deletes_survive_a_lost_answer_and_other_commits_say_that_it_was_lost() {
    let (lossy, clock) = Lossy::new();
    let guarded: Docs = docs("it", lossy.clone(), &clock);
    let path = Collection::root("c").doc("d");
    let created = in_time(&clock, guarded.create(&path, &serde_json::json!({"n": 1}))).await;
    assert!(matches!(created, Err(Error::Unavailable { .. })), "not \"exists already\": {created:?}");
    assert_eq!(lossy.calls(), 1);
    assert!(in_time(&clock, guarded.find::<serde_json::Value>(&path)).await.unwrap().is_some());
    assert_eq!(lossy.calls(), 2);
    assert_eq!(in_time(&clock, guarded.count(&crate::Query::group("c"))).await.unwrap(), 1);
    lossy.calls();
    let delete = Write::Delete { path: path.clone(), version: None };
    in_time(&clock, guarded.commit(vec![delete])).await.unwrap();
    assert_eq!(lossy.calls(), 2);
}

#[tokio::test]
async fn a_message_is_sent_again_and_an_execution_is_not_started_again() {
    let (lossy, clock) = Lossy::new();
    in_time(&clock, bus("it", lossy.clone(), &clock).publish("t", Message::default())).await.unwrap();
    assert_eq!((lossy.calls(), lossy.store.outstanding().await.unwrap()), (2, 2), "at least once");
    let runs = executions("it", lossy.clone(), &clock);
    let (job, claim, env) = ("predict-worker".to_owned(), "claim".to_owned(), BTreeMap::new());
    let request = StartRequest { job, claim, env, tasks: 1, timeout: Duration::from_secs(1) };
    assert!(matches!(runs.start(request.clone()).await, Err(Error::Unavailable { .. })));
    let name = runs.start(request).await.unwrap();
    lossy.calls();
    in_time(&clock, runs.cancel(&name)).await.unwrap();
    assert!(in_time(&clock, runs.describe(&name)).await.unwrap().is_some());
    assert_eq!(lossy.store.unfinished().await.unwrap().len(), 1, "one execution of the claim");
}
