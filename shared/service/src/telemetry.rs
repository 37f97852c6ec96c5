//! Logs, and the trace that runs through them. On Cloud Run a log line is what Cloud Logging reads, with the trace of
//! the request under way; a trace that a request brings is handed on with every message, object and execution it
//! causes, so that one submission is one trace. Elsewhere logs are JSON lines on standard error.

mod handed_on;
#[cfg(test)]
mod tests;

pub use handed_on::handing_on;

use http::HeaderMap;
use std::{
    cell::RefCell,
    collections::BTreeMap,
    future::Future,
    io::{self, Write},
};
use tokio::task::JoinHandle;
use tracing::Subscriber;
use tracing_subscriber::{
    EnvFilter, fmt::MakeWriter, layer::SubscriberExt, registry::LookupSpan, util::SubscriberInitExt,
};

/// The attribute, metadata key and (in capitals) environment variable a trace travels in.
pub const TRACEPARENT: &str = "traceparent";

/// Which trace something belongs to, and which of its spans caused it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// 32 hexadecimal digits.
    id: String,
    /// 16 hexadecimal digits.
    span: String,
    sampled: bool,
}

tokio::task_local! {
    static CURRENT: RefCell<Option<Trace>>;
}

impl Trace {
    /// Reads W3C's `00-TRACE-SPAN-FLAGS`.
    pub fn from_traceparent(text: &str) -> Option<Trace> {
        let parts: Vec<_> = text.trim().split('-').collect();
        let [version, id, span, flags, ..] = parts.as_slice() else { return None };
        let hex = |text: &str, length| {
            let digit = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
            text.len() == length && text.chars().all(digit)
        };
        let known = |text: &str| text.chars().any(|c| c != '0');
        let right = hex(version, 2) && *version != "ff" && hex(id, 32) && known(id) && hex(span, 16) && known(span);
        let flags = u8::from_str_radix(flags, 16).ok().filter(|_| right && hex(flags, 2))?;
        Some(Trace { id: (*id).to_owned(), span: (*span).to_owned(), sampled: flags & 1 == 1 })
    }

    /// Reads Google's older `TRACE/SPAN;o=SAMPLED`, the span in decimal.
    fn from_cloud_trace(text: &str) -> Option<Trace> {
        let (id, rest) = text.split_once('/')?;
        let (span, options) = rest.split_once(';').unwrap_or((rest, ""));
        let span = format!("{:016x}", span.parse::<u64>().ok()?);
        let flags = if options == "o=1" { "01" } else { "00" };
        Trace::from_traceparent(&format!("00-{id}-{span}-{flags}"))
    }

    /// The trace that a request's headers name.
    pub fn of(headers: &HeaderMap) -> Option<Trace> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let standard = text(TRACEPARENT).and_then(Trace::from_traceparent);
        standard.or_else(|| text("x-cloud-trace-context").and_then(Trace::from_cloud_trace))
    }

    /// W3C's form.
    fn traceparent(&self) -> String {
        format!("00-{}-{}-{}", self.id, self.span, if self.sampled { "01" } else { "00" })
    }
}

/// The trace of the request under way.
fn current() -> Option<Trace> {
    CURRENT.try_with(|current| current.borrow().clone()).ok().flatten()
}

/// The trace of the request under way in W3C's form, to be kept with what it makes.
pub fn traceparent() -> Option<String> {
    current().map(|trace| trace.traceparent())
}

/// Says which trace the request under way belongs to, once its content has told: the one it was published or written
/// under, not the one that delivered it.
pub fn adopt(traceparent: Option<&str>) {
    if let Some(trace) = traceparent.and_then(Trace::from_traceparent) {
        // Outside a request there is nothing to say it of.
        let _ = CURRENT.try_with(|current| current.replace(Some(trace)));
    }
}

/// Work that goes on beside the request under way, for it and under its trace.
pub fn beside<F>(work: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    tokio::spawn(under(current(), work))
}

/// Runs work under the trace it was started with.
pub async fn under<T>(trace: Option<Trace>, work: impl Future<Output = T>) -> T {
    CURRENT.scope(RefCell::new(trace), work).await
}

/// Begins logging, at `info` unless `RUST_LOG` says otherwise: for Cloud Logging where Cloud Run's environment shows,
/// and as JSON lines on standard error elsewhere.
pub fn logs(environment: &BTreeMap<String, String>) {
    // The client of Firestore announces every connection.
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,firestore=warn"));
    let registry = tracing_subscriber::registry().with(filter);
    // A second subscriber in one process (a test's) stays the first one.
    let _ = if is_on_cloud_run(environment) {
        registry.with(cloud_logging(project(environment), io::stdout)).try_init()
    } else {
        registry.with(tracing_subscriber::fmt::layer().json().with_writer(io::stderr)).try_init()
    };
}

/// Tasks of the local server have a job's environment too; their data is in the one local folder.
fn is_on_cloud_run(environment: &BTreeMap<String, String>) -> bool {
    let runs = environment.contains_key("K_SERVICE") || environment.contains_key("CLOUD_RUN_JOB");
    runs && !environment.contains_key("STORE_URL")
}

/// The project that traces are in: the one named, or the one of the documents.
fn project(environment: &BTreeMap<String, String>) -> String {
    let named = environment.get("GOOGLE_CLOUD_PROJECT").map(String::as_str);
    let documents = environment.get("DOCS_URL").and_then(|url| url.strip_prefix("firestore://")?.split('/').next());
    named.or(documents).unwrap_or_default().to_owned()
}

/// Lines for Cloud Logging.
fn cloud_logging<S, M>(project: String, inner: M) -> tracing_stackdriver::Layer<S, Traced<M>>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    M: for<'writer> MakeWriter<'writer> + 'static,
{
    // The module is in every line anyway.
    tracing_stackdriver::layer().with_source_location(false).with_writer(Traced { project, inner })
}

/// Puts the trace into the lines of `tracing-stackdriver`, which has no way of its own: it spells every field in camel
/// case, also those that Cloud Logging knows by name.
struct Traced<M> {
    project: String,
    inner: M,
}

/// One line of the log.
struct Line<W> {
    trace: String,
    inner: W,
}

impl<'a, M: MakeWriter<'a>> MakeWriter<'a> for Traced<M> {
    type Writer = Line<M::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        let fields = |trace: Trace| {
            format!(
                r#""logging.googleapis.com/trace":"projects/{}/traces/{}","logging.googleapis.com/spanId":"{}","logging.googleapis.com/trace_sampled":{},"#,
                self.project, trace.id, trace.span, trace.sampled
            )
        };
        Line { trace: current().map(fields).unwrap_or_default(), inner: self.inner.make_writer() }
    }
}

impl<W: Write> Write for Line<W> {
    /// Gets a whole line at once.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match line.strip_prefix(b"{") {
            Some(rest) => self.inner.write_all(&[b"{", self.trace.as_bytes(), rest].concat())?,
            None => self.inner.write_all(line)?,
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
