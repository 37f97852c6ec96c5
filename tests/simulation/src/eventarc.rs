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
    body::Body,
    http::{Request, StatusCode},
    response::Response,
};
use futures::channel::oneshot;
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

/// Tells everybody of what happened who wants to know.
pub fn route(universe: &Universe, event: Event) {
    let losable = !matches!(&event, Event::Object(meta) if meta.path.bucket() == places::UPLOADS);
    let waking = matches!(&event, Event::Message { topic, .. } if topic == places::DISPATCH);
    let tenant = tenant(&event).map(Arc::<str>::from);
    let reporting = run_of_report(&event);
    stranger::passes_by(universe, &event);
    for subscriber in subscribers(&event) {
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
            let change = Change { at: state.now, event: event.clone() };
            drop(state);
            let (universe_of_it, tenant, reporting) = (universe.clone(), tenant.clone(), reporting.clone());
            universe.spawn(None, async move {
                deliver(&universe_of_it, function.name, tenant, change).await;
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

async fn deliver(universe: &Universe, function: &'static str, tenant: Option<Arc<str>>, change: Change) {
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
    let id = universe.lock().store.version;
    let mut delivery = Delivery { id, subscriber: function.to_owned(), attempts: 0, change, error: String::new() };
    while delivery.attempts < MAX_ATTEMPTS {
        let settings = universe.scenario.settings.clone();
        let pid = universe.begin(function, tenant.as_deref(), Fault::Crash);
        let answer =
            async { if poison { None } else { call(universe, pid, function, &settings, request(&delivery)).await } };
        let status = tokio::select! {
            biased;
            answer = answer => answer.map(|response| response.status()),
            () = universe.clock.sleep(ACKNOWLEDGE_WITHIN) => None,
        };
        if acknowledged(universe, function, status) {
            break;
        }
        delivery.attempts += 1;
        let wait = Duration::from_millis(100 << delivery.attempts.min(8));
        universe.clock.sleep(wait).await;
    }
    let given_up = delivery.attempts == MAX_ATTEMPTS;
    if given_up && let Ok(letter) = dead_letter(&delivery).await {
        let mut state = universe.lock();
        state.remark("given up", function);
        watch::given_up(&mut state, &delivery.change.event);
        state.happened.push(Event::message(places::DEAD_LETTER, &letter));
        if let Some(run) = run_of_report(&delivery.change.event) {
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
        let times = 1 + u32::from(universe.strikes(Fault::DoubleTimer));
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
