//! The durable order of accepted batches: append, replay, release.
//!
//! Layer 2. Writers hand batches to [`LocalLog`]; one thread lays them as frames, makes them durable together and hands
//! them on in that order ([`Delivery`]). At start [`open`] repairs what a crash left, and [`Opened::replay`] gives back
//! what was appended. The format is described in `docs/formats/log.md`.
//!
//! Invariants: what was delivered survives a crash (I-ACK-1); an offset never stands for two batches (I-LOG-1); what is
//! read was checked by a CRC that knows log, segment and place (I-LOG-2).
//!
//! Knows nothing of what a batch means: heads, ranges, verdicts and coverage are the caller's.

mod open_segment;
mod thread;
mod writer;

mod definitions;
mod deletions;
mod exemplars;
mod frame;
mod mixed;
mod page;
mod refusals;
mod samples;
mod segment;
mod settings;
mod varint;

mod aside;
mod id_file;
mod reader;
mod recover;
mod replay;
mod scan;

pub use recover::{Opened, TornTail, open};
pub use refusals::Refused;
pub use replay::{Record, RecordKind, Replay, ReplaySeries};
pub use segment::SegmentInfo;
pub use settings::{LogSettings, SyncMode};
pub use thread::{LocalLog, Rejected, Rejection};
pub use writer::{Counters, Writer};

use longhaul_model::{Exemplar, Measurement, Sample, TenantId, Tombstone};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// A place in the log: the frame that was appended n-th has offset n; the first is 1 and 0 stands before all.
///
/// Rising and never used twice. Dense but for what failed to become durable: those offsets stay unused.
pub type Offset = u64;

/// What the log needs to see of a batch of samples in order to lay it.
///
/// Numbers are the caller's, dense in its process. The log takes from them only "the same as before": what a number
/// stands for is written into every segment that uses it.
pub trait Batch: Send + 'static {
    /// Whose samples they are.
    fn tenant(&self) -> &TenantId;
    /// The tenant's number in this process.
    fn tenant_number(&self) -> u32;
    /// How many entries (a series with its samples) the batch has.
    fn entries(&self) -> usize;
    /// The number of an entry's series in this process, over all tenants; never reused.
    fn series_number(&self, entry: usize) -> u32;
    /// Appends the (name, value) symbols of an entry's labels to `out`; symbols are numbered per tenant. Asked only
    /// for series that the open segment does not know yet.
    fn label_symbols(&self, entry: usize, out: &mut Vec<(u32, u32)>);
    /// The text of one of the tenant's symbols. Asked only for symbols that the open segment does not know yet.
    fn symbol(&self, symbol: u32) -> Arc<str>;
    /// An entry's plain floats.
    fn samples(&self, entry: usize) -> &[Sample];
    /// Whether any entry has samples of another kind.
    fn is_mixed(&self) -> bool {
        false
    }
    /// An entry's samples that are no plain floats: histograms, and floats of which is known since when they count.
    fn others(&self, _entry: usize) -> &[Measurement] {
        &[]
    }
    /// Whether any entry has exemplars.
    fn has_exemplars(&self) -> bool {
        false
    }
    /// An entry's exemplars.
    fn exemplars(&self, _entry: usize) -> &[Exemplar] {
        &[]
    }
}

/// Samples of an earlier batch that were refused when it was applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusals {
    /// Whose batch it was.
    pub tenant: TenantId,
    /// The offset of the batch.
    pub batch: Offset,
    /// The refused samples: (entry, sample within the entry). The entry's plain floats are counted first, then its others.
    pub samples: Vec<(u32, u32)>,
}

/// What a tenant wants gone: samples that were appended before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deletion {
    /// Whose samples.
    pub tenant: TenantId,
    /// Names the deletion for as long as anybody speaks of it.
    pub id: u128,
    /// Which series, and which of their samples. The texts of its matchers have a mebibyte together at most.
    pub tombstone: Tombstone,
    /// When it was asked for, ms since the epoch.
    pub since_ms: i64,
}

/// What can be handed to the log. `M` is the caller's: it travels along and comes back with the delivery.
#[derive(Clone, Debug)]
pub enum Append<B, M> {
    /// A batch; gets an offset.
    Batch(B),
    /// Refusals of an earlier batch; get an offset of their own.
    Refusals(Refusals, M),
    /// A deletion; gets an offset.
    Deletion(Deletion, M),
    /// Nothing to write: comes back once everything appended before it was delivered.
    Marker(M),
}

/// What the log hands on, in order; frames only once they are durable.
#[derive(Debug)]
pub enum Delivery<B, M> {
    /// A durable batch.
    Batch {
        /// Its offset.
        offset: Offset,
        /// The batch as it was appended.
        batch: B,
    },
    /// Durable refusals.
    Refusals {
        /// The offset of the refusal frame (not of the batch).
        offset: Offset,
        /// As they were appended.
        refusals: Refusals,
        /// What came with them.
        token: M,
    },
    /// A durable deletion.
    Deletion {
        /// Its offset.
        offset: Offset,
        /// As it was appended.
        deletion: Deletion,
        /// What came with it.
        token: M,
    },
    /// A marker; never fails.
    Marker {
        /// The offset of the last frame that was delivered, 0 if the log never held one.
        end: Offset,
        /// The marker.
        marker: M,
    },
    /// A batch, refusals or a deletion that did not become durable and never will be acknowledged. After a crash they may be
    /// found in the log nevertheless, as with every write whose answer was lost.
    Failed {
        /// What was appended.
        what: Append<B, M>,
        /// Why; shared by all that failed together.
        error: Arc<LogError>,
    },
}

/// Takes deliveries; called on the log's thread, so it should hand on and return.
pub type Deliver<B, M> = Box<dyn FnMut(Delivery<B, M>) + Send>;

/// A place where a segment is not what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The segment's number.
    pub segment: u64,
    /// Where the damage begins, bytes from the start of the segment.
    pub at_bytes: u64,
    /// What was found.
    pub reason: DamageReason,
    /// Frames with an offset (batches, refusals, deletions) that are lost by it, as far as the offsets around it tell.
    pub frames_lost: u64,
}

/// What is wrong at a damaged place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DamageReason {
    /// A frame's head does not match its checksum: reading resumed at the next frame that does.
    FrameHead,
    /// A frame's content does not match its checksum, or cannot be decoded.
    FrameContent,
    /// A page's header; nothing is lost by it alone.
    PageHeader,
    /// The segment's header; nothing is lost by it alone.
    SegmentHeader,
    /// The segment ends before what is known to have been durable.
    Short,
    /// A segment is not there at all, although older ones are.
    Missing,
    /// The file that holds the log's id; nothing is lost by it alone.
    LogId,
}

/// What went wrong with the log as a whole.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The file system refused. Write path: the segment is given up, retry the batch later.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A batch beyond what a frame may hold; retrying is in vain.
    #[error("batch is too large for the log: {0}")]
    TooLarge(&'static str),
    /// Written by a later version: start that one.
    #[error("{}: {what} {found} at byte {at_bytes} is not known to this version; a newer Longhaul has written it", path.display())]
    Unknown {
        /// The segment.
        path: PathBuf,
        /// Which field ("version", "frame kind").
        what: &'static str,
        /// Its content.
        found: u32,
        /// Where, bytes.
        at_bytes: u64,
    },
    /// A file that belongs to another log or another place.
    #[error("{} does not belong here: {reason}; move it away to start", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Neither the id file nor any segment header can be read, but there are segments.
    #[error("{}: the log's id is lost, its segments cannot be checked", path.display())]
    IdLost {
        /// The log's directory.
        path: PathBuf,
    },
}

impl LogError {
    fn io(action: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    /// Whether the disk has no room left (so that the caller may say so).
    pub fn is_disk_full(&self) -> bool {
        matches!(self, Self::Io { source, .. }
            if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
    }
}

#[cfg(test)]
mod tests;
