//! The stream itself: looks at the document once a second, says what is new, and now and then that it is still there.

use crate::RunEvent;
use axum::response::sse::Event;
use domain::{Run, Timestamp};
use futures::{Stream, stream};
use platform::{Clock, DocPath, Docs};
use service::Hold;
use std::time::Duration;

/// How often the document is looked at: it is written about once a second at most.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// After so many silent seconds a comment is sent: proxies close connections on which nothing moves.
const HEARTBEAT_SECONDS: u64 = 15;
/// How long a connection lasts, in seconds.
const CONNECTION_SECONDS: u64 = 600;
/// When a client is to connect again.
const AGAIN: Duration = Duration::from_secs(2);

struct Watch {
    docs: Docs,
    clock: Clock,
    path: DocPath,
    seen: Option<String>,
    until: Timestamp,
    heartbeat: Timestamp,
    over: bool,
    /// Its place among the streams of its user, until the client has gone.
    _hold: Option<Hold>,
}

/// The events of a run after the one that was `seen`. Ends with the run, when its time is up, or when the run is gone.
pub(crate) fn of(
    docs: Docs,
    clock: Clock,
    path: DocPath,
    seen: Option<String>,
    hold: Option<Hold>,
) -> impl Stream<Item = Result<Event, axum::Error>> {
    let now = Timestamp::from(clock.now());
    let (until, heartbeat) = (now.plus_seconds(CONNECTION_SECONDS), now.plus_seconds(HEARTBEAT_SECONDS));
    let watch = Watch { docs, clock, path, seen, until, heartbeat, over: false, _hold: hold };
    stream::unfold(watch, |mut watch| async { watch.next().await.map(|event| (event, watch)) })
}

impl Watch {
    async fn next(&mut self) -> Option<Result<Event, axum::Error>> {
        while !self.over {
            let run = match self.docs.find::<Run>(&self.path).await {
                Ok(run) => run?,
                Err(error) => {
                    tracing::warn!(error = %service::chain(&error), "events end: the run cannot be read");
                    return None;
                }
            };
            let now = Timestamp::from(self.clock.now());
            if self.seen.as_deref() != Some(run.version.0.as_str()) {
                self.over = run.value.status.is_final();
                self.heartbeat = now.plus_seconds(HEARTBEAT_SECONDS);
                self.seen = Some(run.version.0.clone());
                let event = Event::default().event("run").id(run.version.0).retry(AGAIN);
                return Some(event.json_data(RunEvent::of(&run.value)));
            }
            if now >= self.until {
                return None;
            }
            if now >= self.heartbeat {
                self.heartbeat = now.plus_seconds(HEARTBEAT_SECONDS);
                return Some(Ok(Event::default().comment("")));
            }
            self.clock.sleep(LOOK_EVERY).await;
        }
        None
    }
}
