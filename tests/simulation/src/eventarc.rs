//! Eventarc, Pub/Sub and Cloud Scheduler: they bring the very requests that `infra/local` brings to the functions' own
//! routers; twice, late, out of order or never, as the weather is.

use crate::{
    executor::pause,
    faults::Fault,
    stranger,
    universe::{Pid, Universe},
    watch,
};
use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    http::{Request, StatusCode, request::Parts},
    response::Response,
};
use futures::{FutureExt, channel::oneshot};
use hub::ALL;
use local::{MAX_ATTEMPTS, dead_letter, request, subscribers};
use platform::embedded::{Change, Delivery, Event};
use rand::Rng;
use service::{Settings, Trigger, World, places};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tower::ServiceExt;

/// The latest a late event comes, in seconds: after the longest lease there is, on whatever clock.
const LATEST: f64 = 4000.0;
/// Who hears of what others gave up: nobody comes after it.
const LAST: &str = "on-dead-letter";
/// A handler that takes longer is called again.
const ACKNOWLEDGE_WITHIN: Duration = Duration::from_secs(60);

thread_local! {
    static ROUTES: BTreeMap<&'static str, Router<World>> =
        ALL.iter().filter_map(|function| Some((function.name, function.routes()?))).collect();
}

/// A change on its way to those who are told of it.
struct Letter {
    change: Change,
    id: i64,
    /// What all of them get, however often. A message says how often it was sent.
    written: Option<(Parts, Bytes)>,
}

impl Letter {
    fn new(change: Change, id: i64) -> Self {
        let mut letter = Letter { change, id, written: None };
        if !matches!(letter.change.event, Event::Message { .. }) {
            let (parts, body) = request(&letter.delivery("", 0)).into_parts();
            let bytes = to_bytes(body, usize::MAX).now_or_never();
            letter.written = bytes.and_then(Result::ok).map(|bytes| (parts, bytes));
        }
        letter
    }

    fn delivery(&self, function: &str, attempts: u32) -> Delivery {
        let (subscriber, change) = (function.to_owned(), self.change.clone());
        Delivery { id: self.id, subscriber, attempts, change, error: String::new() }
    }

    fn request(&self, function: &str, attempts: u32) -> Request<Body> {
        match &self.written {
            Some((parts, bytes)) => Request::from_parts(parts.clone(), Body::from(bytes.clone())),
            None => request(&self.delivery(function, attempts)),
        }
    }
}

/// Tells everybody of what happened who wants to know.
pub fn route(universe: &Universe, event: Event) {
    let losable = !matches!(&event, Event::Object(meta) if meta.path.bucket() == places::UPLOADS);
    let waking = matches!(&event, Event::Message { topic, .. } if topic == places::DISPATCH);
    let tenant = tenant(&event).map(Arc::<str>::from);
    let reporting = run_of_report(&event);
    stranger::passes_by(universe, &event);
    let told = subscribers(&event);
    if told.is_empty() {
        return;
    }
    let (at, id) = universe.written_last();
    let letter = Arc::new(Letter::new(Change { at, event }, id));
    for subscriber in told {
        let Some(function) = ALL.iter().find(|function| function.name == subscriber) else { continue };
        let times = {
            let mut state = universe.lock();
            if losable && state.strikes(Fault::Lost) && function.name != LAST {
                state.remark("lost", function.name);
                reporting.iter().for_each(|run| watch::report_lost(&mut state, run));
                continue;
            }
            1 + u32::from(state.strikes(Fault::Duplicate)) + u32::from(waking && state.strikes(Fault::DoubleDispatch))
        };
        for _ in 0..times {
            let mut state = universe.lock();
            state.busy += 1;
            reporting.iter().for_each(|run| watch::report_sent(&mut state, run));
            drop(state);
            let (universe_of_it, tenant, reporting) = (universe.clone(), tenant.clone(), reporting.clone());
            let letter = letter.clone();
            universe.spawn(None, async move {
                deliver(&universe_of_it, function.name, tenant, &letter).await;
                let mut state = universe_of_it.lock();
                state.busy -= 1;
                reporting.iter().for_each(|run| watch::report_heard(&mut state, run));
            });
        }
    }
}

/// Whose data an event is about, if it is about one user's.
fn tenant(event: &Event) -> Option<&str> {
    match event {
        Event::Document { path, .. } => path.as_str().strip_prefix("users/")?.split('/').next(),
        Event::Object(meta) => meta.path.name().split('/').next(),
        // A dead letter names what it was about.
        Event::Message { attributes, .. } => {
            attributes.get("ce-document").or(attributes.get("ce-subject"))?.split('/').nth(1)
        }
    }
}

/// The document of the run that a report is of.
fn run_of_report(event: &Event) -> Option<String> {
    let Event::Object(meta) = event else { return None };
    let (uid, job, _) = places::parse_report(meta.path.name()).filter(|_| meta.path.bucket() == places::REPORTS)?;
    Some(places::job(&uid, &job).to_string())
}

async fn deliver(universe: &Universe, function: &'static str, tenant: Option<Arc<str>>, letter: &Letter) {
    let (delay, poison) = {
        let mut state = universe.lock();
        let delay = if state.strikes(Fault::Late) {
            60.0..60.0 + (LATEST - 60.0) * state.random.random::<f64>().powi(2)
        } else if state.strikes(Fault::Reorder) {
            1.0..60.0
        } else {
            0.01..0.5
        };
        (delay, function != LAST && state.strikes(Fault::Poison))
    };
    let delay = universe.seconds(delay.start, delay.end);
    universe.clock.sleep(delay).await;
    let mut attempts = 0;
    while attempts < MAX_ATTEMPTS {
        let settings = universe.scenario.settings.clone();
        let pid = universe.begin(function, tenant.as_deref(), Fault::Crash);
        let sent = letter.request(function, attempts);
        let answer = async { if poison { None } else { call(universe, pid, function, &settings, sent).await } };
        let status = tokio::select! {
            biased;
            answer = answer => answer.map(|response| response.status()),
            () = universe.clock.sleep(ACKNOWLEDGE_WITHIN) => None,
        };
        if acknowledged(universe, function, status) {
            break;
        }
        attempts += 1;
        let wait = Duration::from_millis(100 << attempts.min(8));
        universe.clock.sleep(wait).await;
    }
    let given_up = attempts == MAX_ATTEMPTS;
    if given_up && let Ok(dead) = dead_letter(&letter.delivery(function, attempts)).await {
        let mut state = universe.lock();
        state.remark("given up", function);
        watch::given_up(&mut state, &letter.change.event);
        state.happened.push(Event::message(places::DEAD_LETTER, &dead));
        if let Some(run) = run_of_report(&letter.change.event) {
            watch::report_lost(&mut state, &run);
        }
    }
}

/// Whether the one who delivers learns that the function took it.
fn acknowledged(universe: &Universe, function: &'static str, status: Option<StatusCode>) -> bool {
    let mut state = universe.lock();
    let taken = status.is_some_and(|status| status.is_success());
    if taken && !state.strikes(Fault::Nack) {
        return true;
    }
    if state.faults.calm() {
        let now = state.now;
        state.watch.violated(now, format!("{function} answered {status:?} in a calm world"));
    }
    state.remark("not acknowledged", function);
    false
}

/// Calls a function as a process of its own. `None` if it died.
pub async fn call(
    universe: &Universe,
    pid: Pid,
    function: &'static str,
    settings: &Arc<Settings>,
    request: Request<Body>,
) -> Option<Response> {
    let router = ROUTES.with(|routes| routes.get(function).cloned())?;
    let router: Router = router.with_state(universe.world(pid, settings));
    let (sender, answer) = oneshot::channel();
    let task = async move {
        let Ok(response) = router.oneshot(request).await;
        let _ = sender.send(response);
    };
    universe.spawn(Some(pid), task);
    answer.await.ok()
}

/// Cloud Scheduler: calls every function that has a timer, for ever.
pub fn schedule(universe: &Universe) {
    for function in ALL {
        if let Trigger::Schedule { every } = function.trigger {
            universe.spawn(None, timer(universe.clone(), function.name, every));
        }
    }
}

async fn timer(universe: Universe, function: &'static str, every: Duration) {
    let first = universe.seconds(0.0, every.as_secs_f64());
    universe.clock.sleep(first).await;
    loop {
        let doubled = universe.strikes(Fault::DoubleTimer);
        let times = if universe.idle() { 0 } else { 1 + u32::from(doubled) };
        for _ in 0..times {
            let task = {
                let universe = universe.clone();
                async move {
                    universe.lock().busy += 1;
                    let pid = universe.begin(function, None, Fault::Crash);
                    let mut tick = Request::new(Body::empty());
                    *tick.method_mut() = axum::http::Method::POST;
                    let settings = universe.scenario.settings.clone();
                    call(&universe, pid, function, &settings, tick).await;
                    universe.lock().busy -= 1;
                }
            };
            universe.spawn(None, task);
            pause().await;
        }
        universe.lock().watch.ticks += 1;
        universe.clock.sleep(every).await;
    }
}
