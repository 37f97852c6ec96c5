use std::{
    io,
    sync::{Arc, LazyLock, Mutex},
};
use tracing::{
    Dispatch, Level,
    subscriber::{DefaultGuard, NoSubscriber},
};

/// What is logged, kept to be read.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// All that this thread logs, at every level, until the guard is dropped.
    pub fn listen() -> (Self, DefaultGuard) {
        // Beside a lone subscriber, a line first reached on a thread that has none is taken for one nobody wants, on
        // every thread and for good. With two, each is asked.
        static ANOTHER: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(NoSubscriber::new()));
        LazyLock::force(&ANOTHER);
        let log = Self::default();
        let writer = log.clone();
        let lines = tracing_subscriber::fmt().with_max_level(Level::TRACE).with_ansi(false);
        (log, tracing::subscriber::set_default(lines.with_writer(move || writer.clone()).finish()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
