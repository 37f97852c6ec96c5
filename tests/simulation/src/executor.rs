//! A single-threaded executor in which chance, and nothing else, decides which of the ready tasks goes on. A task that
//! belongs to a process is dropped where it stands when the process dies.

use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

/// What runs.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The tasks of one world.
#[derive(Default)]
pub struct Executor {
    tasks: BTreeMap<usize, (Task, Arc<Bell>, Option<usize>)>,
    processes: BTreeMap<usize, usize>,
    named: usize,
    ready: Arc<Mutex<Vec<usize>>>,
}

/// Puts its task among the ready ones, once.
struct Bell {
    task: usize,
    rung: AtomicBool,
    ready: Arc<Mutex<Vec<usize>>>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.rung.swap(true, Ordering::Relaxed) {
            self.ready.lock().unwrap_or_else(PoisonError::into_inner).push(self.task);
        }
    }
}

impl Executor {
    /// Takes a task in, of a process or of the world itself.
    pub fn spawn(&mut self, task: Task, process: Option<usize>) {
        let id = self.named;
        self.named += 1;
        let bell = Arc::new(Bell { task: id, rung: AtomicBool::new(false), ready: self.ready.clone() });
        bell.wake_by_ref();
        self.tasks.insert(id, (task, bell, process));
        if let Some(process) = process {
            self.processes.insert(process, id);
        }
    }

    /// Drops the task of a process where it stands.
    pub fn kill(&mut self, process: usize) {
        if let Some(task) = self.processes.remove(&process) {
            self.tasks.remove(&task);
        }
    }

    /// True if no process is at work.
    pub fn is_free(&self) -> bool {
        self.processes.is_empty()
    }

    /// Lets one ready task go on, the one that `choose` picks of so many. False if none is ready.
    pub fn step(&mut self, choose: impl FnOnce(usize) -> usize) -> bool {
        let task = {
            let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
            if ready.is_empty() {
                return false;
            }
            let chosen = choose(ready.len());
            ready.swap_remove(chosen)
        };
        let Some((future, bell, process)) = self.tasks.get_mut(&task) else { return true };
        bell.rung.store(false, Ordering::Relaxed);
        let waker = Waker::from(bell.clone());
        if let Poll::Ready(()) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            if let Some(process) = *process {
                self.processes.remove(&process);
            }
            self.tasks.remove(&task);
        }
        true
    }
}

/// Lets every other ready task go first, if chance says so.
pub async fn pause() {
    let mut paused = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut paused, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
