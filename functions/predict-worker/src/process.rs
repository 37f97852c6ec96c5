//! One process of a model's tool: in a process group of its own, so that nothing it starts outlives it, with all it
//! prints kept to a limit. The tools ignore SIGTERM; only SIGKILL ends them.

use crate::Error;
use models::Step;
use rustix::process::{Pid, Signal, kill_process_group};
use std::{
    collections::VecDeque,
    io,
    os::fd::OwnedFd,
    process::Stdio,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::{
    io::AsyncReadExt,
    net::unix::pipe::Receiver,
    process::{Child, Command},
    task::JoinHandle,
};

/// Bytes kept from the beginning of a log, and as many from its end.
const KEPT: usize = 512 * 1024;
/// How long the rest of a log is waited for after the process has ended.
const DRAIN: Duration = Duration::from_secs(2);

/// What the processes of one try printed: the beginning and the end, in the order of printing.
#[derive(Clone)]
pub(crate) struct Log(Arc<Mutex<Kept>>);

struct Kept {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    left_out: usize,
    last_sign: Instant,
}

impl Log {
    pub fn new() -> Self {
        let kept = Kept { head: vec![], tail: VecDeque::new(), left_out: 0, last_sign: Instant::now() };
        Log(Arc::new(Mutex::new(kept)))
    }

    pub fn text(&self) -> String {
        let kept = self.lock();
        let mut bytes = kept.head.clone();
        if kept.left_out > 0 {
            bytes.extend(format!("\n[{} bytes left out]\n", kept.left_out).into_bytes());
        }
        bytes.extend(&kept.tail);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// How long nothing was printed.
    pub fn silent_for(&self) -> Duration {
        self.lock().last_sign.elapsed()
    }

    fn push(&self, bytes: &[u8]) {
        let mut kept = self.lock();
        kept.last_sign = Instant::now();
        let (first, rest) = bytes.split_at(bytes.len().min(KEPT - kept.head.len()));
        kept.head.extend(first);
        kept.tail.extend(rest);
        let over = kept.tail.len().saturating_sub(KEPT);
        kept.tail.drain(..over);
        kept.left_out += over;
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running process. Dropping it kills its group.
pub(crate) struct Process {
    child: Child,
    group: Option<Pid>,
    reader: JoinHandle<()>,
}

impl Process {
    /// Starts the step; standard output and standard error go into `log`.
    pub fn start(step: &Step, log: &Log) -> Result<Self, Error> {
        let program = step.program.first().cloned().unwrap_or_default();
        Self::spawn(step, log).map_err(|source| Error::Start { program, source })
    }

    fn spawn(step: &Step, log: &Log) -> io::Result<Self> {
        let (program, arguments) = step.program.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let (reader, writer) = io::pipe()?;
        let mut command = Command::new(program);
        command.args(arguments).envs(step.env.iter().cloned()).current_dir(&step.cwd);
        command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
        let child = command.process_group(0).kill_on_drop(true).spawn()?;
        // The command holds the pipe's other end, which must be closed for the log to end.
        drop(command);
        let group = child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
        let mut pipe = Receiver::from_owned_fd(OwnedFd::from(reader))?;
        let log = log.clone();
        let reader = tokio::spawn(async move {
            let mut buffer = vec![0; 16 * 1024];
            while let Ok(read @ 1..) = pipe.read(&mut buffer).await {
                log.push(&buffer[..read]);
            }
        });
        Ok(Process { child, group, reader })
    }

    /// Waits for its end for at most `patience`. True if it exited well, `None` while it runs.
    pub async fn wait(&mut self, patience: Duration) -> io::Result<Option<bool>> {
        let Ok(status) = tokio::time::timeout(patience, self.child.wait()).await else { return Ok(None) };
        let status = status?;
        self.end().await;
        Ok(Some(status.success()))
    }

    /// Kills it and all it has started.
    pub async fn kill(&mut self) -> io::Result<()> {
        self.kill_group();
        self.child.wait().await?;
        self.end().await;
        Ok(())
    }

    /// Once the process is gone: its children are killed, and the last of the log is read.
    async fn end(&mut self) {
        self.kill_group();
        self.group = None;
        if tokio::time::timeout(DRAIN, &mut self.reader).await.is_err() {
            self.reader.abort();
        }
    }

    fn kill_group(&self) {
        if let Some(group) = self.group {
            // A group that is gone needs no killing.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill_group();
        self.reader.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Step {
        Step {
            program: ["sh", "-c", script].map(str::to_owned).to_vec(),
            env: vec![("NAME".to_owned(), "value".to_owned())],
            cwd: std::env::temp_dir(),
        }
    }

    async fn run(script: &str) -> (bool, String) {
        let log = Log::new();
        let mut process = Process::start(&shell(script), &log).unwrap();
        let ok = process.wait(Duration::from_secs(20)).await.unwrap().unwrap();
        (ok, log.text())
    }

    #[tokio::test]
    async fn what_it_prints_is_kept_in_order_with_its_exit() {
        assert_eq!(run("echo out; echo err >&2; echo $NAME; exit 3").await, (false, "out\nerr\nvalue\n".to_owned()));
        assert!(run("true").await.0);
    }

    #[tokio::test]
    async fn of_a_long_log_the_beginning_and_the_end_are_kept() {
        let (_, log) = run("echo first; yes | head -c 3000000; echo last").await;
        assert!(log.starts_with("first\n") && log.ends_with("last\n") && log.contains("bytes left out"));
        assert!(log.len() < 2 * KEPT + 100);
    }

    #[tokio::test]
    async fn a_process_that_ignores_sigterm_dies_with_its_children() {
        let folder = tempfile::tempdir().unwrap();
        let alive = folder.path().join("alive");
        let script = format!("trap '' TERM; (while :; do touch {0}; sleep 0.05; done) & sleep 60", alive.display());
        let log = Log::new();
        let mut process = Process::start(&shell(&script), &log).unwrap();
        while !alive.exists() {
            assert_eq!(process.wait(Duration::from_millis(20)).await.unwrap(), None);
        }
        drop(process);
        tokio::time::sleep(Duration::from_millis(100)).await;
        std::fs::remove_file(&alive).unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(!alive.exists(), "a child of the process still runs");
    }

    #[tokio::test]
    async fn a_tool_that_is_not_there_is_told_by_name() {
        let step = Step { program: vec!["no-such-tool".into()], env: vec![], cwd: std::env::temp_dir() };
        let Err(error) = Process::start(&step, &Log::new()) else { panic!("it cannot start") };
        assert_eq!(error.to_string(), "cannot start no-such-tool");
    }
}
