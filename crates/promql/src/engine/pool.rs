//! The CPU pool: a fixed number of threads that evaluate what the async side brings in.
//!
//! A job never waits for another one. Jobs run in the order in which they came; what depends on an order restores it
//! itself (`stream.rs`), so that the number of threads changes nothing but the time.

use futures::channel::oneshot;
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

type Job = Box<dyn FnOnce() + Send>;

/// A pool of threads; dropping it ends them after the jobs that wait.
#[derive(Debug)]
pub struct Pool {
    queue: Arc<Queue>,
    threads: usize,
}

struct Queue {
    state: Mutex<State>,
    wake: Condvar,
}

struct State {
    jobs: VecDeque<Job>,
    closed: bool,
}

impl Pool {
    /// A pool of `threads` threads, at least one.
    pub fn new(threads: usize) -> Self {
        let queue =
            Arc::new(Queue { state: Mutex::new(State { jobs: VecDeque::new(), closed: false }), wake: Condvar::new() });
        let mut running = 0;
        for number in 0..threads.max(1) {
            let queue = Arc::clone(&queue);
            let spawned = std::thread::Builder::new().name(format!("promql-{number}")).spawn(move || queue.work());
            running += usize::from(spawned.is_ok());
        }
        assert!(running > 0, "the system gives this process no thread");
        Self { queue, threads: running }
    }

    /// How many threads it has.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Runs `job` on some thread, some time. A job that panics is gone; the thread goes on.
    pub fn spawn(&self, job: impl FnOnce() + Send + 'static) {
        self.queue.state.lock().jobs.push_back(Box::new(job));
        self.queue.wake.notify_one();
    }

    /// Runs `job` on some thread and waits for what it yields. None: it panicked.
    pub async fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let (sender, receiver) = oneshot::channel();
        self.spawn(move || drop(sender.send(job())));
        receiver.await.ok()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.queue.state.lock().closed = true;
        self.queue.wake.notify_all();
    }
}

impl Queue {
    fn work(&self) {
        while let Some(job) = self.next() {
            drop(catch_unwind(AssertUnwindSafe(job)));
        }
    }

    fn next(&self) -> Option<Job> {
        let mut state = self.state.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                return Some(job);
            }
            if state.closed {
                return None;
            }
            self.wake.wait(&mut state);
        }
    }
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue").field("waiting", &self.state.lock().jobs.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::executor::block_on;

    #[test]
    fn jobs_run_and_a_panic_harms_only_itself() {
        let pool = Pool::new(2);
        assert_eq!(block_on(pool.run(|| 1 + 1)), Some(2));
        assert_eq!(block_on(pool.run(|| -> i32 { panic!("on purpose") })), None);
        assert_eq!(block_on(pool.run(|| 3)), Some(3));
        assert_eq!(pool.threads(), 2);
    }
}
