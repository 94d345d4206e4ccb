//! Lays frames and commits them in groups: everything the writer thread does, without the thread.
//!
//! A group is laid, written with one append, made durable with one sync, and only then delivered (**I-ACK-1**). If any
//! of that fails, the segment is given up where its last group ended: the kernel may have dropped what it could not
//! write, and will not say so twice, so no fsync is tried again (**I-LOG-3**). The next group begins a new segment,
//! whose header says how far the old one counts.

use crate::frame::{Kind, PAYLOAD_BYTES_MAX};
use crate::open_segment::OpenSegment;
use crate::samples::{self, Scratch};
use crate::segment::{SEGMENT_HEADER_BYTES, SegmentHeader, SegmentList, remove};
use crate::{
    Append, Batch, Delivery, LogError, LogSettings, Offset, SegmentInfo, SyncMode, deletions, exemplars, mixed,
    refusals,
};
use longhaul_model::LogId;
use parking_lot::Mutex;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The synchronous core of the log: one owner, no thread, no clock.
#[derive(Debug)]
pub struct Writer<B, M> {
    state: Arc<LogState>,
    settings: LogSettings,
    log_id: LogId,
    last_number: u64,
    /// The segment before the open one, and how much of it counts.
    previous: Option<(u64, u64)>,
    last_offset: Offset,
    leftovers: Vec<PathBuf>,
    segment: Option<OpenSegment>,
    group: Vec<(Fate, Append<B, M>)>,
    buffer: Vec<u8>,
    payload: Vec<u8>,
    scratch: Scratch,
}

/// What others may know about a log while it is being written.
#[derive(Debug)]
pub(crate) struct LogState {
    pub(crate) list: Arc<SegmentList>,
    end: AtomicU64,
    counters: Mutex<Counters>,
}

/// What the writer has done since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Groups committed.
    pub commits: u64,
    /// Bytes appended to segments.
    pub bytes_written: u64,
    /// Failed writes and syncs: each gave a segment up, or found none to open.
    pub failures: u64,
    /// Segments opened.
    pub segments_opened: u64,
}

/// What became of an append when it was laid.
#[derive(Clone, Debug)]
enum Fate {
    Laid(Offset),
    Failed(Arc<LogError>),
    NothingToLay,
}

/// The kind of frame that has room for all of a batch: each has what the one before it has, and something more.
fn kind_of<B: Batch>(batch: &B) -> Kind {
    match (batch.has_exemplars(), batch.is_mixed()) {
        (true, _) => Kind::Exemplars,
        (false, true) => Kind::Mixed,
        (false, false) => Kind::Samples,
    }
}

impl LogState {
    pub(crate) fn end(&self) -> Offset {
        self.end.load(Ordering::Acquire)
    }

    pub(crate) fn counters(&self) -> Counters {
        *self.counters.lock()
    }
}

impl<B: Batch, M> Writer<B, M> {
    pub(crate) fn new(
        list: Arc<SegmentList>,
        settings: LogSettings,
        log_id: LogId,
        last_number: u64,
        previous: Option<(u64, u64)>,
        last_offset: Offset,
        leftovers: Vec<PathBuf>,
    ) -> Self {
        let state = LogState { list, end: AtomicU64::new(last_offset), counters: Mutex::default() };
        Self {
            state: Arc::new(state),
            settings,
            log_id,
            last_number,
            previous,
            last_offset,
            leftovers,
            segment: None,
            group: Vec::new(),
            buffer: Vec::new(),
            payload: Vec::new(),
            scratch: Scratch::default(),
        }
    }

    /// Lays, writes, syncs and delivers all of `appends` in their order, group by group; `appends` is empty afterwards.
    pub fn commit(&mut self, appends: &mut Vec<Append<B, M>>, deliver: &mut dyn FnMut(Delivery<B, M>)) {
        let mut waiting = appends.drain(..).peekable();
        let mut closed = None; // once no segment can be opened, the rest of this call is not tried
        while waiting.peek().is_some() {
            if self.segment.as_ref().is_some_and(|segment| segment.is_full(&self.settings)) {
                self.complete();
            }
            let mut group = std::mem::take(&mut self.group);
            while self.segment.as_ref().map_or(0, OpenSegment::pending_bytes) < self.settings.group_size_bytes {
                let Some(append) = waiting.next() else { break };
                group.push((self.lay(&append, &mut closed), append));
            }
            let written = self.write();
            for (fate, append) in group.drain(..) {
                deliver(self.delivery(fate, append, &written));
            }
            self.group = group;
        }
        self.trim_buffers();
    }

    fn lay(&mut self, append: &Append<B, M>, closed: &mut Option<Arc<LogError>>) -> Fate {
        if matches!(append, Append::Marker(_)) {
            return Fate::NothingToLay;
        }
        if let Some(error) = closed {
            return Fate::Failed(Arc::clone(error));
        }
        if let Err(error) = self.encode(append) {
            return Fate::Failed(Arc::new(error));
        }
        let segment = match self.segment.take().map_or_else(|| self.open_segment(), Ok) {
            Ok(segment) => self.segment.insert(segment),
            Err(error) => return Fate::Failed(Arc::clone(closed.insert(Arc::new(error)))),
        };
        self.last_offset += 1; // I-LOG-1: not taken back if the frame comes to nothing
        let kind = match append {
            Append::Batch(batch) => {
                segment.lay_definitions(batch);
                kind_of(batch)
            }
            Append::Refusals(..) => Kind::Refusals,
            Append::Deletion(..) => Kind::Deletion,
            Append::Marker(_) => unreachable!("there is nothing to lay of a marker"),
        };
        segment.lay(kind, self.last_offset, &self.payload);
        Fate::Laid(self.last_offset)
    }

    fn encode(&mut self, append: &Append<B, M>) -> Result<(), LogError> {
        self.payload.clear();
        match append {
            Append::Batch(batch) => {
                samples::encode(batch, &mut self.scratch, &mut self.payload)?;
                let kind = kind_of(batch);
                if kind != Kind::Samples {
                    mixed::encode(batch, &mut self.payload)?;
                }
                if kind == Kind::Exemplars {
                    exemplars::encode(batch, &mut self.payload)?;
                }
            }
            Append::Refusals(refusals, _) => refusals::encode(refusals, &mut self.payload)?,
            Append::Deletion(deletion, _) => deletions::encode(deletion, &mut self.payload)?,
            Append::Marker(_) => {}
        }
        if self.payload.len() > PAYLOAD_BYTES_MAX {
            return Err(LogError::TooLarge("more bytes than a frame may hold"));
        }
        Ok(())
    }

    fn open_segment(&mut self) -> Result<OpenSegment, LogError> {
        let (previous, previous_end) = self.previous.unwrap_or_default();
        self.last_number += 1; // never twice, not even after a failure: checksums rely on it
        let (number, base) = (self.last_number, self.last_offset + 1);
        let header = SegmentHeader { log_id: self.log_id, number, base, previous, previous_end };
        let list = &self.state.list;
        let segment = OpenSegment::create(list, header, std::mem::take(&mut self.buffer))
            .inspect_err(|_| self.state.counters.lock().failures += 1)?;
        list.push(SegmentInfo { number, base, end: base - 1, size_bytes: SEGMENT_HEADER_BYTES });
        self.state.counters.lock().segments_opened += 1;
        for path in self.leftovers.drain(..) {
            if let Err(error) = remove(&*list.fs, &list.dir, &path) {
                tracing::warn!(%error, "a log segment that counts for nothing stays");
            }
        }
        Ok(segment)
    }

    /// Writes what is laid and, unless syncs come by the clock, makes it durable.
    fn write(&mut self) -> Result<(), Arc<LogError>> {
        let Some(segment) = self.segment.as_mut().filter(|segment| segment.pending_bytes() > 0) else { return Ok(()) };
        let sync = self.settings.sync == SyncMode::Commit;
        match segment.write().and_then(|bytes| if sync { segment.sync().map(|()| bytes) } else { Ok(bytes) }) {
            Ok(bytes) => {
                segment.committed();
                self.state.list.update(segment.number, self.last_offset, segment.committed_bytes());
                let mut counters = self.state.counters.lock();
                counters.commits += 1;
                counters.bytes_written += bytes;
                Ok(())
            }
            Err(error) => {
                self.give_up(&error);
                Err(Arc::new(error))
            }
        }
    }

    /// Leaves the open segment where its last committed group ended.
    fn give_up(&mut self, error: &LogError) {
        tracing::error!(%error, "the log's open segment is given up");
        self.state.counters.lock().failures += 1;
        let Some(segment) = self.segment.take() else { return };
        let list = &self.state.list;
        let (number, end_bytes) = (segment.number, segment.committed_bytes());
        self.buffer = segment.into_buffer();
        if end_bytes > SEGMENT_HEADER_BYTES {
            self.previous = Some((number, end_bytes));
            return;
        }
        list.forget(number); // holds nothing that counts; on a full disk these would pile up
        if let Err(error) = remove(&*list.fs, &list.dir, &list.path(number)) {
            tracing::warn!(%error, "a log segment that counts for nothing stays");
        }
    }

    /// Completes the open segment, so that the next group begins a new one.
    fn complete(&mut self) {
        let Some(segment) = &mut self.segment else { return };
        match segment.complete(self.settings.group_size_bytes) {
            Ok(()) => {
                let end_bytes = segment.committed_bytes();
                self.previous = Some((segment.number, end_bytes));
                self.state.list.update(segment.number, self.last_offset, end_bytes);
                self.buffer = self.segment.take().map(OpenSegment::into_buffer).unwrap_or_default();
            }
            Err(error) => self.give_up(&error),
        }
    }

    fn delivery(&mut self, fate: Fate, append: Append<B, M>, written: &Result<(), Arc<LogError>>) -> Delivery<B, M> {
        let offset = match (fate, written) {
            (Fate::Laid(offset), Ok(())) => {
                self.state.end.store(offset, Ordering::Release);
                offset
            }
            (Fate::Laid(_), Err(error)) => return Delivery::Failed { what: append, error: Arc::clone(error) },
            (Fate::Failed(error), _) => return Delivery::Failed { what: append, error },
            (Fate::NothingToLay, _) => self.state.end(),
        };
        match append {
            Append::Batch(batch) => Delivery::Batch { offset, batch },
            Append::Refusals(refusals, token) => Delivery::Refusals { offset, refusals, token },
            Append::Deletion(deletion, token) => Delivery::Deletion { offset, deletion, token },
            Append::Marker(marker) => Delivery::Marker { end: offset, marker },
        }
    }

    /// Makes what was delivered durable, where that is left to the clock ([`SyncMode::Interval`]).
    pub fn sync(&mut self) {
        if let Some(segment) = self.segment.as_mut().filter(|segment| segment.is_ahead_of_sync())
            && let Err(error) = segment.sync()
        {
            self.give_up(&error);
        }
    }

    /// Completes the open segment and syncs it. A later commit opens a new one.
    pub fn close(&mut self) {
        self.complete();
    }

    /// The offset of the last delivered frame; before the first one, [`crate::Opened::end`].
    pub fn end(&self) -> Offset {
        self.state.end()
    }

    /// As [`crate::LocalLog::release`].
    pub fn release(&self, before: Offset) -> Result<(), LogError> {
        self.state.list.release(before)
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

    pub(crate) fn state(&self) -> Arc<LogState> {
        Arc::clone(&self.state)
    }

    /// One huge batch must not keep its memory for ever.
    fn trim_buffers(&mut self) {
        let keep = 2 * self.settings.group_size_bytes;
        self.payload.clear();
        self.payload.shrink_to(keep);
        if let Some(segment) = &mut self.segment {
            segment.trim_buffer(keep);
        }
    }
}
