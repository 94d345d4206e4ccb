//! The log as its users hold it: a bounded queue before the one thread that writes.

use crate::{Append, Batch, Offset, SegmentInfo};
use longhaul_model::LogId;
use std::marker::PhantomData;

/// An open log. Dropping it closes it.
#[derive(Debug)]
pub struct LocalLog<B, M> {
    log_id: LogId,
    marker: PhantomData<fn(B, M)>,
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
    /// Too much waits already (batches only; refusals and markers are always taken).
    Full,
    /// The log was closed.
    Closed,
}

/// What the writer has done since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Groups written.
    pub commits: u64,
    /// Bytes appended to segments.
    pub bytes_written: u64,
    /// Failed commits: each gave a segment up.
    pub failures: u64,
    /// Segments opened.
    pub segments_opened: u64,
}

impl<B: Batch, M: Send + 'static> LocalLog<B, M> {
    /// Queues `append`; its fate comes by delivery. Never blocks.
    pub fn append(&self, append: Append<B, M>) -> Result<(), Rejected<B, M>> {
        Err(Rejected { why: Rejection::Closed, append })
    }

    /// The offset of the last delivered frame; 0 before the first one.
    pub fn end(&self) -> Offset {
        0
    }

    /// Removes the segments of which every offset is below `before`; the newest one stays.
    pub fn release(&self, before: Offset) -> Result<(), crate::LogError> {
        let _ = before;
        Ok(())
    }

    /// Bytes of all segments.
    pub fn size_bytes(&self) -> u64 {
        0
    }

    /// The segments, oldest first.
    pub fn segments(&self) -> Vec<SegmentInfo> {
        Vec::new()
    }

    /// What the writer has done so far.
    pub fn counters(&self) -> Counters {
        Counters::default()
    }

    /// The log's id.
    pub fn log_id(&self) -> LogId {
        self.log_id
    }

    /// Delivers everything queued, completes the open segment and syncs it. Later appends are rejected.
    pub fn close(&self) {}

    pub(crate) fn start(log_id: LogId) -> Self {
        Self { log_id, marker: PhantomData }
    }
}
