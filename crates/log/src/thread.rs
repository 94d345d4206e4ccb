//! The log as its users hold it: a bounded queue before the one thread that writes.

use crate::writer::LogState;
use crate::{Append, Batch, Counters, Deliver, LogError, LogSettings, Offset, SegmentInfo, SyncMode, Writer};
use longhaul_model::{Clock, LogId, SystemClock};
use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// An open log. Dropping it closes it.
#[derive(Debug)]
pub struct LocalLog<B: Batch, M: Send + 'static> {
    log_id: LogId,
    state: Arc<LogState>,
    queue: Arc<Queue<B, M>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// An append that was not taken; nothing of it will be delivered.
#[derive(Debug)]
pub struct Rejected<B, M> {
    /// Why.
    pub why: Rejection,
    /// What was appended, back to the caller.
    pub append: Append<B, M>,
}

/// Why an append was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// Too much waits already (batches only; everything else is always taken).
    Full,
    /// The log was closed, or its thread died.
    Closed,
}

#[derive(Debug)]
struct Queue<B, M> {
    waiting: Mutex<Waiting<B, M>>,
    wake: Condvar,
    batches_max: usize,
    entries_max: usize,
}

#[derive(Debug)]
struct Waiting<B, M> {
    appends: Vec<Append<B, M>>,
    batches: usize,
    entries: usize,
    closed: bool,
}

impl<B: Batch, M: Send + 'static> LocalLog<B, M> {
    pub(crate) fn start(writer: Writer<B, M>, settings: &LogSettings, deliver: Deliver<B, M>) -> Self {
        let waiting = Waiting { appends: Vec::new(), batches: 0, entries: 0, closed: false };
        let queue = Arc::new(Queue {
            waiting: Mutex::new(waiting),
            wake: Condvar::new(),
            batches_max: settings.queue_batches_max,
            entries_max: settings.queue_entries_max,
        });
        let (log_id, state, sync) = (writer.log_id(), writer.state(), settings.sync);
        let run = {
            let queue = Arc::clone(&queue);
            move || run(&queue, writer, sync, deliver)
        };
        let thread = thread::Builder::new().name("log".into()).spawn(run);
        let thread = thread.unwrap_or_else(|error| panic!("the log's thread cannot be started: {error}"));
        Self { log_id, state, queue, thread: Mutex::new(Some(thread)) }
    }

    /// Queues `append`; its fate comes by delivery. Never blocks. Anything but a batch is taken however much waits:
    /// refusals and markers follow from batches that were, and deletions are few.
    pub fn append(&self, append: Append<B, M>) -> Result<(), Rejected<B, M>> {
        let mut waiting = self.queue.waiting.lock();
        if waiting.closed {
            return Err(Rejected { why: Rejection::Closed, append });
        }
        if let Append::Batch(batch) = &append {
            // One batch is always let in: a limit below its size would mean never.
            let entries = waiting.entries.saturating_add(batch.entries());
            let too_many = entries > self.queue.entries_max && waiting.batches > 0;
            if too_many || waiting.batches >= self.queue.batches_max.max(1) {
                return Err(Rejected { why: Rejection::Full, append });
            }
            waiting.entries = entries;
            waiting.batches += 1;
        }
        waiting.appends.push(append);
        drop(waiting);
        self.queue.wake.notify_one();
        Ok(())
    }

    /// The offset of the last delivered frame; before the first one, [`crate::Opened::end`].
    pub fn end(&self) -> Offset {
        self.state.end()
    }

    /// Removes the segments of which every offset is below `before`; the newest one stays.
    pub fn release(&self, before: Offset) -> Result<(), LogError> {
        self.state.list.release(before)
    }

    /// Bytes of all segments.
    pub fn size_bytes(&self) -> u64 {
        self.state.list.size_bytes()
    }

    /// The segments, oldest first.
    pub fn segments(&self) -> Vec<SegmentInfo> {
        self.state.list.snapshot()
    }

    /// What the writer has done so far.
    pub fn counters(&self) -> Counters {
        self.state.counters()
    }

    /// The log's id.
    pub fn log_id(&self) -> LogId {
        self.log_id
    }

    /// Delivers everything queued, completes the open segment and syncs it; returns when that is done. Later appends
    /// are rejected. (Called by a delivery, it only asks for all that.)
    pub fn close(&self) {
        self.queue.close();
        let mut slot = self.thread.lock();
        if slot.as_ref().is_some_and(|thread| thread.thread().id() != thread::current().id())
            && let Some(thread) = slot.take()
            && thread.join().is_err()
        {
            tracing::error!("the log's thread had panicked");
        }
    }
}

impl<B: Batch, M: Send + 'static> Drop for LocalLog<B, M> {
    fn drop(&mut self) {
        self.close();
    }
}

impl<B, M> Queue<B, M> {
    fn close(&self) {
        self.waiting.lock().closed = true;
        self.wake.notify_all();
    }
}

/// Closes the queue when the thread ends, however it ends: whoever appends then must not wait for ever.
struct CloseAtEnd<'a, B, M>(&'a Queue<B, M>);

impl<B, M> Drop for CloseAtEnd<'_, B, M> {
    fn drop(&mut self) {
        self.0.close();
    }
}

fn run<B: Batch, M>(queue: &Queue<B, M>, mut writer: Writer<B, M>, sync: SyncMode, mut deliver: Deliver<B, M>) {
    let _close = CloseAtEnd(queue);
    let clock = SystemClock::start(); // only for the interval between syncs
    let interval_ns = match sync {
        SyncMode::Commit => None,
        SyncMode::Interval(ms) => Some(ms.saturating_mul(1_000_000)),
    };
    let mut sync_due_ns = None; // set while something was delivered and not synced
    let mut taken = Vec::new();
    loop {
        let mut waiting = queue.waiting.lock();
        while waiting.appends.is_empty() && !waiting.closed {
            let Some(due_ns) = sync_due_ns else {
                queue.wake.wait(&mut waiting);
                continue;
            };
            let left = Duration::from_nanos(u64::saturating_sub(due_ns, clock.monotonic_ns()));
            if left.is_zero() || queue.wake.wait_for(&mut waiting, left).timed_out() {
                break;
            }
        }
        std::mem::swap(&mut waiting.appends, &mut taken);
        (waiting.batches, waiting.entries) = (0, 0);
        let closed = waiting.closed;
        drop(waiting);
        if taken.is_empty() && closed {
            break;
        }
        if !taken.is_empty() {
            writer.commit(&mut taken, &mut deliver);
            sync_due_ns = sync_due_ns.or(interval_ns.map(|interval| clock.monotonic_ns().saturating_add(interval)));
        }
        if sync_due_ns.is_some_and(|due_ns| due_ns <= clock.monotonic_ns()) {
            writer.sync();
            sync_due_ns = None;
        }
    }
    writer.close();
}
